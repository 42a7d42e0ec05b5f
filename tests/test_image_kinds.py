"""Only JPEG and PNG are images, everywhere and in the same words; TensorFlow's decoder takes more, by its version."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from farkeras.attributes import Grouping
from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples
from farkeras.data.image_files import read_image_file
from farkeras.data.pipeline import evaluation_dataset, find_undecodable, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.exporters.served_images import decode_rows
from farkeras.inference.recognizer import Recognizer
from farkeras.models import LogitsModel
from farkeras.models.model_file import ModelMetadata
from tests.bad_images import encode, smooth_image

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
