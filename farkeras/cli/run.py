"""Start and end of every command: flags, error messages and exit codes."""

import faulthandler
import logging as python_logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from absl import logging

from farkeras.cli.flags import Flags
from farkeras.errors import FarkerasError, Stopped
from farkeras.files import escape_output, reason

HELP = ("--help", "-help", "--helpshort", "--helpfull", "-h", "-?")


def run_command(define: Callable[[Flags], None], main: Callable[[Flags], int | None]) -> NoReturn:
    """Runs a command with the command line of the process, and ends the process with its exit code; see `call`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the import of TensorFlow; "0" shows all logs
    logging.set_verbosity(logging.WARNING)
    library = python_logging.getLogger("farkeras")  # absl's handler would add a prefix and keep an old stderr
    library.handlers, library.propagate = [python_logging.lastResort or python_logging.NullHandler()], False
    escape_output()
    with suppress(OSError, ValueError):  # in some notebooks stderr has no descriptor
        faulthandler.enable()
    code = call(define, main, sys.argv)
    try:
        sys.stdout.flush()
    except OSError:  # `call` has reported it; at exit Python would flush again and print a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def call(define: Callable[[Flags], None], main: Callable[[Flags], int | None], argv: Sequence[str]) -> int:
    """Defines the flags, parses `argv`, calls `main(options)` and returns the exit code.

    A `FarkerasError` or a failed read or write prints one line on stderr and returns 1, or the `exit_code` of the
    error. Ctrl-C returns 130.
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
    except Stopped as stopped:
        print(options.as_flags(str(stopped)), file=sys.stderr)
        return stopped.exit_code
    except FarkerasError as error:
        print(f"error: {options.as_flags(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader, such as `| head`, has ended
        return 1
    except Exception as error:
        if not (why := reason(error)):
            raise  # a bug keeps its traceback
        # Expected failures raise a `FarkerasError` with a better message; this one is for all others.
        what = getattr(error, "filename", None) or "a file or the output"
        print(
            f"error: Cannot read or write {what} ({why}); free disk space, change its permissions, or name another.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
