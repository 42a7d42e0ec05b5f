"""The commands: the modules directly in the package that have a `__main__` block."""

import ast
import difflib
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def command_names() -> list[str]:
    """Returns the names of the commands in alphabetical order."""
    return sorted(path.stem for path in PACKAGE.glob("[a-z]*.py") if _can_run(path))


def commands() -> dict[str, str]:
    """Returns command name -> first sentence of its description, in alphabetical order."""
    return {name: _first_sentence(PACKAGE / f"{name}.py") for name in command_names()}


def why_not_a_command(original_argv: Sequence[str]) -> str | None:
    """Returns an error message that says why `python -m farkeras.NAME` cannot run; None if it can run.

    Args:
        original_argv: `sys.orig_argv`, which includes Python's own options.
    """
    after = iter(original_argv)
    names = (next(after, "") if argument == "-m" else argument[2:] for argument in after if argument.startswith("-m"))
    name = next(names, "")
    if not name.startswith("farkeras."):
        return None
    place = PACKAGE.joinpath(*name.split(".")[1:])
    if any(path.is_file() and _can_run(path) for path in (place.with_suffix(".py"), place / "__main__.py")):
        return None
    return f"{name} is not a command. {suggestion(name.removeprefix('farkeras.'))}"


def suggestion(name: str) -> str:
    """Returns a sentence with the command of the most similar name, or else with all commands."""
    known = command_names()
    close = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {close[0]}?" if close else f"Commands: {', '.join(known)}."


def _can_run(path: Path) -> bool:
    return '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0].split(": `")[0].rstrip(".")
