"""The flags of a command, in an object per call, so that the import of a command defines no absl flags."""

import os
import re
import shlex
import sys
from collections.abc import Collection, Sequence
from typing import Any

from absl import flags

from farkeras import flagfiles
from farkeras.config import Config
from farkeras.errors import FarkerasError

CALIBRATE_HELP = (
    "auto: the calibrated probabilities and the thresholds in the model file. none: the model's own probabilities, and "
    "50 % as threshold, as for a file without calibration."
)


class Flags(flags.FlagValues):
    """The flags of a command. Their values are attributes, such as `options.workdir`.

    The command's `define` calls the methods that add flags; `parse` then reads the command line.

    Attributes:
        arguments: The arguments of the command line that are not flags.
    """

    arguments: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.__dict__.update({"_required": [], "_accepted": "", "arguments": []})  # plain assignment would set a flag

    def text(self, name: str, default: str, help: str) -> None:
        flags.DEFINE_string(name, default, help, flag_values=self)

    def path(self, name: str, help: str, *, required: bool = False) -> None:
        """Adds a flag for a file or folder, "" for none. `~` is expanded, which a shell does not do in `--name=~/x`."""
        flags.DEFINE(_PathParser(), name, "", help, self)
        if required:
            self.__dict__["_required"].append(name)

    def boolean(self, name: str, default: bool, help: str) -> None:
        flags.DEFINE_boolean(name, default, help, flag_values=self)

    def integer(self, name: str, default: int, help: str, at_least: int | None = None, most: int | None = None) -> None:
        flags.DEFINE_integer(name, default, help, at_least, most, flag_values=self)

    def number(
        self, name: str, default: float | None, help: str, at_least: float | None = None, most: float | None = None
    ) -> None:
        flags.DEFINE_float(name, default, help, at_least, most, flag_values=self)

    def choice(self, name: str, default: str, choices: Sequence[str], help: str) -> None:
        flags.DEFINE_enum(name, default, list(choices), help, flag_values=self)

    def texts(self, name: str, default: Sequence[str], help: str) -> None:
        flagfiles.define_list(self, name, default, help)

    def worker_count(self, what: str, name: str = "workers") -> None:
        """Adds a flag for a number of threads or processes, by default one per processor."""
        self.integer(name, os.cpu_count() or 1, f"{what}; no effect on the result.", 1)

    def settings(self, names: Collection[str] | None = None) -> None:
        """Adds the flags of all settings of `farkeras.Config`, or of those in `names`."""
        flagfiles.define(self, names)

    def accept_arguments(self, what: str, missing: str) -> None:
        """Makes the command accept arguments that are not flags, and require at least one.

        Args:
            what: Name of the arguments in the help.
            missing: Error message for a command line without any.
        """
        self.__dict__.update({"_accepted": what, "_missing": missing})

    def config(self) -> Config:
        """Returns the settings in the flags; see `farkeras.flagfiles.config_from_flags`."""
        return flagfiles.config_from_flags(self)

    def given(self, names: Collection[str]) -> dict[str, Any]:
        """Returns the settings in `names` that the command line gives; see `farkeras.flagfiles.given`."""
        return flagfiles.given(self, names)

    def integers(self, name: str, at_least: int = 0) -> list[int]:
        """Returns the value of a flag with one or more whole numbers.

        Raises:
            FarkerasError: There is no number, an item is not a whole number, or one is below `at_least`.
        """
        texts: list[str] = self[name].value or []
        if not texts or not all(text.isdecimal() and int(text) >= at_least for text in texts):
            bound = f" of at least {at_least}" if at_least else ""
            raise FarkerasError(
                f"--{name} must be whole numbers{bound}, separated by commas. Received: {','.join(texts) or 'none'}."
            )
        return [int(text) for text in texts]

    def parse(self, argv: Sequence[str]) -> None:
        """Reads a command line.

        Args:
            argv: The program, then the arguments.

        Raises:
            FarkerasError: A flag or argument is unknown, invalid or missing.
        """
        try:
            self.__dict__["arguments"] = self(_with_flagfiles(argv))[1:]
        except flags.Error as error:
            raise FarkerasError(f"{' '.join(str(error).split())}; --help lists the flags.") from None
        if self.arguments and not self.__dict__["_accepted"]:
            raise FarkerasError(f"Unexpected argument '{self.arguments[0]}'. Give settings as --name=value.")
        if not self.arguments and self.__dict__["_accepted"]:
            raise FarkerasError(self.__dict__["_missing"])
        for name in self.__dict__["_required"]:
            if not self[name].value:
                raise FarkerasError(f"--{name} is missing. {self[name].help}")

    def usage(self, program: str, text: str) -> str:
        """Returns the text of `--help`: the command's description, then its flags."""
        # absl lists flags under the modules that define them, which do not matter to a user.
        listed = re.sub(r"^\S.*:\n", "", self.get_help(include_special_flags=False), flags=re.MULTILINE).strip("\n")
        listed = self.as_flags(listed)
        arguments = f" {self.__dict__['_accepted']}" if self.__dict__["_accepted"] else ""
        return f"{text.strip()}\n\nUsage: {program}{arguments} [--flag=value ...] [--flagfile=FILE]\n\n{listed}"

    def as_flags(self, message: str) -> str:
        """Replaces `` `setting` `` and `` `setting=value` `` in a text by flags, if this command has the flag."""

        def as_flag(found: re.Match) -> str:
            name, value = found[1], found[2]
            if name not in self:
                return found[0]
            if value in ("=True", "=False"):
                return f"--{name if value == '=True' else f'no{name}'}"
            return f"--{name}{_quoted(value)}"

        return re.sub(r"`(\w+)(=[^`]*)?`", as_flag, message)


class _PathParser(flags.ArgumentParser):
    def parse(self, argument: str) -> str:
        return os.path.expanduser(argument)


def _quoted(value: str | None) -> str:
    """Returns `=value`, quoted for a shell."""
    return f"={shlex.quote(value[1:])}" if value else ""


def _with_flagfiles(argv: Sequence[str]) -> list[str]:
    """Replaces each `--flagfile` by its flags, and prints the path if the file is part of the package.

    Also warns if a flagfile replaces a flag before it, because the last value of a flag counts.
    """
    arguments: list[str] = []
    rest = iter(argv)
    for argument in rest:
        option, equals, name = argument.partition("=")
        if argument == "--":
            return [*arguments, argument, *rest]
        if option not in ("--flagfile", "-flagfile"):
            arguments.append(argument)
            continue
        name = name if equals else next(rest, "")
        if not name:
            raise FarkerasError("--flagfile names no file; expected --flagfile=FILE.")
        path = flagfiles.find_flagfile(name)
        if path.is_relative_to(flagfiles.SHIPPED):
            print(f"{name}: {path}", file=sys.stderr)
        lines = flagfiles.read_lines(path)
        replaced = {_name(argument) for argument in arguments if argument.startswith("-")} & {_name(x) for x in lines}
        if replaced and len(arguments) > 1:
            names = ", ".join(f"--{each}" for each in sorted(replaced))
            print(
                f"Warning: {name} replaces {names}. Put --flagfile before the flags that it must not replace.",
                file=sys.stderr,
            )
        arguments += lines
    return arguments


def _name(argument: str) -> str:
    return argument.lstrip("-").partition("=")[0]
