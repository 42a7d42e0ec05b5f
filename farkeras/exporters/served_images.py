"""Decodes images inside a served graph. An undecodable or huge file does not affect the rest of its batch."""

import tensorflow as tf

from farkeras.data.preprocessing import Preprocessing, are_jpeg_and_png

MAX_PIXELS = 2**24
"""Images with more pixels are rejected from their header, before they are decoded. An aligned face has 38,804 pixels.
An image with this limit of 16.8 million pixels takes 50 MB decoded, and 200 MB while it is converted to the model's
input."""

_PARALLEL = 4  # images of a request decoded concurrently; each takes at most 250 MB


def decode_rows(encoded: tf.Tensor, preprocessing: Preprocessing) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes and resizes the images of a request, and leaves out undecodable ones.

    Args:
        encoded: JPEG or PNG files, string `[batch]`.
        preprocessing: Converts an image to the model's input.

    Returns:
        The rows of the V decodable files, int64 `[V]`, ascending, and their inputs for the model, float32
        `[V, height, width, 3]` in 0..255.
    """

    def read(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, decoded = _image_or_none(file, preprocessing)
        return preprocessing.resize(image), decoded

    kinds = tf.TensorSpec([*preprocessing.image_size, 3], tf.float32), tf.TensorSpec([], tf.bool)
    inputs, decoded = tf.map_fn(read, encoded, fn_output_signature=kinds, parallel_iterations=_PARALLEL)
    rows = tf.where(decoded)[:, 0]
    return rows, tf.gather(inputs, rows)


def put_rows(rows: tf.Tensor, values: tf.Tensor, num_rows: tf.Tensor) -> tf.Tensor:
    """Puts `values`, float32 `[V, A]`, at `rows` of a tensor `[num_rows, A]` that is NaN elsewhere."""
    nothing = tf.fill([num_rows, values.shape[-1]], tf.constant(float("nan")))
    return tf.tensor_scatter_nd_update(nothing, rows[:, None], values)


def _image_or_none(file: tf.Tensor, preprocessing: Preprocessing) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the image in a file and True, or an image of one pixel and False if the file is undecodable.

    The file is a dataset of one element, because only tf.data continues after an error. Each request sets up the
    function of the dataset anew, so the function does as little as possible: with the resize in it, a request took five
    times as long.
    """

    def read(file: tf.Tensor) -> tuple[tf.Tensor, bool]:
        return preprocessing.decode(_none_if_huge(file)), True

    options = tf.data.Options()  # the optimizations for long pipelines cost time in each request
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    image = tf.data.Dataset.from_tensors(file).map(read).ignore_errors(log_warning=False)
    none = tf.data.Dataset.from_tensors((tf.zeros([1, 1, 3], tf.uint8), False))
    return image.concatenate(none).take(1).with_options(options).get_single_element()


def _none_if_huge(file: tf.Tensor) -> tf.Tensor:
    """Returns the file (scalar string), or an empty string, which the decoder rejects, if the image is too large.

    The operations fail if the file has no complete header.
    """

    def jpeg() -> tf.Tensor:
        return tf.cast(tf.io.extract_jpeg_shape(file)[:2], tf.int64)

    def png() -> tf.Tensor:  # 8 bytes of signature, 4 of length, IHDR, width and height
        return tf.cast(tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.int32, little_endian=False), tf.int64)

    # The first bytes decide, as in the decoder. Otherwise a file could state its size here as another format.
    is_jpeg, is_png = are_jpeg_and_png(file)
    is_png &= tf.strings.substr(file, 12, 4) == b"IHDR"
    sides = tf.case([(is_jpeg, jpeg), (is_png, png)], lambda: tf.zeros([2], tf.int64))
    fits = tf.reduce_all(sides > 0) & (tf.reduce_prod(sides) <= MAX_PIXELS)
    return tf.where(fits, file, "")
