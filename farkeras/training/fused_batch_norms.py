"""Batch normalisation of a training step in bfloat16 as one operation of TensorFlow.

Keras normalises a batch in about ten operations. In bfloat16 it converts the feature map to float32 first, and each
operation, and each gradient, reads and writes the whole map. The fused operation reads the map in bfloat16 and computes
the statistics in float32.
"""

from types import MethodType

import keras
import tensorflow as tf

from farkeras.models.batch_norms import batch_norms


def fuse_batch_norms(model: keras.Model) -> None:
    """Lets the batch normalisation of feature maps in bfloat16 train with the fused operation.

    Call it before the model is traced. The model's file and its results in inference mode do not change. A layer that
    averages its statistics over the replicas stays as Keras computes it. So does a layer in float32, because the fused
    operation rounds differently: the published figures of trained models are those of Keras's operations.

    Args:
        model: The model.
    """
    for layer in batch_norms(model):
        maps = layer.input_spec.ndim == 4 and layer.axis in (-1, 3)
        if maps and layer.compute_dtype == "bfloat16" and not layer.synchronized and not layer.renorm:
            layer.call = MethodType(_call, layer)


def _call(
    self: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: tf.Tensor | None = None,
) -> tf.Tensor:
    """Replaces `BatchNormalization.call`: the same normalisation and the same moving statistics."""
    if mask is not None or not (training and self.trainable):
        return type(self).call(self, inputs, training=training, mask=mask)
    channels = inputs.shape[-1]
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.cast(self.gamma, tf.float32) if self.scale else tf.ones(channels),
        offset=tf.cast(self.beta, tf.float32) if self.center else tf.zeros(channels),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=self.epsilon,
        is_training=True,
    )
    # The operation returns the variance divided by n - 1 values; Keras averages the one divided by n.
    values = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance *= (values - 1) / values
    for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
        moving.assign(moving * self.momentum + now * (1 - self.momentum))
    return outputs
