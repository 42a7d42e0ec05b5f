"""What training will find in a data set's image files: read once each, in threads, with its own decoder."""

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
"""TensorFlow's decoder refuses an image of more bytes of pixels before it takes memory: 178,956,970 pixels in RGB."""

_TASK_SIZE = 50  # images handed to a thread at a time
_DECODE = Preprocessing((1, 1)).decode  # a decoder has no size


class ImageFile(NamedTuple):
    """One file.

    Attributes:
        digest: SHA-256 of its bytes; None where it cannot be read.
        size: Height and width in pixels; None where it cannot be decoded.
        missing: Whether there is no such file.
        problem: Why it cannot be read or decoded, such as "is empty"; None where it can.
        turned: Whether its EXIF orientation says that it is to be shown turned or mirrored, which training does not do.
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
        images: What reads each of them, see `encoded_images`.
        workers: Threads; each holds one image.
        progress: Called every few images.

    Returns:
        One for each image, in order. Nothing is raised for a file that cannot be used.
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
        return ImageFile(missing=True, problem="is not there")
    except OSError as error:
        return ImageFile(problem=f"cannot be read ({error.strerror})")
    except tf.errors.OpError:
        return ImageFile(problem="is damaged: its check sum is wrong")
    digest = hashlib.sha256(encoded).digest()
    try:
        height, width, _ = _DECODE(encoded).shape
    except tf.errors.OpError:
        return ImageFile(digest, problem=why_undecodable(encoded))
    return ImageFile(digest, (height, width), turned=is_turned(encoded))


def why_undecodable(encoded: bytes) -> str:
    """What is wrong with the content of a file that training's decoder refuses; ends "The file ..."."""
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
    if kind not in ("JPEG", "PNG", "MPO"):  # MPO: a JPEG with another one behind it, as some phones write
        return f"is a {kind} image, not JPEG or PNG"
    return "is truncated or damaged"
