"""The recogniser: what it takes, the order of what it gives, and one sentence for what it cannot use."""

import keras
import numpy as np
import pytest
from PIL import Image

import farkeras
from farkeras.attributes import Grouping
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.models.model_file import ModelMetadata, save_model
from farkeras.prediction import Recognizer

GROUPING = Grouping({"Colour": ("Red", "Blue"), "Other": ("Green",)}, ("Red", "Green", "Blue"))


class MeanColour(keras.Model):
    """Logits that can be computed by hand: the mean of each channel in units of 64 levels."""

    def call(self, images):
        return {"logits": keras.ops.mean(images, axis=(1, 2)) / 64 - 2}


@pytest.fixture
def recognizer():
    metadata = ModelMetadata(GROUPING, Preprocessing((8, 8)))
    return Recognizer(MeanColour(), metadata, batch_size=2)


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
    assert recognizer([], align=False) == []


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
    assert "Cannot read" in error(recognizer, tmp_path / "none.jpg", align=False)
    photo = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8))
    photo.write_bytes(photo.read_bytes()[:2000])
    message = error(recognizer, [photo], align=False)
    assert "a.jpg is not a JPEG or PNG image, or it is truncated" in message


@pytest.mark.parametrize("array", [np.zeros((9, 9)), np.zeros((9, 9, 3)), np.zeros((9, 9, 4), np.uint8)])
@pytest.mark.parametrize("align", [True, False])
def test_arrays_of_another_kind(recognizer, array, align):
    message = error(recognizer, [plain(0, 0, 0), array] if not align else array, align=align)
    assert "expected a uint8 array [height, width, 3], got" in message


def test_load_reads_a_saved_model(tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, {"logits": keras.layers.GlobalAveragePooling2D()(inputs)})
    save_model(model, ModelMetadata(GROUPING, Preprocessing((8, 8))), tmp_path / "model.keras")
    for path in (tmp_path, tmp_path / "model.keras"):
        (result,) = farkeras.load(path)(plain(1, 0, 0), align=False)
        np.testing.assert_allclose(result["Red"], 1 / (1 + np.exp(-1)), rtol=1e-5)


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
