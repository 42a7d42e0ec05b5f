"""Files that appear complete or not at all, what the system says where they cannot, and folders with one writer."""

import errno
import logging
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from farkeras.errors import FarkerasError

LOCK_FILE = ".lock"
ESCAPED = "backslashreplace"
"""What becomes of text that an encoding lacks, such as a file's name that is not UTF-8: `\\udcfc`, as in JSON."""

_NO_PATTERN = re.compile(r"[^\[*?\\\ud800-\udfff]*")

_REASONS = {os.strerror(number) for number in errno.errorcode}
_NO_FOLDER = {os.strerror(number) for number in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)}
_ABANDONED = 24 * 3600
"""Seconds without a change after which a half-written folder has no writer any more."""


@contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary path beside `path` to write a file or folder to; it is renamed to `path` at the end.

    When the block raises, or the process dies, `path` is what it was before. A file replaces a file; an existing folder
    is not replaced (`OSError`). Several processes may write the same `path` at once. A killed process leaves a hidden
    folder, `.NAME.RANDOM.partial`, which the first write of `path` after a day removes.
    """
    path = as_path(path)
    folder: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        aside = folder / path.name
        yield aside
        os.replace(aside, path)
    except OSError as error:
        # A full disk names no file, and the temporary name says nothing to whoever reads the message.
        if error.filename is None or f".{path.name}." in os.fsdecode(error.filename):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def as_path(path: str | os.PathLike) -> Path:
    """The path that a user names: `~` is the home folder, which a shell leaves as it is in `--workdir=~/run`."""
    return Path(os.path.expanduser(path))


@contextmanager
def plain_path(folder: str | os.PathLike) -> Iterator[str]:
    """Gives a path of an existing folder for TensorFlow, which takes `[`, `*`, `?` and a backslash for a pattern.

    It knows no path that is not UTF-8, either.

    TensorFlow looks for checkpoints by patterns: in a folder `run[lr=3e-4]` it finds none, and in `a*` it would remove
    those of `ab`. A folder with such a sign is reached through a link, as long as the block lasts.
    """
    folder = os.path.abspath(folder)
    if _NO_PATTERN.fullmatch(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as place:
        link = os.path.join(place, "link")
        os.symlink(folder, link, target_is_directory=True)
        yield link


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text, complete or not at all; see `ESCAPED`."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors=ESCAPED)


def escape_output() -> None:
    """Lets stdout and stderr show every text, whatever a terminal's encoding lacks; see `ESCAPED`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # not what a notebook or a test has put in its place
            stream.reconfigure(errors=ESCAPED)


def reason(error: BaseException) -> str:
    """What the system says of a file that cannot be read or written; "" for an error of another kind.

    TensorFlow raises no `OSError`, but ends its message so: "{{function}} path; No space left on device [Op:SaveV2]".
    """
    if isinstance(error, OSError):
        lines = (error.strerror or str(error)).splitlines()
        return lines[0] if lines else type(error).__name__
    first_line = str(getattr(error, "message", "")).partition("\n")[0].partition(" [Op")[0]
    text = re.split(r"; |\}\} ", first_line)[-1]
    return text if text in _REASONS else ""


@contextmanager
def writing(what: str | os.PathLike, done: str = "", instead: str = "") -> Iterator[None]:
    """Makes of a failed write a FarkerasError that says what to do; what is `done` is not lost.

    Args:
        what: What is written, for the message.
        done: What need not be done again, such as "stored".
        instead: The setting that names another place.
    """
    try:
        yield
    except Exception as error:
        if not (why := reason(error)):
            raise
        remedy = "make room and the folder writable"
        if why in _NO_FOLDER:
            remedy = "a file is in the place of a folder: remove it"
        if instead:
            remedy += f", or name another with `{instead}`"
        again = f", and start the same command again: what is {done} is not done twice" if done else ""
        raise FarkerasError(f"Cannot write {what} ({why}); {remedy}{again}.") from None


@contextmanager
def alone_in(folder: str | os.PathLike, instead: str) -> Iterator[None]:
    """Keeps a second process, or thread, from writing into a folder, which is made; the lock dies with the process.

    Args:
        folder: The folder. Where its disk knows no locks, a line of the log says so.
        instead: The setting that names another one, for the message.

    Raises:
        FarkerasError: Another process writes into it, or it cannot be written.
    """
    folder = as_path(folder)
    with ExitStack() as until_the_end:
        with writing(folder, instead=instead):
            folder.mkdir(parents=True, exist_ok=True)
            # A network disk locks only what is open to write.
            file = until_the_end.enter_context(open(folder / LOCK_FILE, "a+", encoding="utf-8"))
        try:
            import fcntl  # Windows has none

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise FarkerasError(
                f"{folder} is in use by {file.read() or 'another process'}, and what a second one writes would mix "
                f"with it. Wait until it ends, or name another folder with `{instead}`."
            ) from None
        except (ImportError, OSError) as error:
            why = "this system has no fcntl" if isinstance(error, ImportError) else reason(error)
            logging.getLogger("farkeras").warning(
                "%s cannot be locked (%s): start no second command that writes into it.", folder, why
            )
        with writing(folder, instead=instead):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
        yield


def _remove_abandoned(path: Path) -> None:
    with suppress(OSError):  # the folder may not be listed, or another process was faster
        for folder in list(path.parent.iterdir()):
            if folder.name.startswith(f".{path.name}.") and folder.name.endswith(".partial"):
                changed = max(part.stat().st_mtime for part in (folder, *folder.iterdir()))
                if time.time() - changed > _ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)
