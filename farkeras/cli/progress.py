"""Progress of long work in a terminal: the `progress` argument that commands pass to library functions."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 10


class Bar:
    """A progress bar with a line of text on a terminal. `stop` restores the terminal."""

    def __init__(self, console: Console, total: int, completed: int = 0, line: str = ""):
        columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.description}", markup=False))
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task(line, total=total, completed=completed)
        self._progress.start()

    def update(self, completed: int, line: str) -> None:
        self._progress.update(self._task, completed=completed, description=line)

    def stop(self) -> None:
        self._progress.stop()


class ProgressDisplay:
    """Shows how many items are done, the rate and the remaining time.

    It shows a bar on a terminal, and prints a line every 10 seconds otherwise. Call it as `display(done, total)`. The
    rate counts from the first call. The bar ends with `done == total` or at the end of a `with` block.

    Args:
        console: The console to print to.
        doing: The work, such as "Unpacking"; shown before the numbers.
        what: The items, such as "images"; shown after the numbers.

    Attributes:
        new: Number of items done since the first call.
        seconds: Seconds from the first to the last call; 0 before the second call.
    """

    def __init__(self, console: Console, doing: str = "", what: str = "images"):
        self._console, self._doing, self._what = console, doing, what
        self._bar: Bar | None = None
        self._start: float | None = None
        self.new, self.seconds = 0, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._start is None:
            self._start, self._before, self._last_line = now, done, now
            if self._console.is_terminal:
                self._bar = Bar(self._console, total)
        self.new, self.seconds = done - self._before, now - self._start
        if self._bar:
            self._bar.update(done, self._line(done, total))
        elif now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(self._line(done, total), soft_wrap=True)
        if done == total:
            self.stop()

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the bar, if there is one."""
        if self._bar:
            self._bar.stop()

    @property
    def rate(self) -> str:
        """Items done since the first call, with their rate: "2,000 now, 178 images/s", or "none left to do"."""
        if not self.new or not self.seconds:
            return "none left to do"
        return f"{self.new:,} now, {self.new / self.seconds:.0f} {self._what}/s"

    def _line(self, done: int, total: int) -> str:
        line = f"{self._doing} {done:,}/{total:,} {self._what}".lstrip()
        if not self.new or not self.seconds:
            return line
        to_go = timedelta(seconds=round((total - done) * self.seconds / self.new))
        return f"{line}  {self.new / self.seconds:.0f} {self._what}/s  ETA {to_go}"
