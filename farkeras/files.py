"""Files that appear complete or not at all."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows; what a killed process leaves behind stays there
    fcntl = None


@contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write a file or folder to; it is renamed to `path` at the end.

    When the block raises, or the process dies, `path` is what it was before. A file replaces a file; an existing folder
    is not replaced (`OSError`). What a killed process left half written is removed by the next write of `path` on the
    same host; processes may write the same `path` at once.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path)
    folder, lock = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)), None
    try:
        folder, lock = _claim(folder)
        aside = folder / path.name
        yield aside
        os.replace(aside, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text, complete or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


# Whether a half-written folder still has its writer is told by a lock on it: the kernel drops it however the process
# ends, while a process's number may be another's by now, or hidden in a container. Locks on a shared disk may be unseen
# by other hosts, so each host removes its own folders only: those with its name, which a folder gets once it is locked.


def _claimed_ending() -> str:
    return f"-{platform.node()}.partial"  # no random name of `tempfile.mkdtemp` has a hyphen


def _claim(folder: Path) -> tuple[Path, int | None]:
    """Locks and renames a new folder: its name and the lock, or the old name and None where that cannot be done."""
    lock = _try_lock(folder)
    if lock is None:
        return folder, None
    try:
        return folder.rename(folder.with_name(folder.stem + _claimed_ending())), lock
    except OSError:  # the name is too long
        os.close(lock)
        return folder, None


def _remove_left_behind(path: Path) -> None:
    with suppress(OSError):  # no right to list the folder: the write itself may do without
        for folder in list(path.parent.iterdir()):
            if folder.name.startswith(f".{path.name}.") and folder.name.endswith(_claimed_ending()):
                lock = _try_lock(folder)
                if lock is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock until it is closed; None where another one does, or there are none."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # removed by another process
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
