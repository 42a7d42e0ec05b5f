"""Conversion between the settings of a run and absl flags, in a flagfile or on a command line.

A flagfile holds one flag per line. Lines that begin with `#` or `//` are comments. A line in double quotes is a JSON
string, for values with a line break or a trailing space: `"--data_dir=/data/two\\nlines"`. In a list, an item with a
comma stands in double quotes: `--ignore_columns=person,"notes, free"`.
"""

import dataclasses
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.files import as_path, write_text

FLAGS_FILE = "flags.txt"
"""Name of the file in a workdir with the settings of its run."""

SHIPPED = Path(__file__).parent / "configs"
"""Folder of the flagfiles that are part of the package: `celeba.flags`, `demo.flags`, ..."""


_DEFINE: dict[type, Callable[..., Any]] = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
}


_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*|([^,]*)),')  # an item in double quotes, or a plain item


def split_list(text: str) -> list[str]:
    """Splits a comma-separated list. Spaces around an item are dropped; inside double quotes, everything is kept.

    Raises:
        ValueError: An item begins with a double quote and does not end with one.
    """
    items = []
    for quoted, plain in _ITEM.findall(f"{text},") if text else []:
        if plain.startswith('"'):
            raise ValueError("an item that begins with a double quote must end with one; double the quotes inside it")
        items.append(quoted.replace('""', '"') or plain.strip())
    return items


def join_list(items: Iterable[object]) -> str:
    """Joins items into a comma-separated list that `split_list` splits again."""

    def quoted(text: str) -> str:
        plain = text and text == text.strip() and "," not in text and not text.startswith('"')
        return text if plain else '"' + text.replace('"', '""') + '"'

    return ",".join(quoted(str(item)) for item in items)


class _ListParser(flags.ListParser):
    """Parses a list with `split_list`, because absl's parser drops spaces inside double quotes."""

    def parse(self, argument: str | list[str]) -> list[str]:
        return argument if isinstance(argument, list) else split_list(argument)


def define_list(flag_values: flags.FlagValues, name: str, default: Iterable[object], text: str) -> None:
    """Defines a flag with a list of strings, or of numbers as strings."""
    values = [str(value) for value in default]
    flags.DEFINE(_ListParser(), name, values, text, flag_values, flags.CsvListSerializer(","))


def define(flag_values: flags.FlagValues, names: Collection[str] | None = None) -> None:
    """Defines one flag for each setting, or for each setting in `names`."""
    for field in _fields(names):
        name, text = field.name, field.metadata["help"]
        default: Any = field.default
        low, high = field.metadata["at_least"], field.metadata["at_most"]
        if low is not None:
            text += f" At least {low}" + (f", at most {high}." if high is not None else ".")
        if field.metadata["choices"]:
            flags.DEFINE_enum(name, default, list(field.metadata["choices"]), text, flag_values=flag_values)
        elif isinstance(default, tuple):
            define_list(flag_values, name, default, text)
        else:
            _DEFINE.get(type(default), flags.DEFINE_string)(name, default, text, flag_values=flag_values)


def config_from_flags(flag_values: flags.FlagValues) -> Config:
    """Returns the settings in parsed flags.

    Raises:
        FarkerasError: A value is out of range, or an item of a list of numbers is not a number.
    """
    return Config(**_values(flag_values, _fields()))


def given(flag_values: flags.FlagValues, names: Collection[str]) -> dict[str, Any]:
    """Returns the settings in `names` that the command line gives, in the form of `Config.to_dict()`.

    Raises:
        FarkerasError: See `config_from_flags`.
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
                    f"`{field.name}` must be {kind.__name__} values separated by commas. Received: {join_list(value)}."
                ) from None
        values[field.name] = value
    return values


def load_config(flagfile: str | os.PathLike, **settings: Any) -> Config:
    """Reads the settings of a flagfile and replaces some: `load_config("celeba", data_dir="/data/celeba")`.

    Args:
        flagfile: Path of the file, such as the `flags.txt` of a run, or the name of a flagfile that is part of the
            package: `celeba`, `celeba_mgmtn`, `celeba_mobile`, `celeba_mgmtn_mobile`, `lfwa`, `demo`, ...
        **settings: Fields of `Config` that replace those of the file.

    Returns:
        The settings, a `Config`.

    Raises:
        FarkerasError: The file does not exist, or the file or `settings` has an unknown name or an invalid value.
    """
    config = read_flagfile(find_flagfile(flagfile))
    return Config.from_dict(config.to_dict() | settings)


def find_flagfile(name: str | os.PathLike) -> Path:
    """Finds a flagfile: the path `name` if it exists, else the package's flagfile of this name, else the path."""
    path = as_path(name)
    shipped = SHIPPED / f"{path.name.removesuffix('.flags')}.flags"
    by_name = str(path.parent) in (".", "configs")  # a wrong path to another folder must not select a shipped file
    return shipped if by_name and not path.exists() and shipped.exists() else path


def save_flagfile(config: Config, path: Path) -> None:
    """Writes all settings to a flagfile, so that `--flagfile=<path>` repeats the run."""
    lines = []
    for name, value in config.to_dict().items():
        text = join_list(value) if isinstance(value, list) else value
        line = f"--{name}={str(text).lower() if isinstance(value, bool) else text}"
        # A line feed or a space at the end needs JSON to survive reading.
        lines.append(line if line == line.strip() and line.isprintable() else json.dumps(line))
    write_text(path, "\n".join(lines) + "\n")


def read_lines(path: str | os.PathLike, readers: tuple[Path, ...] = ()) -> list[str]:
    """Reads the flags of a flagfile. Each `--flagfile=` in it is replaced by the flags of that file.

    Args:
        path: The file.
        readers: The chain of flagfiles that includes this file, to find cycles.

    Raises:
        FarkerasError: A file is unreadable or includes itself.
    """
    path = as_path(path)
    if path in readers:
        raise FarkerasError(f"{readers[-1]}: --flagfile={path} leads back to this file; remove that line.")
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors on Windows write a byte order mark
    except OSError as error:
        raise FarkerasError(f"{path}: cannot be read ({error.strerror}); expected a flagfile.") from None
    except UnicodeDecodeError:
        raise FarkerasError(f"{path}: is not UTF-8 text; expected a flagfile. Save it as UTF-8.") from None
    found = []
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if line.startswith('"'):
            try:
                line = json.loads(line)
            except json.JSONDecodeError as error:
                raise FarkerasError(
                    f"{path}, line {number}: a line in double quotes must be a JSON string ({error}). Correct it, or "
                    "remove the quotes."
                ) from None
        if line and not line.startswith(("#", "//")):
            name = re.match("--?flagfile=(.*)", line, re.DOTALL)
            found += read_lines(find_flagfile(name[1]), (*readers, path)) if name else [line]
    return found


def read_flagfile(path: str | os.PathLike) -> Config:
    """Reads the settings of a flagfile, independent of the command line.

    Raises:
        FarkerasError: The file is unreadable, or holds an unknown flag or an invalid value.
    """
    own = flags.FlagValues()
    define(own)
    lines = read_lines(path)
    try:
        own(["farkeras", *lines])
    except flags.Error as error:
        raise FarkerasError(f"{path}: {' '.join(str(error).split())}") from None
    return config_from_flags(own)


def published(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a run's settings, `Config.to_dict()`, for exports and pages: a path is reduced to its last component."""
    paths = {field.name for field in dataclasses.fields(Config) if field.metadata["path"]}
    return {name: Path(value).name if name in paths else value for name, value in settings.items()}
