"""The one exception that users are meant to read."""

from collections.abc import Sequence, Sized


class FarkerasError(Exception):
    """Something the user can mend: a file, a flag, a photograph.

    The message is one sentence or two that name the thing, say what was expected and what came, and how to mend it.
    Entry points print it without a traceback and exit with code 1 (see `farkeras.cli.run.run`).
    """


def and_more(names: Sized) -> str:
    """What follows the first of several names in a message."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def few(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def first_line(error: BaseException) -> str:
    """What an error of a library says first, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
