"""Turns a caller's images into image files, and groups the files into requests."""

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from farkeras.clients.settings import MAX_IMAGE_BYTES
from farkeras.errors import FarkerasError
from farkeras.photos.pixels import is_turned
from farkeras.photos.reader import Photo, content_of, named, read_crop


class File(NamedTuple):
    """An image file for the server.

    Attributes:
        name: Path of the image, or "image 0", "image 1", ... for images without a path.
        data: Content of the JPEG or PNG file; None after an error.
        error: One sentence that names the image, or None.
    """

    name: str
    data: bytes | None = None
    error: str | None = None


def read_files(photos: Photo | Iterable[Photo], align: bool) -> Iterator[File]:
    """Reads images lazily, one by one.

    Args:
        photos: One or several crops or photographs. The file of a crop is sent unchanged. A crop is sent as PNG if it
            is given as pixels, or if its EXIF orientation turns it, which the server would ignore.
        align: Whether `photos` are photographs. The largest face of each is found, aligned and sent as PNG.
    """
    for name, photo in named(photos):
        try:
            yield File(name, _aligned(name, photo) if align else _encoded(name, photo))
        except FarkerasError as error:
            yield File(name, error=str(error))


def in_requests(files: Iterable[File], max_images: int, max_bytes: int) -> Iterator[list[File]]:
    """Groups files into requests and keeps their order. Files with errors are included.

    Args:
        files: The files.
        max_images: Largest number of files in a request.
        max_bytes: Largest total size of the files in a request; a single file may be larger.
    """
    request: list[File] = []
    size = 0
    for file in files:
        more = len(file.data or b"")
        if request and (len(request) == max_images or size + more > max_bytes):
            yield request
            request, size = [], 0
        request.append(file)
        size += more
    if request:
        yield request


def png(pixels: np.ndarray) -> bytes:
    """Encodes pixels as PNG: `uint8 [height, width, 3]`, RGB, or `[height, width, 2]`, grey and alpha."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)  # fast, and a fifth larger than the smallest file
    return file.getvalue()


def _encoded(name: str, photo: Photo) -> bytes:
    if isinstance(photo, str | os.PathLike):
        try:
            size = os.path.getsize(photo)
            content = Path(photo).read_bytes() if size <= MAX_IMAGE_BYTES else b""
        except OSError as error:
            raise FarkerasError(f"Cannot read {name} ({error.strerror}); check the path.") from None
    elif (found := content_of(photo, name)) is None:
        return png(read_crop(photo, name))
    else:
        size, content = len(found), found
    if not 0 < size <= MAX_IMAGE_BYTES:
        raise FarkerasError(
            f"{name} has {size:,} bytes; expected a crop of a face with 1 to {MAX_IMAGE_BYTES:,} bytes. Align "
            "photographs with `align=True`."
        )
    return png(read_crop(content, name)) if is_turned(content) else content


def _aligned(name: str, photo: Photo) -> bytes:
    from farkeras.photos.crops import align_face  # imported only if needed, because it sets MediaPipe's logs

    try:
        return png(align_face(photo))
    except FarkerasError as error:
        text = str(error)
        raise FarkerasError(text.replace("The photo", name, 1) if text.startswith("The photo") else text) from None
