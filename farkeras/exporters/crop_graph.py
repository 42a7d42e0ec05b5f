"""The graph that other formats are converted from: preprocessing and model, from aligned crops to probabilities."""

import keras
import tensorflow as tf

from farkeras.data.preprocessing import Preprocessing
from farkeras.models.base import LogitsModel


def write_graph(
    model: LogitsModel, preprocessing: Preprocessing, shape: tuple[int | None, int, int], folder: str
) -> None:
    """Writes preprocessing and model as a SavedModel with one signature, `serving_default`.

    Args:
        model: The model.
        preprocessing: The model's preprocessing.
        shape: Number, height and width of the crops; the number is None for any number.
        folder: Folder of the SavedModel.
    """

    def probabilities(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model.probabilities(preprocessing.resize(images))}

    archive = keras.export.ExportArchive()
    archive.track(model)
    images = tf.TensorSpec([*shape, 3], tf.uint8, name="images")
    archive.add_endpoint("serving_default", probabilities, [images])
    archive.write_out(folder, verbose=False)
