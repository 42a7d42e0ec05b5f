"""Only JPEG and PNG are images, everywhere and in the same words; TensorFlow's decoder takes more, by its version.

Whatever else reads one of them gives the pixels of the decoder in the graph.
"""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from farkeras.attributes import Grouping
from farkeras.clients.images import read_files
from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples, Stored
from farkeras.data.image_files import read_image_file
from farkeras.data.keypoints import decode_image
from farkeras.data.pipeline import evaluation_dataset, find_undecodable, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.exporters.served_images import decode_rows
from farkeras.inference.recognizer import Recognizer
from farkeras.models import LogitsModel
from farkeras.models.model_file import ModelMetadata
from farkeras.photos.pixels import is_turned
from farkeras.photos.reader import read_crop, read_photo
from tests.bad_images import cmyk_jpeg, encode, png, smooth_image, turned

pytestmark = pytest.mark.core

FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (178, 218), colour) for colour in ("red", "blue")]}
REFUSED = {
    "still WEBP": encode(smooth_image(), "WEBP"),
    "lossless WEBP": encode(smooth_image(), "WEBP", lossless=True),
    "transparent WEBP": encode(smooth_image().convert("RGBA"), "WEBP"),
    "animated WEBP": encode(smooth_image(), "WEBP", **FRAMES),
    "still GIF": encode(smooth_image(), "GIF"),
    "animated GIF": encode(smooth_image(), "GIF", **FRAMES),
    "still BMP": encode(smooth_image(), "BMP"),
}
PREPROCESSING = Preprocessing((8, 8))
PHOTO = encode(smooth_image())


@pytest.fixture(params=REFUSED)
def crop(request, tmp_path):
    """A file of another kind that is named as a JPEG."""
    path = tmp_path / "a.jpg"
    path.write_bytes(REFUSED[request.param])
    return path, f"is a {request.param.split()[1]} image, not JPEG or PNG"


@pytest.mark.parametrize("call", [lambda function: function, tf.function])
def test_the_decoder(crop, call):
    decode = call(PREPROCESSING.decode)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant(crop[0].read_bytes()))


def test_a_check_of_the_data(crop):
    path, problem = crop
    assert read_image_file(path.read_bytes).problem == problem


def test_prediction_of_a_crop(crop):
    path, problem = crop
    image = keras.Input((8, 8, 3))
    model = LogitsModel(image, {"logits": keras.layers.Flatten()(image)[:, :1]})
    recognizer = Recognizer(model, ModelMetadata(Grouping({"all": ("a",)}, ("a",)), PREPROCESSING))
    with pytest.raises(FarkerasError) as raised:
        recognizer(path, align=False)
    assert str(raised.value) == f"{path} {problem}; expected a whole JPEG or PNG image."


def test_training_and_evaluation_leave_it_out(crop, tmp_path):
    (tmp_path / "good.jpg").write_bytes(PHOTO)
    paths = np.array([str(crop[0]), str(tmp_path / "good.jpg")])
    examples = Examples(("a",), paths, np.array([[0], [1]], np.int8))
    shown = training_dataset(examples, PREPROCESSING, Augmentation(), 1, seed=0, start=0, stop=4)
    assert [batch["labels"].tolist() for batch in shown.as_numpy_iterator()] == [[[1]], [[1]]]
    (batch,) = evaluation_dataset(examples, PREPROCESSING, 2).as_numpy_iterator()
    assert batch["example"].tolist() == [1, -1]
    assert find_undecodable(examples, PREPROCESSING) == [str(crop[0])]


def test_a_served_batch_keeps_its_other_rows():
    rows, inputs = tf.function(decode_rows)(tf.constant([PHOTO, *REFUSED.values(), PHOTO]), PREPROCESSING)
    assert rows.numpy().tolist() == [0, len(REFUSED) + 1]
    expected = PREPROCESSING.resize(PREPROCESSING.decode(PHOTO))
    np.testing.assert_allclose(inputs, tf.stack([expected, expected]), atol=1e-3)


NOISE = np.random.default_rng(0).integers(0, 65536, (27, 22, 4), np.uint16)
GREY = smooth_image().convert("L")
READ = {
    "JPEG": PHOTO,
    "JPEG without subsampling": encode(smooth_image(), subsampling=0),
    "progressive JPEG": encode(smooth_image(), progressive=True),
    "grey JPEG": encode(GREY),
    "JPEG of a phone that stores two": encode(smooth_image(), "MPO", save_all=True, append_images=[smooth_image()]),
    "CMYK JPEG of Adobe": cmyk_jpeg(0),
    "YCCK JPEG of Adobe": cmyk_jpeg(2),
    "CMYK JPEG": cmyk_jpeg(None),
    "1 bit": encode(GREY.convert("1"), "PNG"),
    "palette": encode(smooth_image().quantize(32), "PNG"),
    "palette of 4 bits": encode(smooth_image().quantize(16), "PNG", bits=4),
    "palette with transparency": encode(smooth_image().quantize(32), "PNG", transparency=bytes(range(32))),
    "grey with a transparent level": encode(GREY, "PNG", transparency=100),
    "16 bit grey, as Pillow writes it": encode(Image.fromarray(NOISE[..., 0]), "PNG"),
    "damaged EXIF": encode(smooth_image(), "PNG", exif=b"Exif\0\0no EXIF"),
    **{
        f"{8 * dtype().itemsize} bit {name}{', interlaced' if interlaced else ''}": png(
            (NOISE[..., :channels] >> (16 - 8 * dtype().itemsize)).astype(dtype), interlaced
        )
        for channels, name in enumerate(("grey", "grey and alpha", "RGB", "RGBA"), 1)
        for dtype in (np.uint8, np.uint16)
        for interlaced in (False, True)
    },
}


@pytest.mark.parametrize("encoded", READ.values(), ids=READ)
@pytest.mark.filterwarnings("error")
def test_every_reader_gives_the_pixels_of_the_graph(encoded, tmp_path):
    """`read_crop` is Keras's with align=False and LiteRT's, `read_photo` is predict's and align's."""
    (tmp_path / "a.jpg").write_bytes(encoded)
    expected = PREPROCESSING.decode(encoded).numpy()
    np.testing.assert_array_equal(read_crop(tmp_path / "a.jpg"), expected)
    np.testing.assert_array_equal(read_photo(encoded), expected)
    with Image.open(io.BytesIO(encoded)) as image:
        np.testing.assert_array_equal(read_photo(image), expected)
    np.testing.assert_array_equal(decode_image(Stored(str(tmp_path / "a.jpg"))), expected, "annotate, shortcuts")
    (sent,) = read_files(encoded, align=False)
    assert sent.data == encoded
    assert not is_turned(encoded)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image", [smooth_image(), GREY, Image.fromarray(NOISE[..., 0])], ids=["RGB", "L", "I;16"])
def test_every_reader_turns_by_exif(image, orientation, tmp_path):
    """What training does not: `check_data` names such files."""
    encoded = turned("PNG", image, orientation)
    stored = Image.fromarray(PREPROCESSING.decode(encoded).numpy())
    stored.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored))
    for read in (read_crop, read_photo):
        np.testing.assert_array_equal(read(encoded), expected)
        np.testing.assert_array_equal(read(Image.open(io.BytesIO(encoded))), expected)
    (sent,) = read_files([encoded], align=False)
    np.testing.assert_array_equal(PREPROCESSING.decode(sent.data), expected)
    assert (sent.data == encoded) == (orientation == 1)


@pytest.mark.parametrize("image", [Image.new("F", (9, 9)), Image.new("I", (9, 9))])
def test_what_has_no_black_and_white(image, tmp_path):
    image.save(tmp_path / "a.tiff")
    for photo in (image, encode(image, "TIFF"), tmp_path / "a.tiff"):
        with pytest.raises(FarkerasError, match="has pixels of 32 bits; expected 8 or 16 bits"):
            read_photo(photo)
    assert decode_image(Stored(str(tmp_path / "a.tiff"))) is None
