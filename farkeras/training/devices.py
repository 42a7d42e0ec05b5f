"""Devices and precision of a run."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import errors

from farkeras.errors import FarkerasError
from farkeras.models.model_file import check_keras
from farkeras.training.workers import Workers

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float64": "float64"}


def make_strategy(replicas: int = 0) -> tf.distribute.MirroredStrategy:
    """Makes a `MirroredStrategy` over all GPUs or over logical CPUs.

    Args:
        replicas: Number of logical CPUs. 0: all GPUs, or one CPU without GPUs.

    Raises:
        FarkerasError: TensorFlow has already started with fewer logical CPUs, or Keras uses another backend.
    """
    check_keras()
    gpus = tf.config.list_logical_devices("GPU") if not replicas else []
    if gpus:
        return _mirrored([device.name for device in gpus])
    wanted = max(1, replicas)
    (cpu,) = tf.config.list_physical_devices("CPU")
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) < wanted:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * wanted)
        except RuntimeError:
            raise FarkerasError(
                f"`replicas={wanted}` needs {wanted} logical CPUs, but TensorFlow has started with fewer. Set it in a "
                "new process, before TensorFlow is used."
            ) from None
    return _mirrored([f"/cpu:{i}" for i in range(wanted)], tf.distribute.ReductionToOneDevice())


def _mirrored(
    devices: list[str], cross_device_ops: tf.distribute.CrossDeviceOps | None = None
) -> tf.distribute.MirroredStrategy:
    """Makes a strategy over devices of this machine. TensorFlow would fail to read an empty or invalid `TF_CONFIG`.

    On CPUs, `ReductionToOneDevice` is faster than the default collectives, and a second strategy in a process confuses
    those.
    """
    hidden = os.environ.pop("TF_CONFIG", None)
    try:
        return tf.distribute.MirroredStrategy(devices, cross_device_ops=cross_device_ops)
    finally:
        if hidden is not None:
            os.environ["TF_CONFIG"] = hidden


def make_cluster_strategy(workers: Workers) -> tf.distribute.MultiWorkerMirroredStrategy:
    """Makes a `MultiWorkerMirroredStrategy` over all GPUs of all workers, or over one CPU of each.

    Raises:
        FarkerasError: TensorFlow has already started in this process.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": workers.addresses}),
        task_type="worker",
        task_id=workers.number,
        rpc_layer="grpc",
        num_accelerators={"GPU": gpus},
    )
    # Without this, the loss of a worker would leave the others in a computation that never ends.
    workers.when_lost = lambda why: context.context().abort_collective_ops(errors.UNAVAILABLE, why)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # TensorFlow has replaced it by one that only takes a note
        return strategy
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise FarkerasError(
            "Training on several machines must begin before TensorFlow is used in a process. Start it in a new process."
        ) from None


def local_strategy(strategy: tf.distribute.Strategy) -> tf.distribute.Strategy:
    """Returns a strategy over the devices of this machine, for work that needs no other machine."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return strategy
    return _mirrored(list(strategy.extended.worker_devices), tf.distribute.ReductionToOneDevice())


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Sets the precision of models built in the block: `float32`, `bfloat16` (weights stay float32) or `float64`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[name])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
