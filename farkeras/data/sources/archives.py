"""Unpacks a data set's zip once, safely; tells a web page or half a download from an archive."""

import shlex
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from farkeras.errors import FarkerasError
from farkeras.files import written_aside
from farkeras.progress import Progress, report


def is_html(head: bytes) -> bool:
    """Whether a file that begins so is a web page, which is what a refused download leaves."""
    return head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html"))


def extract_zip(archive: Path, folder: Path, progress: Progress | None = None) -> None:
    """Extracts `archive` to `folder`, which appears complete or not at all.

    The files are written into a temporary folder beside `folder` and renamed at the end, so several
    processes may do it at once and the first one wins. Where the archive wraps everything in one
    folder of the same name, as `img_align_celeba.zip` does, that one becomes `folder`.

    Args:
        archive: The zip file.
        folder: Where to, must not exist yet; its parent must be writable.
        progress: Called after every file.

    Raises:
        FarkerasError: Not a zip (an HTML page is named as such), truncated or damaged, a member
            that would be written outside `folder`, or no right or room to write.
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
            f"{archive} is truncated or not a zip archive ({archive.stat().st_size:,} bytes; "
            f"{error}): download it again."
        ) from None
    except OSError as error:
        if folder.is_dir():
            return  # another process was faster; its folder is as good as ours
        raise FarkerasError(
            f"Cannot extract {archive} into {folder.parent} ({error.strerror}); make room and the "
            f"folder writable, or {by_hand}."
        ) from None


def read_head(path: Path, kind: str) -> bytes:
    """The first 512 bytes of a downloaded file.

    Raises:
        FarkerasError: It cannot be read, or is a web page in place of `kind`, such as "an archive".
    """
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise FarkerasError(f"Cannot read {path} ({error.strerror}); expected {kind} that can be read.") from None
    if is_html(head):
        raise FarkerasError(
            f"{path} is an HTML page, not {kind}: the download was refused (Google Drive answers so when over quota). "
            "Remove it and download the file again with a browser or from a mirror."
        )
    return head


def _refuse_traversal(archive: Path, members: zipfile.ZipFile) -> None:
    for name in members.namelist():
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ":" in name or ".." in path.parts:
            raise FarkerasError(
                f"{archive} holds '{name}', which would be written outside the folder; do not use this archive."
            )
