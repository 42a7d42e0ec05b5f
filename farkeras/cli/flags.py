"""The flags of one call of a command: absl's, in an object of their own, so importing a command defines nothing."""

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


class Flags(flags.FlagValues):
    """A command's flags; values are read as attributes, `options.workdir`.

    A command's `define` calls the methods below, then `parse` reads the command line. An error about a value names the
    flag, what was expected and what came.
    """

    arguments: list[str]
    """What stands beside the flags."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__.update({"_required": [], "_accepted": "", "arguments": []})  # attributes would become flags

    def text(self, name: str, default: str, help: str) -> None:
        flags.DEFINE_string(name, default, help, flag_values=self)

    def path(self, name: str, help: str, *, required: bool = False) -> None:
        """A file or folder, or "" for none; `~` is the home folder, which the shell leaves as it is in `--name=~/x`."""
        flags.DEFINE(_PathParser(), name, "", help, self)
        if required:
            self.__dict__["_required"].append(name)

    def boolean(self, name: str, default: bool, help: str) -> None:
        flags.DEFINE_boolean(name, default, help, flag_values=self)

    def integer(self, name: str, default: int, help: str, at_least: int | None = None, most: int | None = None) -> None:
        flags.DEFINE_integer(name, default, help, at_least, most, flag_values=self)

    def number(
        self, name: str, default: float, help: str, at_least: float | None = None, most: float | None = None
    ) -> None:
        flags.DEFINE_float(name, default, help, at_least, most, flag_values=self)

    def choice(self, name: str, default: str, choices: Sequence[str], help: str) -> None:
        flags.DEFINE_enum(name, default, list(choices), help, flag_values=self)

    def texts(self, name: str, default: Sequence[str], help: str) -> None:
        flagfiles.define_list(self, name, default, help)

    def worker_count(self, what: str, name: str = "workers") -> None:
        """A number of threads or processes, by default one for each processor."""
        self.integer(name, os.cpu_count() or 1, f"{what}; without influence on the result.", 1)

    def settings(self, names: Collection[str] | None = None) -> None:
        """Flags of a run's settings, all or those among `names`; see `farkeras.Config`."""
        flagfiles.define(self, names)

    def accept_arguments(self, what: str, missing: str) -> None:
        """Has `options.arguments` hold what stands beside the flags, `what` in the help; `missing` says what to do."""
        self.__dict__.update({"_accepted": what, "_missing": missing})

    def config(self) -> Config:
        """The settings as given; see `farkeras.flagfiles.config_from_flags`."""
        return flagfiles.config_from_flags(self)

    def given(self, names: Collection[str]) -> dict[str, Any]:
        """The settings among `names` that stand on the command line; see `farkeras.flagfiles.given`."""
        return flagfiles.given(self, names)

    def integers(self, name: str, at_least: int = 0) -> list[int]:
        """The value of a flag that lists one or more whole numbers, none below `at_least`."""
        texts: list[str] = self[name].value or []
        if not texts or not all(text.isdecimal() and int(text) >= at_least for text in texts):
            above = f" from {at_least} on" if at_least else ""
            raise FarkerasError(
                f"--{name} must be whole numbers{above}, with commas. Received: {','.join(texts) or 'none'}."
            )
        return [int(text) for text in texts]

    def parse(self, argv: Sequence[str]) -> None:
        """Reads a command line, `argv[0]` being the program."""
        try:
            self.__dict__["arguments"] = self(_with_flagfiles(argv))[1:]
        except flags.Error as error:
            raise FarkerasError(f"{' '.join(str(error).split())}; --help lists the flags.") from None
        if self.arguments and not self.__dict__["_accepted"]:
            raise FarkerasError(f"Unexpected argument '{self.arguments[0]}'; settings are given as --name=value.")
        if not self.arguments and self.__dict__["_accepted"]:
            raise FarkerasError(self.__dict__["_missing"])
        for name in self.__dict__["_required"]:
            if not self[name].value:
                raise FarkerasError(f"--{name} is missing. {self[name].help}")

    def usage(self, program: str, text: str) -> str:
        """What `--help` prints: the command's text, then its flags."""
        # absl puts flags under the names of the modules that defined them, which say nothing to a user.
        listed = re.sub(r"^\S.*:\n", "", self.get_help(include_special_flags=False), flags=re.MULTILINE).strip("\n")
        arguments = f" {self.__dict__['_accepted']}" if self.__dict__["_accepted"] else ""
        return f"{text.strip()}\n\nUsage: {program}{arguments} [--flag=value ...] [--flagfile=FILE]\n\n{listed}"

    def as_flags(self, message: str) -> str:
        """A library's message, in which `` `setting` `` and `` `setting=value` `` of this command become flags."""
        return re.sub(
            r"`(\w+)(=[^`]*)?`",
            lambda found: f"--{found[1]}{_quoted(found[2])}" if found[1] in self else found[0],
            message,
        )


class _PathParser(flags.ArgumentParser):
    def parse(self, argument: str) -> str:
        return os.path.expanduser(argument)


def _quoted(value: str | None) -> str:
    """`=value` as a shell takes it."""
    return f"={shlex.quote(value[1:])}" if value else ""


def _with_flagfiles(argv: Sequence[str]) -> list[str]:
    """Puts the flags of a flagfile in its place, and says which file that is where it is one of the package."""
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
        arguments += flagfiles.read_lines(path)
    return arguments
