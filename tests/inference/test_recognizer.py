"""The recogniser: what it takes, the order of what it gives, and one sentence for what it cannot use."""

import concurrent.futures
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import farkeras
from farkeras.attributes import REGIONS
from farkeras.consistency.answers import Consistency
from farkeras.consistency.rules import Contradiction
from farkeras.data.preprocessing import Preprocessing
from farkeras.decisions import Calibration
from farkeras.errors import FarkerasError
from farkeras.inference import recognizer as prediction
from farkeras.inference.recognizer import Recognizer
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, save_model
from farkeras.photos.alignment import CROP_EYES
from farkeras.photos.landmarks import find_face
from farkeras.report.region_centres import mesh_centre, region_centre
from tests.bad_images import jpeg_bomb, png_bomb, smooth_image, turned
from tests.inference.conftest import GROUPING, MeanColour


class ColourSeer(MeanColour):
    """Sees Eyes where the picture is red, Nose where it is green and Mouth where it is blue."""

    has_masks, mask_size = True, (56, 48)

    def masks(self, images):
        images = tf.image.resize(images, self.mask_size, antialias=True) / 255
        seen = images - (tf.reduce_sum(images, -1, keepdims=True) - images)  # 1 in the pure colour, 0 or less elsewhere
        region = [REGIONS.index(name) for name in ("Eyes", "Nose", "Mouth")]
        return tf.matmul(tf.clip_by_value(seen, 0, 1), tf.one_hot(region, len(REGIONS))[None])


def plain(red, green, blue, size=(218, 178)):
    return np.full((*size, 3), (red, green, blue), np.uint8)


def expected(red, green, blue):
    return 1 / (1 + np.exp(2 - np.array([red, green, blue]) / 64))


def save(path, array):
    Image.fromarray(array).save(path)
    return path


def error(recognizer, photos, **options):
    with pytest.raises(FarkerasError) as raised:
        recognizer(photos, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_attributes_and_groups(recognizer):
    assert recognizer.attributes == ("Red", "Green", "Blue")
    assert recognizer.groups == {"Colour": ("Red", "Blue"), "Other": ("Green",)}


def test_probabilities_of_crops_of_any_number_and_size(recognizer):
    colours = np.random.default_rng(0).integers(0, 256, (5, 3))
    crops = [plain(*colour, size=(40 + i, 30)) for i, colour in enumerate(colours)]
    for count in range(6):
        result = recognizer.probabilities(crops[:count])
        assert result.dtype == np.float32
        assert result.shape == (count, 3)
        for row, colour in zip(result, colours, strict=False):
            np.testing.assert_allclose(row, expected(*colour), rtol=1e-5)


def test_result_names_attributes_in_order(recognizer):
    (result,) = recognizer(plain(255, 128, 0), align=False)
    assert list(result) == ["Red", "Green", "Blue"]
    assert all(type(value) is float for value in result.values())
    np.testing.assert_allclose(list(result.values()), expected(255, 128, 0), rtol=1e-5)


def test_every_form_of_input_gives_the_same(recognizer, tmp_path):
    arrays = [plain(255, 0, 0), plain(0, 255, 0), plain(0, 0, 255)]
    paths = [save(tmp_path / f"{i}.png", array) for i, array in enumerate(arrays)]
    wanted = recognizer(arrays, align=False)
    assert recognizer(np.stack(arrays), align=False) == wanted
    assert recognizer(paths, align=False) == wanted
    assert recognizer(map(str, paths), align=False) == wanted
    assert recognizer([paths[0], *arrays[1:]], align=False) == wanted
    assert recognizer(str(paths[1]), align=False) == wanted[1:2]
    assert recognizer(paths[1], align=False) == wanted[1:2]
    assert recognizer(tf.constant(arrays[1]), align=False) == wanted[1:2]
    assert recognizer(tf.constant(np.stack(arrays)), align=False) == wanted
    assert recognizer(tf.io.read_file(str(paths[1])), align=False) == wanted[1:2]
    with Image.open(paths[1]) as image, open(paths[2], "rb") as file:
        assert recognizer([paths[0].read_bytes(), image, file], align=False) == wanted
        assert recognizer(image, align=False) == wanted[1:2]
        np.testing.assert_array_equal(recognizer.probabilities([image, file]), recognizer.probabilities(arrays[1:]))
    assert recognizer([], align=False) == []


def test_a_crop_that_is_to_be_turned(recognizer, tmp_path):
    """A photograph is, so a crop is, too, here and before the clients send it."""
    upright = smooth_image()
    (tmp_path / "a.png").write_bytes(turned("PNG", upright.transpose(Image.Transpose.ROTATE_90), orientation=6))
    assert recognizer(tmp_path / "a.png", align=False) == recognizer(upright, align=False)


def test_an_image_that_was_not_read(recognizer):
    """cv2.imread returns None for it."""
    good, bad = recognizer.predict_each([plain(9, 9, 9), None], align=False)
    assert good.probabilities
    assert bad.error.startswith("image 1 is None: the image could not be read. Check its path")
    for ask in (recognizer, recognizer.probabilities):
        with pytest.raises(FarkerasError, match="image 0 is None: the image could not be read"):
            ask(None)


def test_errors_take_the_place_of_the_photo(recognizer, tmp_path):
    good = save(tmp_path / "good.png", plain(9, 9, 9))
    bad = tmp_path / "bad.jpg"
    bad.write_text("text")
    results = list(recognizer.predict_each([bad, good, bad, bad, good], align=False))
    assert [result.error is None for result in results] == [False, True, False, False, True]
    assert [result.photo for result in results] == [str(p) for p in (bad, good, bad, bad, good)]
    assert results[0].probabilities is None
    assert results[1].probabilities == results[4].probabilities


def test_crop_that_is_missing_or_broken(recognizer, tmp_path):
    assert "There is no file" in error(recognizer, tmp_path / "none.jpg", align=False)
    photo = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8))
    photo.write_bytes(photo.read_bytes()[:2000])
    message = error(recognizer, [photo], align=False)
    assert message.startswith(f"{photo} cannot be decoded (")


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("bomb", [png_bomb(), jpeg_bomb()])
def test_bombs_are_refused_at_their_header(recognizer, tmp_path, bomb, align):
    (tmp_path / "a.jpg").write_bytes(bomb)
    assert f"{tmp_path}/a.jpg has more than 178,956,970 pixels" in error(recognizer, tmp_path / "a.jpg", align=align)


@pytest.mark.parametrize("array", [np.zeros((9, 9)), np.zeros((9, 9, 3)), np.zeros((9, 9, 4), np.uint8)])
@pytest.mark.parametrize("align", [True, False])
def test_arrays_of_another_kind(recognizer, array, align):
    message = error(recognizer, [plain(0, 0, 0), array] if not align else array, align=align)
    assert "expected a uint8 array [height, width, 3]. Received: " in message


def eyes_are(monkeypatch, eyes):
    """In every photograph; no face finder is needed then."""
    monkeypatch.setattr(prediction, "load_face_finder", lambda: None)
    monkeypatch.setattr(prediction, "find_eyes", lambda image, name: np.array(eyes))


def test_eyes_that_coincide(recognizer, monkeypatch, tmp_path):
    eyes_are(monkeypatch, [(5.0, 5.0), (5.5, 5.0)])
    photo = save(tmp_path / "a.png", plain(9, 9, 9))
    assert error(recognizer, photo) == f"{photo}: The two eyes lie less than one pixel apart; expected a larger face."


def test_load_reads_a_saved_model(tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = LogitsModel(inputs, {"logits": keras.layers.GlobalAveragePooling2D()(inputs)})
    save_model(model, ModelMetadata(GROUPING, Preprocessing((8, 8))), tmp_path / "model.keras")
    for path in (tmp_path, tmp_path / "model.keras"):
        (result,) = farkeras.load(path)(plain(1, 0, 0), align=False)
        np.testing.assert_allclose(result["Red"], 1 / (1 + np.exp(-1)), rtol=1e-5)


PLACES = {"Eyes": (88, 112), "Nose": (92, 132), "Mouth": (80, 160)}  # in the crop; not symmetric
COLOURS = {"Eyes": (255, 0, 0), "Nose": (0, 255, 0), "Mouth": (0, 0, 255)}


class TestRegions:
    """The masks are predicted on the crop; what is drawn lies on the photograph."""

    def photograph(self, to_photo, size=(600, 700)):
        """A disc for each region, drawn where the similarity `to_photo` sends its place in the crop."""
        y, x = np.mgrid[: size[0], : size[1]]
        photo = np.full((*size, 3), 0, np.uint8)
        centres = {name: np.array(to_photo) @ (*place, 1) for name, place in PLACES.items()}
        for name, centre in centres.items():
            radius = 9 * np.hypot(*np.array(to_photo)[:, 0])
            photo[np.hypot(x - centre[0], y - centre[1]) <= radius] = COLOURS[name]
        return photo, centres

    def seer(self, crop=(0.0, 0.0, 1.0, 1.0)):
        return Recognizer(ColourSeer(), ModelMetadata(GROUPING, Preprocessing((112, 96), crop)), batch_size=2)

    @pytest.mark.parametrize("crop", [(0.0, 0.0, 1.0, 1.0), (0.2, 0.1, 0.9, 0.8)])
    @pytest.mark.parametrize("angle", [0, 30, -100])
    @pytest.mark.parametrize("scale", [0.7, 2.3])
    def test_centres_in_the_photograph(self, monkeypatch, crop, angle, scale):
        turn = scale * np.exp(1j * np.radians(angle))
        corner = complex(330, 280) - turn * complex(88, 125)  # the middle of the face in the middle of the photograph
        to_photo = [[turn.real, -turn.imag, corner.real], [turn.imag, turn.real, corner.imag]]
        photo, centres = self.photograph(to_photo)
        eyes = np.array([np.array(to_photo) @ (*eye, 1) for eye in CROP_EYES])
        eyes_are(monkeypatch, eyes)
        (result,) = self.seer(crop).predict_each(photo, regions=True)
        assert result.regions.image is photo
        assert result.regions.masks.shape == (56, 48, len(REGIONS))
        for name, centre in centres.items():
            np.testing.assert_allclose(region_centre(result.regions, name), centre, atol=0.25 * max(1, scale))

    @pytest.mark.parametrize("crop", [(0.0, 0.0, 1.0, 1.0), (0.2, 0.1, 0.9, 0.8)])
    def test_centres_in_a_crop(self, crop, tmp_path):
        photo, centres = self.photograph(np.eye(2, 3), (218, 178))
        path = save(tmp_path / "crop.png", photo)
        for result in self.seer(crop).predict_each([photo, path, photo], align=False, regions=True):
            np.testing.assert_array_equal(result.regions.image, photo)
            for name, centre in centres.items():
                np.testing.assert_allclose(region_centre(result.regions, name), centre, atol=0.25)

    def test_regions_only_on_request(self):
        photos = [plain(9, 9, 9), np.zeros((9, 9))]
        without = list(self.seer().predict_each(photos, align=False))
        assert [result.regions for result in without] == [None, None]
        good, bad = self.seer().predict_each(photos, align=False, regions=True)
        assert good.probabilities == without[0].probabilities
        assert good.regions is not None
        assert bad.regions is None

    def test_masks_of_crops(self):
        seer = self.seer()
        crops = [plain(255, 0, 0), plain(0, 255, 0), plain(0, 0, 255)]
        masks = seer.masks(crops)
        assert masks.dtype == np.float32
        np.testing.assert_allclose(masks.mean(axis=(1, 2)), np.eye(len(REGIONS))[[1, 2, 4]], atol=1e-5)
        assert seer.masks([]).shape == (0, 56, 48, len(REGIONS))

    def test_model_without_masks(self, recognizer):
        for ask in (
            lambda: recognizer.masks([plain(0, 0, 0)]),
            lambda: list(recognizer.predict_each(["none.jpg"], regions=True)),
        ):
            with pytest.raises(FarkerasError, match="has no masks of facial regions; expected an MGMTN model"):
                ask()

    def test_discs_at_the_pupils_lie_on_the_photographs_pupils(self):
        pytest.importorskip("mediapipe")
        astronaut = pytest.importorskip("skimage.data").astronaut()

        class PupilSeer(ColourSeer):
            def masks(self, images):
                y, x = np.mgrid[:56, :48]
                x, y = (x + 0.5) / 48 * 178 - 0.5, (y + 0.5) / 56 * 218 - 0.5
                discs = sum(np.hypot(x - u, y - v) < 12 for u, v in CROP_EYES)
                return tf.tile(tf.one_hot(discs, 3)[None, ..., 1:2] * tf.ones(8), (len(images), 1, 1, 1))

        recognizer = Recognizer(PupilSeer(), ModelMetadata(GROUPING, Preprocessing((112, 96))), batch_size=1)
        (result,) = recognizer.predict_each(astronaut, regions=True)
        points = find_face(astronaut)
        np.testing.assert_allclose(region_centre(result.regions, "Eyes"), points[[468, 473]].mean(axis=0), atol=1)
        # What a trained model is held to, by tests/region_centres.py: eyes and brows lie around the pupils.
        assert np.hypot(*(mesh_centre(points, "Eyes") - points[[468, 473]].mean(axis=0))) < 8


class TestPhotographs:
    @pytest.fixture(scope="class")
    def astronaut(self):
        pytest.importorskip("mediapipe")
        return pytest.importorskip("skimage.data").astronaut()

    def test_face_is_aligned(self, recognizer, astronaut, tmp_path):
        photo = save(tmp_path / "astronaut.png", astronaut)
        aligned, again = recognizer([photo, astronaut])
        assert aligned == again
        assert aligned != recognizer(astronaut, align=False)[0]

    def test_no_face_and_no_photo(self, recognizer, astronaut, tmp_path):
        blank = save(tmp_path / "blank.png", plain(1, 2, 3))
        text = tmp_path / "text.jpg"
        text.write_text("text")
        results = list(recognizer.predict_each([blank, text, astronaut, plain(1, 2, 3)]))
        assert f"{blank}: no face found" in results[0].error
        assert f"{text} is not an image" in results[1].error
        assert results[2].error is None
        assert "image 3: no face found" in results[3].error


FORKED = """
import os, signal, sys
import numpy as np
import farkeras
recognizer = farkeras.load(sys.argv[1])
crop = np.zeros((8, 8, 3), np.uint8)
recognizer(crop, align=False)
if not os.fork():
    signal.alarm(60)
    try:
        recognizer(crop, align=False)
    except farkeras.FarkerasError as error:
        print(error, flush=True)
    os._exit(0)
sys.exit(os.wait()[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_is_refused(tmp_path):
    """TensorFlow would wait for ever in it."""
    inputs = keras.Input((8, 8, 3))
    model = LogitsModel(inputs, {"logits": keras.layers.GlobalAveragePooling2D()(inputs)})
    save_model(model, ModelMetadata(GROUPING, Preprocessing((8, 8))), tmp_path / "model.keras")
    command = [sys.executable, "-c", FORKED, tmp_path / "model.keras"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("This recogniser was loaded before the process was forked")


def test_threads_share_a_recogniser(recognizer):
    """As the threads of a web server do; the pictures differ in size, so that each has a function to be traced."""
    crops = [plain(20 * i, 5 * i, i, (8 + i % 3, 8)) for i in range(12)]
    alone = [recognizer(crop, align=False) for crop in crops]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda i: recognizer(crops[i % 12], align=False), range(96)))
    assert together == alone * 8


def test_decisions_at_the_thresholds_of_the_model():
    calibration = Calibration(
        {"Red": 2.0, "Green": 1.0, "Blue": 1.0},
        dict.fromkeys(("Red", "Green", "Blue"), 0.0),
        {"Red": 0.6, "Green": 0.5, "Blue": 0.4},
    )
    model = MeanColour()
    model.calibration = np.array([[0.5, 1, 1], [0, 0, 0]], np.float32)
    recognizer = Recognizer(model, ModelMetadata(GROUPING, Preprocessing((8, 8)), calibration=calibration))
    assert recognizer.calibrated
    assert recognizer.thresholds == calibration.thresholds
    photo = plain(152, 152, 120)  # logits 3/8, 3/8 and -1/8; the first is halved
    (answer,) = recognizer.predict_each(photo, align=False)
    values = 1 / (1 + np.exp([-3 / 16, -3 / 8, 1 / 8]))
    assert list(answer.probabilities.values()) == pytest.approx(values.tolist())  # 0.547, 0.593 and 0.469
    assert answer.decisions == {"Red": False, "Green": True, "Blue": True}
    assert (answer.positive, answer.unsure) == (["Green", "Blue"], [])
    (careful,) = recognizer.predict_each(photo, align=False, min_confidence=0.58)  # Red 0.554, Blue 0.569
    assert careful.decisions == {"Red": None, "Green": True, "Blue": None}
    assert (careful.positive, careful.unsure) == (["Green"], ["Red", "Blue"])
    (forced,) = recognizer.predict_each(photo, align=False, threshold=0.545)
    assert forced.decisions == {"Red": True, "Green": True, "Blue": False}


def test_decisions_without_contradictions(recognizer):
    consistency = Consistency(recognizer.attributes, [Contradiction(("Red", "Blue"))])
    (answer,) = recognizer.predict_each(plain(200, 100, 160), align=False, consistency=consistency)
    assert answer.decisions == {"Red": True, "Green": False, "Blue": False}


def test_a_model_without_calibration_decides_at_half(recognizer):
    assert not recognizer.calibrated
    (answer,) = recognizer.predict_each(plain(200, 100, 128), align=False)
    assert answer.decisions == {"Red": True, "Green": False, "Blue": True}


@pytest.mark.parametrize("name", ["min_confidence", "threshold"])
def test_a_share_that_is_none(recognizer, name):
    with pytest.raises(FarkerasError, match=rf"^`{name}` must be 0 to 1\. Received: 50\.$"):
        next(recognizer.predict_each(plain(1, 2, 3), align=False, **{name: 50}))
