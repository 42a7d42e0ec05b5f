"""A recogniser whose answers can be computed by hand."""

import keras
import pytest

from farkeras.attributes import Grouping
from farkeras.data.preprocessing import Preprocessing
from farkeras.inference.recognizer import Recognizer
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata

GROUPING = Grouping({"Colour": ("Red", "Blue"), "Other": ("Green",)}, ("Red", "Green", "Blue"))


class MeanColour(LogitsModel):
    """Logits that can be computed by hand: the mean of each channel in units of 64 levels."""

    def __init__(self):
        images = keras.Input((None, None, 3))
        super().__init__(images, {"logits": keras.ops.mean(images, axis=(1, 2)) / 64 - 2})


@pytest.fixture
def recognizer():
    return Recognizer(MeanColour(), ModelMetadata(GROUPING, Preprocessing((8, 8))), batch_size=2)
