"""Checks a data set's image files with the decoder that training uses. Each file is read once, in threads."""

import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import tensorflow as tf
from PIL import Image

from farkeras.data.preprocessing import Preprocessing
from farkeras.data.sources.archives import is_html
from farkeras.photos.pixels import UNREADABLE, NoHeif, is_turned, opened
from farkeras.progress import Progress, report

MAX_BYTES = 2**29 - 1
"""Most bytes of pixels that TensorFlow's decoder accepts: 178,956,970 RGB pixels. It checks before it takes memory."""

_TASK_SIZE = 50  # images per task of a thread
_DECODE = Preprocessing((1, 1)).decode  # decoding does not depend on the input size


class ImageFile(NamedTuple):
    """Result of reading and decoding one image file.

    Attributes:
        digest: SHA-256 of the file's bytes; None if it cannot be read.
        size: Height and width in pixels; None if the image cannot be decoded.
        missing: Whether the file does not exist.
        problem: Why the file cannot be read or decoded, such as "is empty (0 bytes)"; None if it can.
        turned: Whether the EXIF orientation asks for a rotated or mirrored display. Training ignores it.
    """

    digest: bytes | None = None
    size: tuple[int, int] | None = None
    missing: bool = False
    problem: str | None = None
    turned: bool = False


def read_image_files(
    images: Sequence[Callable[[], bytes]], workers: int, progress: Progress | None = None
) -> list[ImageFile]:
    """Reads and decodes image files.

    Args:
        images: A function for each image that reads its bytes, see `encoded_images`.
        workers: Number of threads. Each holds one image in memory.
        progress: Called every few images.

    Returns:
        One result for each image, in order. A file that cannot be used raises no error.
    """
    tasks = [images[start : start + _TASK_SIZE] for start in range(0, len(images), _TASK_SIZE)]
    files: list[ImageFile] = []
    pool = ThreadPoolExecutor(workers)
    try:
        report(progress, 0, len(images))
        for found in pool.map(lambda task: [read_image_file(read) for read in task], tasks):
            files += found
            report(progress, len(files), len(images))
    finally:
        pool.shutdown(cancel_futures=True)
    return files


def read_image_file(read: Callable[[], bytes]) -> ImageFile:
    """Reads and decodes one image file."""
    try:
        encoded = read()
    except (FileNotFoundError, NotADirectoryError):
        return ImageFile(missing=True, problem="does not exist")
    except OSError as error:
        return ImageFile(problem=f"cannot be read ({error.strerror})")
    except tf.errors.OpError:
        return ImageFile(problem="is damaged: its checksum is wrong")
    digest = hashlib.sha256(encoded).digest()
    try:
        height, width, _ = _DECODE(encoded).shape
    except tf.errors.OpError:
        return ImageFile(digest, problem=why_undecodable(encoded))
    return ImageFile(digest, (height, width), turned=is_turned(encoded))


def why_undecodable(encoded: bytes) -> str:
    """Says what is wrong with the content of an undecodable file, as the end of a sentence that begins "The file"."""
    if not encoded:
        return "is empty (0 bytes)"
    if is_html(encoded):
        return "is a web page: the download was refused"
    try:
        with opened(io.BytesIO(encoded)) as image:  # reads the header only
            kind, (width, height) = image.format, image.size
    except Image.DecompressionBombError:
        return f"has more than {MAX_BYTES // 3:,} pixels"
    except NoHeif:
        return "is a HEIF image, not JPEG or PNG"
    except UNREADABLE:
        return "is not an image"
    if width * height * 3 > MAX_BYTES:
        return f"has more than {MAX_BYTES // 3:,} pixels"
    if kind not in ("JPEG", "PNG", "MPO"):  # MPO: a JPEG followed by more images, which some phones write
        return f"is a {kind} image, not JPEG or PNG"
    return "is truncated or damaged"
