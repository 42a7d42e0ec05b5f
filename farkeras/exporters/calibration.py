"""Reads the training images that decide the ranges of 8-bit exports."""

import numpy as np
import tensorflow as tf

from farkeras.data.preprocessing import Preprocessing
from farkeras.data.reading import image_decoder
from farkeras.data.sources.opening import open_split
from farkeras.errors import FarkerasError
from farkeras.exporters.reference import ParityImages
from farkeras.models.model_file import ModelMetadata


def read_calibration_images(
    metadata: ModelMetadata, images: ParityImages, number: int, input_size: tuple[int, int]
) -> list[np.ndarray]:
    """Reads crops of training images, evenly spread over the split: uint8 `[height, width, 3]`.

    Images that show more than CelebA's frame are cut to the frame. Crops that do not have `input_size` are resized.
    """
    where = (images.source, images.data_dir, images.progress, images.settings)
    examples, _, data_dir = open_split(metadata.grouping.attributes, metadata.config, "train", *where)
    decoded, crop = image_decoder(examples), Preprocessing(input_size, examples.frame)
    rows = np.linspace(0, len(examples) - 1, min(number, len(examples))).astype(np.int64)

    def read(row: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.round(crop.resize(decoded(row))), tf.uint8)

    dataset = tf.data.Dataset.from_tensor_slices(rows).map(read, tf.data.AUTOTUNE).ignore_errors(log_warning=False)
    if not (found := list(dataset.as_numpy_iterator())):
        raise FarkerasError(f"{data_dir} has no training images to calibrate int8 on. Remove int8 from `precisions`.")
    return found
