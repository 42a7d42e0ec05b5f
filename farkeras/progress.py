"""How a library function tells its caller how far a long work is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called as `progress(done, total)`, the first time when the work begins to count."""


def report(progress: Progress | None, done: int, total: int) -> None:
    """Calls `progress` if there is one."""
    if progress:
        progress(done, total)
