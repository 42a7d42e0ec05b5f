"""Finds the weights of one network in the content of a PyTorch checkpoint, and removes wrappers from their names."""

from pathlib import Path
from typing import Any, TypeVar

from farkeras.errors import FarkerasError, few
from farkeras.models.torch_pickles import Tensor

SAVE_WEIGHTS = "In PyTorch, save the weights alone, torch.save(model.state_dict(), 'name.pth'), and give that file."

_WRAPPERS = ("module", "_orig_mod", "model", "backbone", "network", "net", "encoder")
"""First parts of all names under DataParallel, torch.compile, and in a model around a backbone."""

_MAX_DEPTH = 4
_MAX_NAME = 500

Value = TypeVar("Value")


def choose_weights(path: Path, content: Any, part: str = "") -> dict[str, Tensor]:
    """Returns the one state dict in the content of a file.

    Args:
        path: The file, for messages.
        content: What the file holds; dicts may be nested, as in `{"model": {"state_dict": ...}, "epoch": 3}`.
        part: The keys of the state dict, separated by dots; "" if there is only one.

    Raises:
        FarkerasError: There is no state dict, no such part, or more than one; or a state dict has values that are no
            tensors.
        ValueError: A name is not a printable text.
    """
    if isinstance(content, Tensor) or not isinstance(content, dict):
        raise FarkerasError(f"{path} must hold a dict of tensors. Received: {_kind(content)}. {SAVE_WEIGHTS}")
    found: dict[str, dict] = {}
    _find(content, "", found, set())
    # The weights of a network have names with dots, unlike other tensors in a checkpoint, such as a random state.
    found = {name: value for name, value in found.items() if any("." in str(key) for key in value)} or found
    names = few([_short(name) if name else "the file itself" for name in found])
    if part and part not in found:
        raise FarkerasError(f"{path} has no weights under `part={part}`. Found: {names or 'none'}.")
    if not found:
        optimizers = [item for item in (content, *content.values()) if isinstance(item, dict) and _is_optimizer(item)]
        kind = "the state of an optimizer" if optimizers else f"a dict of {few([*map(_short, content)]) or 'nothing'}"
        raise FarkerasError(f"{path} must hold the weights of a network. Received: {kind}. {SAVE_WEIGHTS}")
    if not part and len(found) > 1:
        raise FarkerasError(
            f"{path} must hold the weights of one network. Received several: {names}. "
            f"Convert one of them: `python -m farkeras.convert_weights {path} --part=NAME --output=FILE.keras`."
        )
    weights = found[part] if part else next(iter(found.values()))
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            raise FarkerasError(
                f"{path} must hold tensors only. Received: {_kind(value)} under {_short(name)}. {SAVE_WEIGHTS}"
            )
        if not isinstance(name, str) or not name.isprintable() or len(name) > _MAX_NAME:
            raise ValueError(f"the name {_short(name)} of a tensor is invalid")
    return weights


def without_wrappers(weights: dict[str, Value]) -> dict[str, Value]:
    """Removes first parts of the names that a wrapper has added to all of them, such as `module.`."""
    for _ in range(_MAX_DEPTH):
        first = {name.partition(".")[0] for name in weights}
        if len(first) != 1 or not first <= {*_WRAPPERS} or not all("." in name for name in weights):
            break
        weights = {name.partition(".")[2]: value for name, value in weights.items()}
    return weights


def _find(value: dict, name: str, found: dict[str, dict], seen: set[int]) -> None:
    """Adds the dicts that have tensors of their own to `found`, by their keys. Each dict is visited once."""
    if id(value) in seen or _is_optimizer(value) or name.count(".") >= _MAX_DEPTH:
        return
    seen.add(id(value))
    if any(isinstance(item, Tensor) for item in value.values()):
        found[name] = value
    for key, item in value.items():
        if isinstance(item, dict) and isinstance(key, str):
            _find(item, f"{name}.{key}" if name else key, found, seen)


def _is_optimizer(value: dict) -> bool:
    return value.keys() >= {"state", "param_groups"}


def _kind(value: Any) -> str:
    kinds = {Tensor: "a single tensor", type(None): "None", int: "a whole number", str: "a text", bool: "true or false"}
    kinds |= {float: "a number", list: "a list", tuple: "a tuple", dict: "a dict"}
    return kinds.get(type(value), "another Python object")


def _short(name: Any) -> str:
    return repr(name[:60] if isinstance(name, str) else name)
