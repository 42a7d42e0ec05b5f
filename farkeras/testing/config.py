"""What the tests of all Keras objects check alike: the config, and how a difference is reported."""

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

_BASE_CONFIG = {"name", "trainable", "dtype"}


def check_config(instance: Any, init_kwargs: dict[str, Any]) -> None:
    """The constructor's arguments are the config's keys, and the config, through JSON, gives the same object again."""
    own_class, config = type(instance), json.loads(json.dumps(instance.get_config()))
    arguments = set(inspect.signature(own_class.__init__).parameters) - {"self", "args", "kwargs"}
    same("keys of the config", sorted(set(config) - _BASE_CONFIG), sorted(arguments - _BASE_CONFIG))
    for name, value in init_kwargs.items():
        if isinstance(value, str | int | float | list | None):
            same(f"'{name}' in the config", config[name], value)
    clone = own_class.from_config(json.loads(json.dumps(config)))  # a copy: Keras empties nested configs
    same("config of the object made from the config", json.loads(json.dumps(clone.get_config())), config)
    # By name, as a saved model finds it: fails for a class that is not registered.
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(instance)))
    same("deserialized class", type(keras.saving.deserialize_keras_object(serialized)), own_class)


def same(what: str, received: object, expected: object) -> None:
    """Raises AssertionError unless both are equal."""
    if received != expected:
        raise AssertionError(f"{what}: expected {expected}, received {received}")


def close(what: str, received: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Raises AssertionError unless both are numbers that differ little; NaN equals NaN."""
    received = keras.ops.convert_to_numpy(keras.ops.cast(received, "float32"))
    np.testing.assert_allclose(received, expected, rtol=tolerance, atol=tolerance, err_msg=what)


@contextmanager
def mixed_precision() -> Iterator[None]:
    """Makes layers and models under `mixed_bfloat16` in the block."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
