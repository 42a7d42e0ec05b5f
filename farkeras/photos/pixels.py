"""Converts Pillow images to the pixels that TensorFlow's decoder gives, which training and exported graphs use."""

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from farkeras.errors import FarkerasError

UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""Exceptions that Pillow's plugins raise for files that they cannot read."""

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_ORIENTATION = 0x0112  # EXIF's tag
_HOLDS_ORIENTATION = (b"exif", b"tiff:orientation", b"adobe.xmp")  # at least one is in every file with an orientation


class NoHeif(OSError):
    """Raised for a HEIC or HEIF file, the format of iPhone photographs, if pillow-heif is not installed."""


@contextmanager
def opened(file: str | IO[bytes]) -> Iterator[Image.Image]:
    """Opens an image file without Pillow's warnings, for example of large images or damaged EXIF; errors remain."""
    with _without_warnings(), _open(file) as image:
        yield image


def _open(file: str | os.PathLike | IO[bytes]) -> Image.Image:
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        if not _is_heif(file):
            raise
    try:
        import pillow_heif
    except ImportError:
        raise NoHeif from None
    pillow_heif.register_heif_opener()
    return Image.open(file)


def _is_heif(file: str | os.PathLike | IO[bytes]) -> bool:
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as start:
            head = start.read(12)
    else:
        file.seek(0)
        head = file.read(12)
        file.seek(0)
    return head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS


def rgb(image: Image.Image, name: str = "The photo") -> np.ndarray:
    """Converts an image to RGB pixels; the EXIF orientation is not applied, and transparency is dropped.

    Pillow's own conversion clips 16-bit grey to white, treats every CMYK file as one of Adobe's, and rounds
    differently.

    Args:
        image: An image of any mode with 8 or 16 bits.
        name: Name of the image in error messages.

    Returns:
        `uint8` array `[height, width, 3]`, RGB.

    Raises:
        FarkerasError: The pixels are 32-bit numbers, for which the values of black and white are unknown.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):  # both have 16 bits
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode in ("I", "F"):
        raise FarkerasError(
            f"{name} has pixels of 32 bits; expected 8 or 16 bits. Scale them to 0..255 and save the image as PNG."
        )
    if image.mode == "CMYK":
        light = 255 - np.asarray(image).astype(np.uint16)
        if image.format in ("JPEG", "MPO") and "adobe" not in image.info:  # only Adobe stores light; others store ink
            light = 255 - light
        return (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
    if image.mode == "RGB":
        return np.array(image)
    with _without_warnings():
        return np.array(image.convert("RGB"))


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; 1 (upright) if the image has none or its EXIF is damaged."""
    try:
        with _without_warnings():
            found = image.getexif().get(_ORIENTATION)
    except (*UNREADABLE, LookupError, TypeError, struct.error):  # damaged EXIF; the pixels may be intact
        return 1
    return int(found) if found is not None and found in range(1, 9) else 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rotates and mirrors pixels `[height, width, 3]` by an EXIF orientation, so that the image is upright."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows, columns = -1 if orientation in (3, 4, 7, 8) else 1, -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])


def is_turned(encoded: bytes) -> bool:
    """Returns whether a JPEG or PNG file has an EXIF orientation that rotates or mirrors it."""
    lower = encoded.lower()
    if not any(mark in lower for mark in _HOLDS_ORIENTATION):  # most files have no orientation and need not be opened
        return False
    try:
        with opened(BytesIO(encoded)) as image:
            return orientation(image) != 1
    except UNREADABLE:
        return False


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
