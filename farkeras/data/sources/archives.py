"""Unpacks the zip archive of a data set once and safely, and recognizes web pages and incomplete downloads."""

import shlex
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from farkeras.errors import FarkerasError
from farkeras.files import written_aside
from farkeras.progress import Progress, report


def is_html(head: bytes) -> bool:
    """Says whether a file that begins with `head` is a web page, which a refused download leaves behind."""
    return head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html"))


def extract_zip(archive: Path, folder: Path, progress: Progress | None = None) -> None:
    """Extracts `archive` to `folder`, which appears complete or not at all.

    The files are written into a temporary folder next to `folder`, which is renamed at the end. So several processes
    may extract at once, and the first one to finish wins. If the archive wraps everything in one folder of the same
    name, as `img_align_celeba.zip` does, that folder becomes `folder`.

    Args:
        archive: The zip file.
        folder: Folder to create. It must not exist yet, and its parent must be writable.
        progress: Called after every file.

    Raises:
        FarkerasError: The file is not a zip archive (the message says if it is an HTML page), is truncated or damaged,
            or has a member that would be written outside `folder`; or the folder cannot be written.
    """
    read_head(archive, "an archive")
    by_hand = f"unzip it by hand: {shlex.join(['unzip', str(archive), '-d', str(folder.parent)])}"
    try:
        with zipfile.ZipFile(archive) as members:
            _refuse_traversal(archive, members)
            names = members.namelist()
            wrapped = all(name.split("/")[0] == folder.name for name in names)
            with written_aside(folder) as partial:
                for done, name in enumerate(names, 1):
                    members.extract(name, partial.parent if wrapped else partial)
                    report(progress, done, len(names))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FarkerasError(
            f"{archive} is truncated or not a zip archive ({archive.stat().st_size:,} bytes; {error}). Download it "
            "again."
        ) from None
    except OSError as error:
        if folder.is_dir():
            return  # another process was faster; its folder has the same content
        raise FarkerasError(
            f"Cannot extract {archive} into {folder.parent} ({error.strerror}); free disk space and make the folder "
            f"writable, or {by_hand}."
        ) from None


def read_head(path: Path, kind: str) -> bytes:
    """Reads the first 512 bytes of a downloaded file.

    Args:
        path: The file.
        kind: The expected kind of file, such as "an archive", for the message.

    Raises:
        FarkerasError: The file cannot be read, or it is a web page.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise FarkerasError(f"Cannot read {path} ({error.strerror}); expected {kind} that can be read.") from None
    if is_html(head):
        raise FarkerasError(
            f"{path} is an HTML page, not {kind}: the download was refused, as Google Drive does when a quota is "
            "exceeded. Remove it and download the file again with a browser or from a mirror."
        )
    return head


def _refuse_traversal(archive: Path, members: zipfile.ZipFile) -> None:
    for name in members.namelist():
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ":" in name or ".." in path.parts:
            raise FarkerasError(
                f"{archive} holds '{name}', which would be written outside the folder. Do not use this archive."
            )
