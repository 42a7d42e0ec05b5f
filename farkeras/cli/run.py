"""How every command starts and ends: flags in, one line of error out."""

import faulthandler
import logging as python_logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from absl import logging

from farkeras.cli.flags import Flags
from farkeras.errors import FarkerasError

HELP = ("--help", "-help", "--helpshort", "--helpfull", "-h", "-?")


def run_command(define: Callable[[Flags], None], main: Callable[[Flags], int | None]) -> NoReturn:
    """Ends the process with what `call` returns for its command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported; "0" shows everything
    logging.set_verbosity(logging.WARNING)
    library = python_logging.getLogger("farkeras")  # its lines as they are, and on today's stderr, unlike absl's
    library.handlers, library.propagate = [python_logging.lastResort or python_logging.NullHandler()], False
    with suppress(OSError, ValueError):  # a stderr without a descriptor, as in some notebooks
        faulthandler.enable()
    sys.exit(call(define, main, sys.argv))


def call(define: Callable[[Flags], None], main: Callable[[Flags], int | None], argv: Sequence[str]) -> int:
    """Defines the flags, reads the command line `argv` and calls `main(options)`; gives the exit code.

    A `FarkerasError` becomes one line on stderr and 1, Ctrl-C one and 130.
    """
    options = Flags()
    define(options)
    if any(argument in HELP for argument in argv[1:]):
        module = sys.modules[main.__module__]
        spec = getattr(module, "__spec__", None)
        program = f"python -m {spec.name}" if spec else f"python {argv[0]}"
        print(options.usage(program, module.__doc__ or ""))
        return 0
    try:
        options.parse(argv)
        return main(options) or 0
    except FarkerasError as error:
        print(f"error: {options.as_flags(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
