"""Batch normalisation with fewer passes over the feature map, for training steps on TensorFlow and JAX.

Keras normalises a batch in about ten operations. On TensorFlow, each of them, and each gradient, reads and writes the
whole map, after a conversion to float32.
"""

from importlib import import_module
from types import MethodType

import keras
from keras import layers, ops

from farkeras.models.batch_norms import batch_norms

_OPERATIONS = {
    "tensorflow": "farkeras.models.tensorflow_batch_norm",
    "jax": "farkeras.models.jax_batch_norm",
}


def fuse_batch_norms(model: keras.Model) -> None:
    """Lets the batch normalisation of feature maps train faster: with one operation on TensorFlow, fewer passes on JAX.

    Call it before the model is traced. It changes the layers in place, also for other models that share them. The
    model's file and its results in inference mode do not change; a training step differs from Keras's by rounding. On
    JAX, such a step has no forward-mode derivatives.

    Layers stay as Keras computes them on PyTorch, if they average their statistics over replicas, if they compute in
    float64 or float16, and if they are of a class of your own.

    Args:
        model: The model.
    """
    if keras.backend.backend() in _OPERATIONS:
        for layer in batch_norms(model):
            if _can_be_fused(layer):
                layer.call = MethodType(_call, layer)


def _can_be_fused(layer: layers.BatchNormalization) -> bool:
    return (
        type(layer) is layers.BatchNormalization
        and layer.built
        and layer.input_spec.ndim == 4
        and layer.axis in (-1, 3)
        and layer.compute_dtype in ("float32", "bfloat16")
        and layer.variable_dtype == "float32"
        and not layer.synchronized
        and not layer.renorm
    )


def _call(
    self: layers.BatchNormalization,
    inputs: keras.KerasTensor,
    training: bool | None = None,
    mask: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """Replaces `BatchNormalization.call`: the same normalisation and the same moving statistics."""
    if mask is not None or not (training and self.trainable):
        return type(self).call(self, inputs, training=training, mask=mask)
    channels = self.moving_mean.shape
    outputs, mean, variance = import_module(_OPERATIONS[keras.backend.backend()]).normalize(
        ops.cast(inputs, self.compute_dtype),  # Keras does not cast integers
        ops.convert_to_tensor(self.gamma) if self.scale else ops.ones(channels, "float32"),
        ops.convert_to_tensor(self.beta) if self.center else ops.zeros(channels, "float32"),
        self.epsilon,
    )
    for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
        moving.assign(moving * self.momentum + now * (1 - self.momentum))
    return outputs
