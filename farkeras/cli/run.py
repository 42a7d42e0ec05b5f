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
from farkeras.files import escape_output, reason

HELP = ("--help", "-help", "--helpshort", "--helpfull", "-h", "-?")


def run_command(define: Callable[[Flags], None], main: Callable[[Flags], int | None]) -> NoReturn:
    """Ends the process with what `call` returns for its command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported; "0" shows everything
    logging.set_verbosity(logging.WARNING)
    library = python_logging.getLogger("farkeras")  # its lines as they are, and on today's stderr, unlike absl's
    library.handlers, library.propagate = [python_logging.lastResort or python_logging.NullHandler()], False
    escape_output()
    with suppress(OSError, ValueError):  # a stderr without a descriptor, as in some notebooks
        faulthandler.enable()
    code = call(define, main, sys.argv)
    try:
        sys.stdout.flush()
    except OSError:  # said by `call`; at the end Python would try again and print a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def call(define: Callable[[Flags], None], main: Callable[[Flags], int | None], argv: Sequence[str]) -> int:
    """Defines the flags, reads the command line `argv` and calls `main(options)`; gives the exit code.

    A `FarkerasError` becomes one line on stderr and 1, as does what the system says of a file; Ctrl-C one and 130.
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
        code = main(options) or 0
        sys.stdout.flush()
        return code
    except FarkerasError as error:
        print(f"error: {options.as_flags(str(error))}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever reads, such as `| head`, has seen enough
        return 1
    except Exception as error:
        if not (why := reason(error)):
            raise  # a bug keeps its traceback
        # What reads or writes says more; this is for what no part of the package expects.
        what = getattr(error, "filename", None) or "a file or the output"
        print(
            f"error: Cannot read or write {what} ({why}); make room on its disk, change its rights, or name another.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
