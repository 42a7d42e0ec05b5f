"""The progress callback by which library functions report long work to their callers."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)`. The first call marks the start of the measured time."""


def report(progress: Progress | None, done: int, total: int) -> None:
    """Calls `progress` if it is not None."""
    if progress:
        progress(done, total)
