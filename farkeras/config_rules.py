"""The rules that the settings of `farkeras.Config` fulfil: each by itself, and several together."""

import dataclasses
import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from farkeras.attributes import check_name
from farkeras.errors import FarkerasError
from farkeras.settings import as_type_of


def checked_value(field: dataclasses.Field, value: Any) -> Any:
    """Converts a value to the type of a setting, a field of `farkeras.Config`, and checks it.

    Raises:
        FarkerasError: The value has the wrong type or is outside its range, or a name is invalid.
    """
    value, limits = as_type_of(field.default, value, field.name), field.metadata
    if limits["path"] and value not in limits["words"]:
        value = os.path.expanduser(value)
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, str) and not limits["path"]:
            check_name(f"`{field.name}`: the name", number)
        low, high = limits["at_least"], limits["at_most"]
        if (low is not None and number < low) or (high is not None and number > high) or number != number:
            bounds = f"at least {low}" + (f" and at most {high}" if high is not None else "")
            raise FarkerasError(f"`{field.name}` must be {bounds}. Received: {number}.")
    if limits["choices"] and value not in limits["choices"]:
        raise FarkerasError(f"`{field.name}` must be one of {', '.join(limits['choices'])}. Received: {value}.")
    return value


def check_names(names: Iterable[str], known: list[str]) -> None:
    """Raises a `FarkerasError` if a name is not that of a setting; `known` are all settings."""
    if unknown := sorted(set(names) - set(known)):
        close = difflib.get_close_matches(unknown[0], known, 1)
        raise FarkerasError(
            f"Unknown settings: {', '.join(unknown)}. "
            + (f"Did you mean {close[0]}?" if close else "Another version of farkeras may have written them.")
        )


def check_together(values: Mapping[str, Any]) -> None:
    """Checks the settings, by name, that limit one another.

    Raises:
        FarkerasError: Settings contradict one another.
    """
    if len(values["image_size"]) != 2:
        raise FarkerasError(f"`image_size` must be height,width. Received: {values['image_size']}.")
    crop = values["crop"]
    if len(crop) != 4 or not (crop[0] < crop[2] <= 1 and crop[1] < crop[3] <= 1):
        raise FarkerasError(
            "`crop` must be top,left,bottom,right with 0 <= top < bottom <= 1 and 0 <= left < right <= 1. "
            f"Received: {crop}."
        )
    ratios = values["split_ratios"]
    if len(ratios) != 3 or abs(sum(ratios) - 1) > 1e-6:
        raise FarkerasError(
            f"`split_ratios` must be three shares (train, validation, test) that add up to 1. Received: {ratios}."
        )
    stride, levels = values["mask_stride"], len(values["mask_widths"])
    if stride & (stride - 1) or stride >= 2**levels:
        raise FarkerasError(
            f"`mask_stride` must be a power of two below {2**levels}, because `mask_widths` has {levels} levels. "
            f"Received: {stride}."
        )
    if values["model"] == "mgmtn" and not (
        values["mask_loss_weight"] or values["mask_epochs"] or values["mask_gradients"]
    ):
        raise FarkerasError(
            "`mask_loss_weight=0` leaves the mask network untrained. Set a weight above 0, `mask_epochs` or "
            "`mask_gradients`."
        )
