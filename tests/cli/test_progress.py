"""A command's progress: lines where nobody watches, a bar on a terminal."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from farkeras.cli import progress as module
from farkeras.cli.progress import ProgressDisplay


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: now.seconds)
    return now


def console(terminal):
    return Console(file=io.StringIO(), width=120, highlight=False, force_terminal=terminal)


def test_a_line_every_ten_seconds(clock):
    screen = console(terminal=False)
    with ProgressDisplay(screen, "Unpacking", "files") as display:
        for seconds, done in ((0, 1), (9, 900), (10, 1001), (15, 1500), (20, 2001)):
            clock.seconds = 100.0 + seconds
            display(done, 9001)
    assert screen.file.getvalue().splitlines() == [
        "Unpacking 1,001/9,001 files  100 files/s  ETA 0:01:20",
        "Unpacking 2,001/9,001 files  100 files/s  ETA 0:01:10",
    ]
    assert (display.new, display.seconds) == (2000, 20.0)


def test_what_was_done_before_is_not_in_the_rate(clock):
    screen = console(terminal=False)
    display = ProgressDisplay(screen)
    display(500, 1000)
    clock.seconds += 10
    display(600, 1000)
    assert screen.file.getvalue() == "600/1,000 images  10 images/s  ETA 0:00:40\n"


@pytest.mark.parametrize("complete", [True, False])
def test_a_bar_ends_with_the_work_or_its_error(complete):
    screen = console(terminal=True)
    with ProgressDisplay(screen) as display:
        display(0, 10)
        display(10 if complete else 5, 10)
        assert ("\x1b[?25h" in screen.file.getvalue()) == complete  # the cursor is back, another bar may start
    shown = screen.file.getvalue()
    assert "100%" in shown if complete else "50%" in shown
    assert "\x1b[?25h" in shown


def test_work_that_never_begins_shows_nothing():
    screen = console(terminal=True)
    with ProgressDisplay(screen) as display:
        pass
    assert screen.file.getvalue() == ""
    assert (display.new, display.rate) == (0, "none left to do")
