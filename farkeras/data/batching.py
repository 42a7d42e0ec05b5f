"""Batches of images whose sizes may differ: smaller images are filled up."""

import tensorflow as tf


def batched(dataset: tf.data.Dataset, batch_size: int, drop_remainder: bool = True) -> tf.data.Dataset:
    """Batches elements that have an `image`.

    Args:
        dataset: A dataset of dicts. `image` may differ in height and width; then no part of an element may be None.
        batch_size: Batch size.
        drop_remainder: Whether to drop a partial batch at the end.

    Returns:
        The batches. Images are filled up with zeros to the right and below to the largest height and width of the
        batch, see `repeat_edges`.
    """
    if dataset.element_spec["image"].shape.is_fully_defined():
        return dataset.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.padded_batch(batch_size, drop_remainder=drop_remainder)


def repeat_edges(images: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """Replaces what filled images up by their last column and row.

    Args:
        images: `[B, height, width, channels]`.
        sides: Height and width of each image without what was added, int32 `[B, 2]`.

    Returns:
        The images, of the same shape.
    """
    height, width = tf.unstack(tf.shape(images)[1:3])

    def repeated() -> tf.Tensor:
        rows = tf.minimum(tf.range(height), sides[:, :1] - 1)
        columns = tf.minimum(tf.range(width), sides[:, 1:] - 1)
        return tf.gather(tf.gather(images, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)

    return tf.cond(tf.reduce_all(sides == [height, width]), lambda: images, repeated)
