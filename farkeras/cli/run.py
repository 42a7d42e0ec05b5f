"""How every entry point starts and ends: flags in, one line of error out."""

import logging as python_logging
import os
import sys
from collections.abc import Callable

from absl import app, logging

from farkeras.errors import FarkerasError


def run(main: Callable[[list[str]], int | None]) -> None:
    """Runs `main(argv)` under absl; a `FarkerasError` becomes one line on stderr and exit code 1.

    Ctrl-C gives exit code 130 without a traceback.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported; "0" shows everything
    logging.set_verbosity(logging.WARNING)
    library = python_logging.getLogger("farkeras")  # its lines as they are, and on today's stderr, unlike absl's
    library.handlers, library.propagate = [python_logging.lastResort], False

    def guarded(argv: list[str]) -> int | None:
        try:
            return main(argv)
        except FarkerasError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130

    app.run(guarded)
