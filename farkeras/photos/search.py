"""Finds the photographs that a user names, one by one or by folder, and says what it leaves out."""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from farkeras.errors import few
from farkeras.files import as_path

PREDICTIONS_FILE = "predictions.csv"
"""What the predictions of a folder's photographs are written to, in the folder itself."""

_MORE = {".mpo", ".heic", ".heif", ".heics", ".heifs", ".hif"}  # by JPEG's reader, and by pillow-heif, see `pixels`
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # by Pillow alone


def photo_suffixes() -> set[str]:
    """File name endings, in lower case, of what `read_photo` reads: they count as photographs in a folder."""
    Image.init()
    endings = Image.registered_extensions().items()
    return _MORE | {ending for ending, kind in endings if kind in Image.OPEN and kind not in _NOT_DECODED}


def find_photos(places: Iterable[str | os.PathLike], sub_folders: bool = False) -> tuple[list[Path], list[str]]:
    """The files named, and for every folder named the photographs in it.

    What is left out in a folder, but for hidden files, is named in a line of the log.

    Args:
        places: Paths of files, kept whatever their name and whether they exist or not, and folders,
            searched for `photo_suffixes` in any case but not for hidden files, sorted by name.
        sub_folders: Whether to search their sub-folders, too: all but hidden ones and links.

    Returns:
        The files, and one sentence for each folder that cannot be read or holds no photograph.
    """
    photos: list[Path] = []
    errors: list[str] = []
    for place in map(as_path, places):
        if not os.path.isdir(place):  # False, too, where the path may not be looked at
            photos.append(place)
            continue
        inside, unreadable = _search(place, sub_folders)
        if not inside and not unreadable:
            errors.append(
                f"{place} holds no photo; expected files that end in .jpg, .png, .heic or as other images do."
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
    _say(place, "file", "not the ending of a photo", others)
    _say(place, "folder", f"{'links' if sub_folders else 'sub-folders'} are not searched", not_searched)
    return photos, [f"Cannot read the folder {e.filename} ({e.strerror}); make it readable." for e in unreadable]


def _say(place: Path, what: str, why: str, names: Sequence[str]) -> None:
    if names:
        number = f"1 {what}" if len(names) == 1 else f"{len(names):,} {what}s"
        logging.getLogger("farkeras").warning("%s: %s left out (%s): %s", place, number, why, few(names))
