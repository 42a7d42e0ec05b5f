"""Lock files, so that several processes or machines that share a folder do not do the same work at once.

`farkeras.files.alone_in` locks a folder as long as its process lives, but network disks may not pass such locks on to
other machines. These locks are files: they appear whole by a hard link, of which only one process succeeds, and a lock
whose holder has died is moved away by a rename, of which also only one succeeds.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STALE = 30 * 60
"""Seconds without a sign of life after which a lock counts as left behind. The holder gives one at each call of the
training loop, so at least every few minutes."""

WAIT = 5
"""Seconds between two tries of `waiting_for`."""


@contextmanager
def claimed(path: Path) -> Iterator[Callable[[], None] | None]:
    """Claims a lock for the length of the block.

    Yields:
        A function that gives a sign of life, or None if another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    holder = {"host": platform.node(), "pid": os.getpid()}
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        json.dump(holder, file)
    try:
        os.link(file.name, path)
    except FileExistsError:
        yield None
        return
    finally:
        os.unlink(file.name)

    def sign_of_life() -> None:
        with suppress(OSError):  # the disk may be away for a moment
            os.utime(path)

    try:
        yield sign_of_life
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


@contextmanager
def waiting_for(path: Path) -> Iterator[None]:
    """Claims a lock for the length of the block, and waits for it as long as another process holds it."""
    while True:
        with claimed(path) as held:
            if held:
                yield
                return
        time.sleep(WAIT)


def is_claimed(path: Path) -> bool:
    """Returns whether a living process holds a lock."""
    _remove_stale(path)
    return path.exists()


def _remove_stale(path: Path) -> None:
    """Moves a lock away whose holder is dead, or has given no sign of life for `STALE` seconds."""
    try:
        silent = time.time() - path.stat().st_mtime
        holder = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return
    if silent > STALE or (holder["host"] == platform.node() and not _alive(holder["pid"])):
        aside = path.with_name(f".{path.name}.{os.getpid()}.stale")
        with suppress(FileNotFoundError):  # another process was faster
            os.rename(path, aside)
            aside.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process of another user
        return True
    return True
