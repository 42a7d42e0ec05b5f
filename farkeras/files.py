"""Atomic writing of files and folders, error messages of failed writes, and locks of folders."""

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
"""How to write characters that an encoding lacks, such as in a file name that is not UTF-8: `\\udcfc`, as in JSON."""

_NO_PATTERN = re.compile(r"[^\[*?\\\ud800-\udfff]*")

_REASONS = {os.strerror(number) for number in errno.errorcode}
_NO_FOLDER = {os.strerror(number) for number in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)}
_ABANDONED = 24 * 3600
"""Seconds without a change after which a `.partial` folder counts as abandoned by its writer."""


@contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary path for a file or folder, in the folder of `path`, and renames it to `path` at the end.

    If the block raises or the process dies, `path` stays as it was. An existing file is replaced; an existing folder
    is not (`OSError`). Several processes may write the same `path` at once. A killed process leaves a hidden folder
    `.NAME.RANDOM.partial`; the first write of `path` after a day removes it. A device or pipe, such as `/dev/stdout`,
    stays what it is and receives the content.
    """
    path = as_path(path)
    folder: Path | None = None
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            folder = Path(tempfile.mkdtemp(prefix="farkeras."))
            yield folder / path.name
            with open(folder / path.name, "rb") as content, open(path, "wb") as device:
                shutil.copyfileobj(content, device)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        aside = folder / path.name
        yield aside
        os.replace(aside, path)
    except OSError as error:
        # The error of a full disk names no file, and the temporary name would not help the reader of the message.
        if error.filename is None or f".{path.name}." in os.fsdecode(error.filename):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def as_path(path: str | os.PathLike) -> Path:
    """Expands `~` in a user's path to the home folder, which a shell does not do in `--workdir=~/run`."""
    return Path(os.path.expanduser(path))


@contextmanager
def plain_path(folder: str | os.PathLike) -> Iterator[str]:
    """Gives a path of an existing folder that TensorFlow can use for checkpoints.

    TensorFlow searches checkpoints by glob pattern: it finds none in a folder `run[lr=3e-4]`, and for a folder `a*` it
    would remove those of `ab`. It also rejects paths that are not UTF-8. For a path with `[`, `*`, `?`, a backslash or
    such a byte, the block gets a temporary symbolic link to the folder.
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
    """Writes a UTF-8 text file atomically; see `ESCAPED` for text that UTF-8 lacks."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors=ESCAPED)


def escape_output() -> None:
    """Makes stdout and stderr escape the characters that the terminal's encoding lacks; see `ESCAPED`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a notebook or a test may have replaced the stream
            stream.reconfigure(errors=ESCAPED)


def reason(error: BaseException) -> str:
    """Returns the operating system's reason for a failed read or write; "" for an error of another kind.

    TensorFlow does not raise `OSError`; its message contains the reason, as in "{{function}} path; No space left on
    device [Op:SaveV2]".
    """
    if isinstance(error, OSError):
        lines = (error.strerror or str(error)).splitlines()
        return lines[0] if lines else type(error).__name__
    first_line = str(getattr(error, "message", "")).partition("\n")[0].partition(" [Op")[0]
    text = re.split(r"; |\}\} ", first_line)[-1]
    return text if text in _REASONS else ""


@contextmanager
def writing(what: str | os.PathLike, done: str = "", instead: str = "") -> Iterator[None]:
    """Converts the error of a failed write into a `FarkerasError` that names the fix.

    Args:
        what: The file, folder or thing that is written, for the message.
        done: A participle for finished work that a restart does not repeat, such as "saved"; "" for none.
        instead: The setting that names another file or folder; "" for none.

    Raises:
        FarkerasError: A write in the block failed.
    """
    try:
        yield
    except Exception as error:
        if not (why := reason(error)):
            raise
        remedy = "free disk space or make the folder writable"
        if why in _NO_FOLDER:
            remedy = "remove the file that is in the place of a folder"
        if instead:
            remedy += f", or name another with `{instead}`"
        again = f" Then start the same command again; it does not repeat what is already {done}." if done else ""
        raise FarkerasError(f"Cannot write {what} ({why}); {remedy}.{again}") from None


@contextmanager
def alone_in(folder: str | os.PathLike, instead: str) -> Iterator[None]:
    """Locks a folder against a second writer, a process or thread, for the length of the block.

    The folder is created if necessary. The lock ends with the process. If the disk has no locks, a warning is logged.

    Args:
        folder: The folder.
        instead: The setting that names another folder, for the message.

    Raises:
        FarkerasError: Another writer holds the lock, or the folder is not writable.
    """
    folder = as_path(folder)
    with ExitStack() as until_the_end:
        with writing(folder, instead=instead):
            folder.mkdir(parents=True, exist_ok=True)
            # A network disk locks only files that are open for writing.
            file = until_the_end.enter_context(open(folder / LOCK_FILE, "a+", encoding="utf-8"))
        try:
            import fcntl  # not available on Windows

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            raise FarkerasError(
                f"{folder} is in use by {file.read() or 'another process'}; the files of two writers would mix. Wait "
                f"until it ends, or name another folder with `{instead}`."
            ) from None
        except (ImportError, OSError) as error:
            why = "this system has no fcntl" if isinstance(error, ImportError) else reason(error)
            logging.getLogger("farkeras").warning(
                "%s cannot be locked (%s). Do not start a second command that writes into this folder.", folder, why
            )
        with writing(folder, instead=instead):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
        yield


def _remove_abandoned(path: Path) -> None:
    with suppress(OSError):  # the folder may be unreadable, or another process may have removed it
        for folder in list(path.parent.iterdir()):
            if folder.name.startswith(f".{path.name}.") and folder.name.endswith(".partial"):
                changed = max(part.stat().st_mtime for part in (folder, *folder.iterdir()))
                if time.time() - changed > _ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)
