"""Checks that the tests of all Keras objects share."""

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

_BASE_CONFIG = {"name", "trainable", "dtype"}


def check_config(instance: Any, init_kwargs: dict[str, Any]) -> None:
    """Checks that the config has the constructor's arguments as keys and recreates the same object through JSON."""
    own_class, config = type(instance), json.loads(json.dumps(instance.get_config()))
    arguments = set(inspect.signature(own_class.__init__).parameters) - {"self", "args", "kwargs"}
    same("keys of the config", sorted(set(config) - _BASE_CONFIG), sorted(arguments - _BASE_CONFIG))
    for name, value in init_kwargs.items():
        if isinstance(value, str | int | float | list | None):
            same(f"'{name}' in the config", config[name], value)
    clone = own_class.from_config(json.loads(json.dumps(config)))  # a copy: Keras empties nested configs
    same("config of the object made from the config", json.loads(json.dumps(clone.get_config())), config)
    # Deserialisation by name, as for a saved model, fails for a class that is not registered.
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(instance)))
    same("deserialized class", type(keras.saving.deserialize_keras_object(serialized)), own_class)


def same(what: str, received: object, expected: object) -> None:
    """Raises `AssertionError` unless both values are equal."""
    if received != expected:
        raise AssertionError(f"{what}: expected {expected}, received {received}")


def close(what: str, received: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Raises `AssertionError` unless both values are equal within `tolerance`; NaN equals NaN."""
    received = keras.ops.convert_to_numpy(keras.ops.cast(received, "float32"))
    np.testing.assert_allclose(received, expected, rtol=tolerance, atol=tolerance, err_msg=what)


@contextmanager
def mixed_precision() -> Iterator[None]:
    """Uses the dtype policy `mixed_bfloat16` inside the block."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
