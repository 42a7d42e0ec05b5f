"""A field of `farkeras.Config`: what its flag, check and help need, and the type of its value."""

import dataclasses
import numbers
import os
from typing import Any

from farkeras.errors import FarkerasError


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    at_least: float | None = None,
    at_most: float | None = None,
    free: bool = False,
    path: bool = False,
    words: tuple[str, ...] = (),
) -> Any:
    """Returns a field of `farkeras.Config` with what its flag, check and help need.

    In `help`, other settings stand in backticks. `at_least` and `at_most` hold for each item of a list. A `free`
    setting may change when a run continues, because it does not change the results. A `path` setting names a file or
    folder, unless its value is one of `words`.
    """
    metadata = {"help": help, "choices": choices, "at_least": at_least, "at_most": at_most, "free": free}
    metadata |= {"path": path, "words": words}
    return dataclasses.field(default=default, metadata=metadata)


def as_type_of(default: Any, value: Any, name: str) -> Any:
    """Converts `value` to the type of a setting's default; raises `FarkerasError` if it has another type."""
    kind = type(default)
    if kind is tuple and isinstance(value, list | tuple):
        # A list without a default item is a list of names.
        return tuple(as_type_of(default[0] if default else "", item, name) for item in value)
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    number = not isinstance(value, bool)  # in Python a bool is an int, too
    if kind is float and number and isinstance(value, numbers.Real):
        return float(value)
    if kind is int and number and isinstance(value, numbers.Integral):
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    raise FarkerasError(f"`{name}` must be of type {kind.__name__}. Received: {value!r}.")
