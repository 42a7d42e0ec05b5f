"""The exception for errors that the user can correct, and helpers for error messages."""

from collections.abc import Sequence, Sized


class FarkerasError(Exception):
    """An error that the user can correct, such as a wrong file, setting or photograph.

    The message has one or two sentences. They name the thing, what was expected, what was received, and the fix.
    Commands print the message without a traceback and exit with `exit_code` (see `farkeras.cli.run.call`).

    Attributes:
        exit_code: 1, except for the subclasses.
    """

    exit_code = 1


class Stopped(FarkerasError):
    """A run was asked to stop. Its checkpoint is saved, and the same command continues it.

    Args:
        message: The message.
        exit_code: The exit code: 143 after SIGTERM, 130 after Ctrl-C.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Diverged(FarkerasError):
    """The loss of a run is not finite. The last checkpoint is intact; the run needs other settings."""


class WorkerLost(FarkerasError):
    """A run on several machines lost a worker, or a worker did not come.

    The exit code 75 is `EX_TEMPFAIL`: the same command on every machine continues the run from its last checkpoint.
    """

    exit_code = 75


def and_more(names: Sized) -> str:
    """Returns the count of further names, to append to the first: " (and 2 more)", or "" for a single name."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def few(names: Sequence[str]) -> str:
    """Returns the first three names of a list, and the number of further names: "a, b, c and 2 more"."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or the name of its class if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
