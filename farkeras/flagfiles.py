"""Flagfiles: the settings of a run as absl flags, in a file or on a command line, and back."""

import dataclasses
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from absl import flags

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.files import write_text

SHIPPED = Path(__file__).parent / "configs"
"""Folder of the configurations that are part of the package: `celeba.flags`, `demo.flags`, ..."""


_DEFINE: dict[type, Callable[..., Any]] = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
}


def define(flag_values: flags.FlagValues, names: Collection[str] | None = None) -> None:
    """Defines one flag per setting, or per setting among `names`."""
    for field in _fields(names):
        name, text = field.name, field.metadata["help"]
        default: Any = field.default
        if field.metadata["choices"]:
            flags.DEFINE_enum(name, default, list(field.metadata["choices"]), text, flag_values=flag_values)
        elif isinstance(default, tuple):
            flags.DEFINE_list(name, [str(v) for v in default], text, flag_values=flag_values)
        else:
            _DEFINE.get(type(default), flags.DEFINE_string)(name, default, text, flag_values=flag_values)


def config_from_flags(flag_values: flags.FlagValues) -> Config:
    """The settings as parsed.

    Raises:
        FarkerasError: A value out of range, or not a number where numbers are listed.
    """
    return Config(**_values(flag_values, _fields()))


def given(flag_values: flags.FlagValues, names: Collection[str]) -> dict[str, Any]:
    """The settings among `names` that stand on the command line, as `Config.to_dict()` has them.

    Raises:
        FarkerasError: As `config_from_flags`.
    """
    values = _values(flag_values, [field for field in _fields(names) if flag_values[field.name].present])
    checked = Config(**values).to_dict()
    return {name: checked[name] for name in values}


def _fields(names: Collection[str] | None = None) -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(Config) if names is None or field.name in names]


def _values(flag_values: flags.FlagValues, fields: Iterable[dataclasses.Field]) -> dict[str, Any]:
    values = {}
    for field in fields:
        value: Any = flag_values[field.name].value
        if isinstance(field.default, tuple):
            kind = type(field.default[0]) if field.default else str
            try:
                value = tuple(kind(item) for item in value)
            except ValueError:
                raise FarkerasError(
                    f"`{field.name}` must be {kind.__name__} values with commas. Received: {','.join(value)}."
                ) from None
        values[field.name] = value
    return values


def load_config(flagfile: str | os.PathLike, **settings: Any) -> Config:
    """The settings of a flagfile, some of them replaced: `load_config("celeba", data_dir="/data/celeba")`.

    Args:
        flagfile: The file, such as the `flags.txt` of a run, or the name of a configuration that is part of the
            package: `celeba`, `celeba_mgmtn`, `celeba_mobile`, `celeba_mgmtn_mobile`, `lfwa`, `demo`, ...
        **settings: Fields of `Config` that take the place of the file's.

    Raises:
        FarkerasError: There is no such file, or it or `settings` holds a name or a value that `Config` does not know.
    """
    config = read_flagfile(find_flagfile(flagfile))
    return Config.from_dict(config.to_dict() | settings)


def find_flagfile(name: str | os.PathLike) -> Path:
    """A flagfile that exists, else the configuration of that name in the package; what is neither stays as it is."""
    path = Path(name)
    shipped = SHIPPED / f"{path.name.removesuffix('.flags')}.flags"
    by_name = str(path.parent) in (".", "configs")  # a wrong path elsewhere must not become another file
    return shipped if by_name and not path.exists() and shipped.exists() else path


def save_flagfile(config: Config, path: Path) -> None:
    """Writes every setting, so that `--flagfile=<path>` repeats the run."""
    lines = []
    for name, value in config.to_dict().items():
        text = ",".join(map(str, value)) if isinstance(value, list) else value
        lines.append(f"--{name}={str(text).lower() if isinstance(value, bool) else text}")
    write_text(path, "\n".join(lines) + "\n")


def read_flagfile(path: Path) -> Config:
    """The settings in a flagfile, alone: nothing of the command line.

    Raises:
        FarkerasError: The file holds a flag or a value that this version does not know.
    """
    own = flags.FlagValues()
    define(own)
    try:
        own(["farkeras", f"--flagfile={path}"])
    except flags.Error as error:
        raise FarkerasError(f"{path}: {' '.join(str(error).split())}") from None
    return config_from_flags(own)
