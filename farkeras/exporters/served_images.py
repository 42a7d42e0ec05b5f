"""Encoded images inside a served graph: a bad file does not affect the rest of its batch, nor does a huge one."""

import tensorflow as tf

from farkeras.data.preprocessing import Preprocessing, are_jpeg_and_png

MAX_PIXELS = 2**24
"""Images with more pixels are refused by their header, before they are decoded. An aligned face has 38,804 pixels; the
16.8 million here take 50 MB decoded and 200 MB on their way to the model's input."""

_PARALLEL = 4  # images of a request decoded concurrently: at worst as many times 250 MB


def decode_rows(encoded: tf.Tensor, preprocessing: Preprocessing) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the files that can be decoded, and resizes their images.

    Args:
        encoded: JPEG or PNG files, string `[batch]`.
        preprocessing: From an image to the model's input.

    Returns:
        The V rows that could be decoded, int64 `[V]`, ascending, and the inputs, float32 `[V, height, width, 3]` in
        0..255.
    """

    def read(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, decoded = _image_or_none(file, preprocessing)
        return preprocessing.resize(image), decoded

    kinds = tf.TensorSpec([*preprocessing.image_size, 3], tf.float32), tf.TensorSpec([], tf.bool)
    inputs, decoded = tf.map_fn(read, encoded, fn_output_signature=kinds, parallel_iterations=_PARALLEL)
    rows = tf.where(decoded)[:, 0]
    return rows, tf.gather(inputs, rows)


def put_rows(rows: tf.Tensor, values: tf.Tensor, num_rows: tf.Tensor) -> tf.Tensor:
    """float32 `values` `[V, A]` at `rows` of a tensor `[num_rows, A]` that is NaN elsewhere."""
    nothing = tf.fill([num_rows, values.shape[-1]], tf.constant(float("nan")))
    return tf.tensor_scatter_nd_update(nothing, rows[:, None], values)


def _image_or_none(file: tf.Tensor, preprocessing: Preprocessing) -> tuple[tf.Tensor, tf.Tensor]:
    """The image in a file and True, or one pixel and False.

    It is a dataset of one, as only tf.data continues after an error. Its function, which each request sets up anew,
    does as little as possible: with resizing it took five times as long.
    """

    def read(file: tf.Tensor) -> tuple[tf.Tensor, bool]:
        return preprocessing.decode(_none_if_huge(file)), True

    options = tf.data.Options()  # without the optimizations of long pipelines, which cost time in each request
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    image = tf.data.Dataset.from_tensors(file).map(read).ignore_errors(log_warning=False)
    none = tf.data.Dataset.from_tensors((tf.zeros([1, 1, 3], tf.uint8), False))
    return image.concatenate(none).take(1).with_options(options).get_single_element()


def _none_if_huge(file: tf.Tensor) -> tf.Tensor:
    """The file (scalar string), or an empty one, which the decoder refuses; raises where there is no header."""

    def jpeg() -> tf.Tensor:
        return tf.cast(tf.io.extract_jpeg_shape(file)[:2], tf.int64)

    def png() -> tf.Tensor:  # 8 bytes of signature, 4 of length, IHDR, width and height
        return tf.cast(tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.int32, little_endian=False), tf.int64)

    # By their first bytes, as the decoder tells them apart: else a file could show the size of another format here.
    is_jpeg, is_png = are_jpeg_and_png(file)
    is_png &= tf.strings.substr(file, 12, 4) == b"IHDR"
    sides = tf.case([(is_jpeg, jpeg), (is_png, png)], lambda: tf.zeros([2], tf.int64))
    fits = tf.reduce_all(sides > 0) & (tf.reduce_prod(sides) <= MAX_PIXELS)
    return tf.where(fits, file, "")
