"""The console script `farkeras`: `farkeras COMMAND ...` runs `python -m farkeras.COMMAND ...`."""

import runpy
import sys

from farkeras import __version__
from farkeras.cli.commands import command_names, commands, suggestion


def main() -> None:
    """Runs the command that the command line names."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name == "--version":
        print(__version__)
    elif name in ("--help", "-h", "help"):
        known = commands()
        width = max(map(len, known))
        print("Face attribute recognition. Usage: farkeras COMMAND [--help] ...\n")
        print("\n".join(f"  {command:<{width}}  {what}" for command, what in known.items()))
    elif name not in command_names():
        print(f"error: '{name}' is not a command of farkeras. {suggestion(name)}", file=sys.stderr)
        sys.exit(2)
    else:
        sys.argv = [f"farkeras {name}", *arguments]
        runpy.run_module(f"farkeras.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
