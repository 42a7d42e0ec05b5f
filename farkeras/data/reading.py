"""Reads encoded images by example, from files or from a packed data set. All code that decodes images uses it."""

import os
from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

from farkeras.data.examples import RECORD_HEAD, RECORD_TAIL, Examples, Records

IN_FLIGHT = max(16, os.cpu_count() or 1)
"""Images decoded concurrently. AUTOTUNE settles at one per core, which is a tenth slower because they wait."""


def image_reader(examples: Examples) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that reads the image of an example.

    The function takes an int64 index of an example and returns the encoded image as a scalar string. It runs eagerly
    and inside tf.data. An image that cannot be read raises `tf.errors.OpError`.
    """
    with tf.device("CPU"):  # where the pipeline runs
        if examples.records is not None:
            return _record_reader(examples.records)
        paths = _paths(examples.paths)
    return lambda example: tf.io.read_file(paths[example])


def encoded_images(examples: Examples) -> list[Callable[[], bytes]]:
    """Returns a function for each example that reads its encoded image.

    These functions raise `OSError` for a file that cannot be read and `tf.errors.OpError` for a damaged record.
    """
    if examples.records is None:
        return [stored.read for stored in examples.stored()]
    read = image_reader(examples)
    return [partial(lambda row: read(row).numpy(), row) for row in range(len(examples))]


def _record_reader(records: Records) -> Callable[[tf.Tensor], tf.Tensor]:
    files, file_of = _paths(records.files), tf.constant(records.file_of)
    offset, length = tf.constant(records.offset), tf.constant(records.length)

    def read(example: tf.Tensor) -> tf.Tensor:
        # tf.data.TFRecordDataset takes no offsets. The raw operation opens the file, reads one record at its offset,
        # verifies its checksum and closes the file.
        dataset = tf.raw_ops.TFRecordDatasetV2(
            filenames=files[file_of[example]],
            compression_type="",
            buffer_size=RECORD_HEAD + length[example] + RECORD_TAIL,
            byte_offsets=offset[example],
        )
        kind = {"output_types": [tf.string], "output_shapes": [[]]}
        first = tf.raw_ops.TakeDataset(input_dataset=dataset, count=1, **kind)
        return tf.raw_ops.DatasetToSingleElement(dataset=first, **kind)[0]

    return read


def _paths(paths: np.ndarray) -> tf.Tensor:
    return tf.constant([os.fsencode(path) for path in paths.tolist()], tf.string)  # TensorFlow encodes only UTF-8
