"""Batch normalisation of a training step as one operation, on TensorFlow and JAX.

Keras normalises a batch in about ten operations, which read and write the whole feature map, and so do their gradients.
In bfloat16 it converts the map to float32 first.
"""

from importlib import import_module
from types import MethodType

import keras
from keras import ops

from farkeras.models.batch_norms import batch_norms

_OPERATIONS = {
    "tensorflow": "farkeras.models.tensorflow_batch_norm",
    "jax": "farkeras.models.jax_batch_norm",
}


def fuse_batch_norms(model: keras.Model) -> None:
    """Lets the batch normalisation of feature maps train with one operation.

    Call it before the model is traced. The model's file and its results in inference mode do not change; a training
    step differs from Keras's by rounding. Layers on PyTorch, layers that average their statistics over replicas, and
    layers in float64 or float16 stay as Keras computes them.

    Args:
        model: The model.
    """
    if keras.backend.backend() not in _OPERATIONS:
        return
    dtypes = ("float32", "bfloat16") if keras.backend.backend() == "jax" else ("bfloat16",)
    for layer in batch_norms(model):
        maps = layer.input_spec.ndim == 4 and layer.axis in (-1, 3)
        if maps and layer.compute_dtype in dtypes and not layer.synchronized and not layer.renorm:
            layer.call = MethodType(_call, layer)


def _call(
    self: keras.layers.BatchNormalization,
    inputs: keras.KerasTensor,
    training: bool | None = None,
    mask: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """Replaces `BatchNormalization.call`: the same normalisation and the same moving statistics."""
    if mask is not None or not (training and self.trainable):
        return type(self).call(self, inputs, training=training, mask=mask)
    channels = inputs.shape[-1]
    outputs, mean, variance = import_module(_OPERATIONS[keras.backend.backend()]).normalize(
        inputs,
        ops.cast(self.gamma, "float32") if self.scale else ops.ones(channels),
        ops.cast(self.beta, "float32") if self.center else ops.zeros(channels),
        ops.cast(self.moving_mean, "float32"),
        self.epsilon,
    )
    for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
        moving.assign(moving * self.momentum + now * (1 - self.momentum))
    return outputs
