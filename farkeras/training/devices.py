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
