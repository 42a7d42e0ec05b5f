"""Reads a photograph as people take them: any orientation, any colour mode, sometimes broken."""

import io
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from farkeras.errors import FarkerasError

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""File name endings, in lower case, that count as photographs when a folder is searched."""


def read_photo(photo: str | os.PathLike | bytes, name: str | None = None) -> np.ndarray:
    """Reads an image file and turns it upright by its EXIF orientation.

    Args:
        photo: A file in any format that Pillow reads, or what is in one; greyscale, palette and CMYK become RGB.
        name: What errors call it; by default its path, or "The photo".

    Returns:
        `uint8` array `[height, width, 3]`, RGB.

    Raises:
        FarkerasError: No such file, empty, not an image, truncated, or too large to be a photograph
            (twice Pillow's `Image.MAX_IMAGE_PIXELS`, 179 million pixels).
    """
    name = name or ("The photo" if isinstance(photo, bytes) else os.fspath(photo))
    try:
        if not photo if isinstance(photo, bytes) else (os.path.isfile(photo) and os.path.getsize(photo) == 0):
            raise FarkerasError(f"{name} is empty (0 bytes); copy the photo again.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the error remains
            with Image.open(io.BytesIO(photo) if isinstance(photo, bytes) else photo) as image:
                return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise FarkerasError(f"There is no file {name}; check the path.") from None
    except UnidentifiedImageError:
        raise FarkerasError(
            f"{name} is not an image, whatever its name says; expected JPEG, PNG or another format that Pillow reads."
        ) from None
    except Image.DecompressionBombError:
        raise FarkerasError(
            f"{name} has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, too many for a photograph; scale it "
            "down."
        ) from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's plugins raise all three
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise FarkerasError(f"{name} cannot be read, it may be truncated ({reason}); copy the photo again.") from None


def check_pixels(name: str, image: np.ndarray, least_side: int = 1) -> None:
    """Raises FarkerasError, with the image's name, for anything but a large enough `[height, width, 3]` of uint8.

    Args:
        name: What the error calls the image.
        image: Any array.
        least_side: Least height and width in pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise FarkerasError(
            f"{name}: expected a uint8 array [height, width, 3], got {image.dtype} {list(image.shape)}."
        )
    height, width = image.shape[:2]
    if min(height, width) < least_side:
        raise FarkerasError(
            f"{name} has {width} x {height} pixels; expected at least {least_side} x {least_side}. Use a larger image."
        )


def find_photos(places: Iterable[str | os.PathLike], sub_folders: bool = False) -> tuple[list[Path], list[str]]:
    """The files named, and for every folder named the photographs in it.

    Args:
        places: Paths of files, kept whatever their name and whether they exist or not, and folders,
            searched for `PHOTO_SUFFIXES` in any case but not for hidden files, sorted by name.
        sub_folders: Whether to search their sub-folders, too: all but hidden ones and links.

    Returns:
        The files, and one sentence for each folder that cannot be read or holds no photograph.
    """
    photos, errors = [], []
    for place in map(Path, places):
        if not os.path.isdir(place):  # False, too, where the path may not be looked at
            photos.append(place)
            continue
        inside, unreadable = _search(place, sub_folders)
        if not inside and not unreadable:
            endings = ", ".join(sorted(PHOTO_SUFFIXES))
            errors.append(f"{place} holds no photo; expected files that end in {endings}.")
        photos += inside
        errors += unreadable
    return photos, errors


def _search(place: Path, sub_folders: bool) -> tuple[list[Path], list[str]]:
    unreadable: list[OSError] = []
    photos: list[Path] = []
    for folder, below, files in os.walk(place, onerror=unreadable.append):  # does not follow links
        below[:] = sorted(name for name in below if sub_folders and not name.startswith("."))
        names = [name for name in sorted(files) if not name.startswith(".")]
        photos += [Path(folder, name) for name in names if Path(name).suffix.lower() in PHOTO_SUFFIXES]
    return photos, [f"Cannot read the folder {e.filename} ({e.strerror}); make it readable." for e in unreadable]
