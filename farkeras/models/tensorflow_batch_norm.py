"""Batch normalisation of a training step as one operation of TensorFlow."""

import tensorflow as tf


def normalize(
    images: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises feature maps by the statistics of their batch.

    Args:
        images: Feature maps, `(batch, height, width, channels)`, float32 or bfloat16.
        scale: Factor of each channel, float32.
        offset: Summand of each channel, float32.
        epsilon: Summand of the variance.

    Returns:
        The normalised maps, in the type of `images`, and the mean and variance of each channel, float32.
    """
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=scale,
        offset=offset,
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=epsilon,
        is_training=True,
    )
    # The operation returns the variance divided by n - 1 values; Keras averages the one divided by n.
    values = tf.cast(tf.size(images) // tf.size(scale), tf.float32)
    return outputs, mean, variance * ((values - 1) / values)
