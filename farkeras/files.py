"""Files that appear complete or not at all."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from farkeras.errors import FarkerasError

_ABANDONED = 24 * 3600
"""Seconds without a change after which a half-written folder has no writer any more."""


@contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write a file or folder to; it is renamed to `path` at the end.

    When the block raises, or the process dies, `path` is what it was before. A file replaces a file; an existing folder
    is not replaced (`OSError`). Several processes may write the same `path` at once. A killed process leaves a hidden
    folder, `.NAME.RANDOM.partial`, which the first write of `path` after a day removes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        aside = folder / path.name
        yield aside
        os.replace(aside, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_path(path: str | os.PathLike) -> Path:
    """The path that a user names: `~` is the home folder, which a shell leaves as it is in `--workdir=~/run`."""
    return Path(os.path.expanduser(path))


@contextmanager
def plain_path(folder: str | os.PathLike) -> Iterator[str]:
    """Gives a path of an existing folder for TensorFlow, which takes `[`, `*`, `?` and a backslash for a pattern.

    TensorFlow looks for checkpoints by patterns: in a folder `run[lr=3e-4]` it finds none, and in `a*` it would remove
    those of `ab`. A folder with such a sign is reached through a link, as long as the block lasts.
    """
    folder = os.path.abspath(folder)
    if not set(folder) & set("[*?\\"):
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = os.path.join(place, "link")
        os.symlink(folder, link, target_is_directory=True)
        yield link


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text, complete or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


@contextmanager
def writing(what: str | os.PathLike, done: str = "", other: type[Exception] = OSError) -> Iterator[None]:
    """Makes of `OSError`, or of the `other` error, a FarkerasError that says what to do; what is `done` is not lost."""
    try:
        yield
    except (OSError, other) as error:
        again = f", and start the same command again: what is {done} is not done twice" if done else ""
        reason = getattr(error, "strerror", None) or error
        raise FarkerasError(f"Cannot write {what} ({reason}); make room and the folder writable{again}.") from None


def _remove_abandoned(path: Path) -> None:
    with suppress(OSError):  # the folder may not be listed, or another process was faster
        for folder in list(path.parent.iterdir()):
            if folder.name.startswith(f".{path.name}.") and folder.name.endswith(".partial"):
                changed = max(part.stat().st_mtime for part in (folder, *folder.iterdir()))
                if time.time() - changed > _ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)
