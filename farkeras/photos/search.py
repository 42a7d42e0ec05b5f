"""Finds the photographs that a user names, as files or as folders, and logs the files that it leaves out."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from farkeras.errors import few
from farkeras.files import as_path

PREDICTIONS_FILE = "predictions.csv"
"""Name of the file, in a folder of photographs, to which their predictions are written."""

_MORE = {".mpo", ".heic", ".heif", ".heics", ".heifs", ".hif"}  # read as JPEG, and by pillow-heif (see `pixels`)
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # Pillow cannot decode them alone


def photo_suffixes() -> set[str]:
    """Returns the lower-case suffixes of files that `read_photo` reads and that count as photographs in a folder."""
    Image.init()
    endings = Image.registered_extensions().items()
    return _MORE | {ending for ending, kind in endings if kind in Image.OPEN and kind not in _NOT_DECODED}


def find_photos(places: Iterable[str | os.PathLike], sub_folders: bool = False) -> tuple[list[Path], list[str]]:
    """Lists the named files and the photographs in the named folders.

    The log names the files and sub-folders that are left out, except hidden ones.

    Args:
        places: Paths of files and folders. Files are kept whatever their name, even if they do not exist. Folders are
            searched for files with one of `photo_suffixes` in upper or lower case, sorted by name; hidden files are
            ignored.
        sub_folders: Whether to search sub-folders, too, except hidden ones and links.

    Returns:
        The paths of the files, and one sentence for each folder that cannot be read or holds no photograph.
    """
    photos: list[Path] = []
    errors: list[str] = []
    for place in map(as_path, places):
        if not os.path.isdir(place):  # also False without permission to look at the path
            photos.append(place)
            continue
        inside, unreadable = _search(place, sub_folders)
        if not inside and not unreadable:
            errors.append(
                f"{place} holds no photo; expected files that end in .jpg, .png, .heic or another image suffix."
            )
        photos += inside
        errors += unreadable
    return photos, errors


def _search(place: Path, sub_folders: bool) -> tuple[list[Path], list[str]]:
    suffixes = photo_suffixes()
    unreadable: list[OSError] = []
    photos: list[Path] = []
    others: list[str] = []
    not_searched: list[str] = []
    for folder, below, files in os.walk(place, onerror=unreadable.append):  # does not follow links
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in below:
            if not sub_folders or os.path.islink(os.path.join(folder, name)):
                not_searched.append(os.path.relpath(os.path.join(folder, name), place))
        below[:] = below if sub_folders else []
        for name in sorted(files):
            if Path(name).suffix.lower() in suffixes and not name.startswith("."):
                photos.append(Path(folder, name))
            elif name != PREDICTIONS_FILE and not name.startswith("."):
                others.append(os.path.relpath(os.path.join(folder, name), place))
    _say(place, "file", "no image suffix", others)
    _say(place, "folder", f"{'links' if sub_folders else 'sub-folders'} are not searched", not_searched)
    return photos, [f"Cannot read the folder {e.filename} ({e.strerror}); make it readable." for e in unreadable]


def _say(place: Path, what: str, why: str, names: Sequence[str]) -> None:
    if names:
        number = f"1 {what}" if len(names) == 1 else f"{len(names):,} {what}s"
        logging.getLogger("farkeras").warning("%s: %s left out (%s): %s", place, number, why, few(names))
