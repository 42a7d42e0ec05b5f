"""Devices and arithmetic of a run."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from farkeras.errors import FarkerasError
from farkeras.models.model_file import check_keras

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float64": "float64"}


def make_strategy(replicas: int = 0) -> tf.distribute.MirroredStrategy:
    """MirroredStrategy over all GPUs, or over logical CPUs.

    Args:
        replicas: 0 for all GPUs, or one CPU where there is none; else this many logical CPUs.

    Raises:
        FarkerasError: TensorFlow already runs with another number of logical CPUs, or Keras on another backend.
    """
    check_keras()
    gpus = tf.config.list_logical_devices("GPU") if not replicas else []
    if gpus:
        return tf.distribute.MirroredStrategy([device.name for device in gpus])
    wanted = max(1, replicas)
    (cpu,) = tf.config.list_physical_devices("CPU")
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) < wanted:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * wanted)
        except RuntimeError:
            raise FarkerasError(
                f"`replicas={wanted}` needs {wanted} logical CPUs, but TensorFlow has started with fewer; set it "
                "before TensorFlow is used, in a fresh process."
            ) from None
    # Not the default collectives: on CPUs they are slower, and a second strategy in a process confuses them.
    devices = [f"/cpu:{i}" for i in range(wanted)]
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Builds models in `float32`, `bfloat16` (weights stay float32) or `float64` inside the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[name])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """All layers of batch normalisation in a model, those within other layers included."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]


def suit_batch_norms(model: keras.Model, steps: int, momentum: float = 0.0) -> None:
    """Sets how fast the moving statistics of batch normalisation follow; call before the model is traced.

    Backbones have momentums of up to 0.9997, made for runs of millions of steps. In a short run the first values of the
    statistics would stay, and a model that has learned would still answer like one that has not. So they weigh at most
    1 % after a tenth of the run; a momentum that is low enough for this stays. None is set below 0.9, for the mean of
    fewer than ten batches is too noisy.

    Args:
        model: The model.
        steps: How long it is trained.
        momentum: The momentum to set instead; 0 for none.
    """
    highest = max(0.9, 0.01 ** (10 / max(1, steps)))
    for layer in batch_norms(model):
        layer.momentum = momentum or min(layer.momentum, highest)
