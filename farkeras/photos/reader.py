"""Reads an image in any form that users have: a file of any orientation and colour mode, or an array of pixels."""

import io
import os
from collections.abc import Iterable, Iterator
from typing import IO, Any, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from farkeras.errors import FarkerasError
from farkeras.files import as_path
from farkeras.photos.pixels import UNREADABLE, NoHeif, opened, orientation, rgb, upright


class Tensor(Protocol):
    """A tensor of TensorFlow, PyTorch or JAX, or any other object that NumPy can convert to an array."""

    def __array__(self) -> np.ndarray: ...


Photo = str | os.PathLike | bytes | bytearray | memoryview | IO[bytes] | Image.Image | np.ndarray | Tensor
"""An image: the path of its file, the file's content, the open file, a Pillow image, or its pixels.

Pixels are a `uint8` array or tensor `[height, width, 3]` in RGB. OpenCV reads images as BGR, which cannot be detected;
`image[..., ::-1]` converts them to RGB.
"""

_NOT_A_CROP = "not JPEG or PNG; expected a whole JPEG or PNG image."
_CONTENT = (bytes, bytearray, memoryview)
_EXPECTED = (
    "expected the path of an image file, its content as bytes, an open file, a Pillow image, or a uint8 array "
    "[height, width, 3] in RGB"
)


def named(photos: Photo | Iterable[Photo]) -> Iterator[tuple[str, Photo]]:
    """Yields images one by one, each with its name for error messages: its path, or "image 0", "image 1", ...

    Args:
        photos: One image or several; an array or tensor `[batch, height, width, 3]` holds several.
    """
    for i, photo in enumerate(_several(photos)):
        if isinstance(photo, str | os.PathLike):
            yield os.fspath(photo), as_path(photo)
        else:
            yield f"image {i}", photo


def read_photo(photo: Photo, name: str | None = None) -> np.ndarray:
    """Reads an image; a file or Pillow image is turned upright by its EXIF orientation.

    Args:
        photo: The image, see `Photo`. Files may have any format that Pillow reads. Greyscale, palette and CMYK images
            are converted to RGB. An open file is read from its start.
        name: Name of the image in error messages; by default its path, or "The photo".

    Returns:
        `uint8` array `[height, width, 3]`, RGB.

    Raises:
        FarkerasError: The file is missing, empty, truncated or not an image; it has more than 179 million pixels
            (twice Pillow's `Image.MAX_IMAGE_PIXELS`); or the array has another dtype or shape.
    """
    return _read(photo, name, any_format=True)


def read_crop(photo: Photo, name: str | None = None) -> np.ndarray:
    """Reads an aligned crop; a file must be JPEG or PNG, as in training and in exported graphs.

    Arguments, result and errors are otherwise those of `read_photo`.
    """
    return _read(photo, name, any_format=False)


def _read(photo: Any, name: str | None, any_format: bool) -> np.ndarray:
    is_path = isinstance(photo, str | os.PathLike)
    name = name or (os.fspath(photo) if is_path else "The photo")
    photo = as_path(photo) if is_path else photo
    content = None if is_path else content_of(photo, name)
    if not is_path and content is None and not isinstance(photo, Image.Image):
        array = _array(photo, name)
        if array.ndim == 0 and isinstance(array.item(), str | bytes):  # a string tensor of TensorFlow
            return _read(array.item(), name, any_format)
        check_pixels(name, array)
        return array
    try:
        if isinstance(photo, Image.Image):
            return upright(rgb(photo, name), orientation(photo))
        with opened(photo if content is None else io.BytesIO(content)) as image:
            if not any_format and image.format not in ("JPEG", "PNG", "MPO"):  # MPO: two JPEGs, as some phones write
                raise FarkerasError(f"{name} is a {image.format} image, {_NOT_A_CROP}")
            return upright(rgb(image, name), orientation(image))
    except FileNotFoundError:
        raise FarkerasError(f"There is no file {name}; check the path.") from None
    except NoHeif:
        if not any_format:
            raise FarkerasError(f"{name} is a HEIF image, {_NOT_A_CROP}") from None
        raise FarkerasError(f"{name} is a HEIC or HEIF image; install its reader: pip install pillow-heif") from None
    except UnidentifiedImageError:
        if not (os.path.getsize(photo) if content is None else content):
            raise FarkerasError(f"{name} is empty (0 bytes); copy the photo again.") from None
        expected = "JPEG, PNG or another format that Pillow reads" if any_format else "a whole JPEG or PNG image"
        raise FarkerasError(f"{name} is not an image; expected {expected}.") from None
    except Image.DecompressionBombError:
        raise FarkerasError(
            f"{name} has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, too many for a photograph; scale it "
            "down."
        ) from None
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno:  # the file cannot be opened, for example without permission
            raise FarkerasError(f"Cannot read {name} ({error.strerror}); check the path.") from None
        reason = " ".join(str(error).split())
        raise FarkerasError(
            f"{name} cannot be decoded ({reason}); the file may be truncated. Copy the photo again."
        ) from None


def content_of(photo: Any, name: str) -> bytes | None:
    """Returns the content of an open file or of bytes; None for any other object. Raises the errors of `read_photo`."""
    if not isinstance(photo, _CONTENT) and not hasattr(photo, "read"):
        return None
    try:
        if hasattr(photo, "seekable") and photo.seekable():
            photo.seek(0)  # as Pillow does; the caller may have just written it
        content = photo if isinstance(photo, _CONTENT) else photo.read()
    except (OSError, ValueError) as error:  # ValueError: the file is closed, or open as text
        raise FarkerasError(f'{name} cannot be read ({error}); open the file as open(path, "rb").') from None
    if not isinstance(content, _CONTENT):
        raise FarkerasError(f"Reading {name} returned {type(content).__name__}, not bytes; {_EXPECTED}.")
    return bytes(content)


def check_pixels(name: str, image: np.ndarray, least_side: int = 1) -> None:
    """Raises a `FarkerasError` unless an array is a large enough `uint8` image `[height, width, 3]`.

    Args:
        name: Name of the image in the error message.
        image: The array to check.
        least_side: Minimum height and width in pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise FarkerasError(
            f"{name}: expected a uint8 array [height, width, 3]. Received: {image.dtype} {list(image.shape)}. "
            f"{_fix(image)}"
        )
    height, width = image.shape[:2]
    if min(height, width) < least_side:
        raise FarkerasError(
            f"{name} has {width} x {height} pixels; expected at least {least_side} x {least_side}. Use a larger image."
        )


def _fix(image: np.ndarray) -> str:
    if image.ndim == 3 and image.shape[-1] != 3 and image.shape[0] in (1, 3, 4):
        return "Move its channels to the end: np.moveaxis(image, 0, -1)."
    if image.ndim == 2 or image.shape[-1:] == (1,):
        return "Repeat its grey channel three times."
    if image.shape[-1:] == (4,):
        return "Leave out its alpha channel: image[..., :3]."
    if image.dtype.kind == "f":
        return "Convert floats in 0..1 to pixels: (255 * image).round().astype(np.uint8)."
    return "Pass the RGB pixels of one image, in 0..255."


def _array(photo: Any, name: str) -> np.ndarray:
    if photo is None:
        raise FarkerasError(
            f"{name} is None: the image could not be read. Check its path; OpenCV's imread returns None instead of an "
            "error, and its images are BGR, which image[..., ::-1] converts to RGB."
        )
    if not hasattr(photo, "__array__"):
        raise FarkerasError(f"{name} is of type {type(photo).__name__}; {_EXPECTED}.")
    try:
        return np.asarray(photo)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor on a GPU, with a gradient, or without a value
        reason = " ".join(str(error).split())
        raise FarkerasError(
            f"{name} is of type {type(photo).__name__}, which NumPy cannot convert to an array: {reason}"
        ) from None


def _several(photos: Any) -> Iterable[Any]:
    if isinstance(photos, (str, os.PathLike, Image.Image, *_CONTENT)) or hasattr(photos, "read"):
        return [photos]
    if hasattr(photos, "__array__"):
        array = _array(photos, "The image")
        if array.dtype.kind in "OSU":  # paths or images, such as a column of a table
            return array.ravel().tolist()
        return array if array.ndim == 4 else [array]
    return photos if isinstance(photos, Iterable) else [photos]
