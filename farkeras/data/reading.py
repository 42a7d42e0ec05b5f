"""Reads images by example: from files, from a packed data set or from memory. All code that decodes images uses it."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from farkeras.data.examples import RECORD_HEAD, RECORD_TAIL, Decoded, Examples, Records
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError

IN_FLIGHT = max(16, os.cpu_count() or 1)
"""Images decoded concurrently. AUTOTUNE settles at one per core, which is a tenth slower because they wait."""

_SAMPLE = 100
"""Images after which the mean size of an image counts; the first ones may be much larger than the others."""

_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files with a container's limit of memory in bytes: those of version 2 and of version 1 of Linux's control groups."""


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


def image_decoder(examples: Examples) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that decodes the image of an example.

    The function takes an int64 index of an example and returns uint8 RGB `[height, width, 3]`. It runs eagerly and
    inside tf.data. An undecodable image raises `tf.errors.OpError`.
    """
    if examples.decoded is None:
        read = image_reader(examples)
        return lambda example: Preprocessing.decode(read(example))
    pixels = _in_place(examples.decoded.pixels)
    with tf.device("CPU"):
        begins, sides = tf.constant(examples.decoded.begin), tf.constant(examples.decoded.sides)

    def take(example: tf.Tensor) -> tf.Tensor:
        height, width = tf.unstack(sides[example])
        begin, size = begins[example], tf.cast(3 * height * width, tf.int64)
        with tf.control_dependencies([tf.debugging.assert_positive(size, "an undecodable image")]):
            return tf.reshape(pixels[begin : begin + size], [height, width, 3])

    return take


def in_memory(examples: Examples) -> Examples:
    """Decodes all images and returns the examples with `decoded`, from which `image_decoder` then takes them.

    Raises:
        FarkerasError: The images need more memory than the machine or its container has.
    """
    read, number, memory, total = image_decoder(examples), len(examples), _memory(), 0
    images = tf.data.Dataset.range(number).map(lambda example: (example, read(example)), IN_FLIGHT)
    parts: list[np.ndarray] = []
    sides = np.zeros((number, 2), np.int32)
    for example, image in images.ignore_errors(log_warning=False).as_numpy_iterator():
        parts.append(image.reshape(-1))
        total += image.nbytes
        expected = total * number / len(parts)
        if total > memory or (expected > memory and len(parts) >= _SAMPLE):
            raise FarkerasError(
                f"The {number:,} decoded images need about {expected / 1e9:,.1f} GB, and this machine has "
                f"{memory / 1e9:,.1f} GB of memory. Leave out `cache_images`."
            )
        sides[example] = image.shape[:2]
    sizes = 3 * sides.prod(axis=1, dtype=np.int64)
    pixels = _aligned(int(sizes.sum()))
    begin = 0
    for place in range(len(parts)):
        part, parts[place] = parts[place], np.zeros(0, np.uint8)  # so that no more than one image is there twice
        pixels[begin : begin + part.size] = part
        begin += part.size
    return replace(examples, decoded=Decoded(pixels, np.cumsum(sizes) - sizes, sides))


def _memory() -> int:
    """Returns the bytes of memory that this process may use: those of the machine, or the limit of its container."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    for file in _CONTAINER_LIMITS:
        with suppress(OSError, ValueError):  # another system, or "max"
            limits.append(int(Path(file).read_text()))
    return min(limits, default=sys.maxsize)


def _in_place(array: np.ndarray) -> tf.Tensor:
    """Returns a tensor that shares the memory of an array; `tf.constant` would copy it."""
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def _aligned(size: int) -> np.ndarray:
    """Returns a `uint8` array of `size` that begins where TensorFlow's operations expect a tensor to begin."""
    whole = np.empty(size + 64, np.uint8)
    begin = -whole.ctypes.data % 64
    return whole[begin : begin + size]


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
