"""Finds and stores the keypoints of a data set: the 478 landmarks of MediaPipe's Face Landmarker for every image.

The paper of MGMTN annotates training images with a pre-trained model of 98 facial points. Using MediaPipe's landmarks
is our choice.

A point is x, y as fractions of the image's width and height, counted from the left and top edge: the centre of pixel
(x, y) is ((x + 0.5) / width, (y + 0.5) / height). Points may lie a little outside 0..1.

The store is the folder `keypoints` in the data set's folder, or the folder that `keypoints_dir` names. It holds files
`part-00000.npz` of at most 500 images with 2 kB each. A part contains `names` (relative to the data set's folder, so
the folder may be moved), `status` (int8), `points` (uint16, see `encode_points`) and `finder`, the name and version of
the face finder. Parts appear complete or not at all and never change. If two parts hold the same image, the later one
counts. Points of another finder are not used, because they differ a little (by 0.028 eye distances on average for
MediaPipe 0.10.21, whose parts name no finder). Their images count as not annotated. `without_points.txt` lists the
images without points and the reason. After you replace images, remove the folder and annotate again.

The images are crops of faces, so only faces whose eyes are at least about a tenth of the image's longer side apart are
looked for; a smaller one would be another person's.
"""

import io
import os
import shlex
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from farkeras.data.examples import Examples, Stored, folder_of, names_in
from farkeras.errors import FarkerasError
from farkeras.files import alone_in, as_path, write_text, writing, written_aside
from farkeras.photos.face_processes import face_processes
from farkeras.photos.landmarks import FINDER, MIN_SIDE, find_face
from farkeras.photos.pixels import UNREADABLE, opened, rgb
from farkeras.progress import Progress, report

if TYPE_CHECKING:
    import tensorflow as tf

FOLDER = "keypoints"
LISTING = "without_points.txt"
NUM_POINTS = 478

_FOUND, _NO_FACE, _UNDECODABLE = 1, 0, -1
_OLD_FINDER = "mediapipe-0.10.21"  # the finder of parts that name none
_PART_SIZE = 500  # images per file: the most that is annotated again after a process was killed, a few seconds
_TASK_SIZE = 20  # images per task of a process
_UNITS = 32768  # steps of a stored point per width or height of the image: 0.005 pixels of CelebA's crop each


class Keypoints(NamedTuple):
    """Keypoints of a list of images.

    Attributes:
        points: `uint16` array `[N, 478, 2]` in MediaPipe's order, 387 MB for CelebA. `decode_points` converts it to
            fractions. Images without points have zeros.
        found: `bool` array `[N]`, whether each image has points.
    """

    points: np.ndarray
    found: np.ndarray

    def take(self, rows: np.ndarray) -> "Keypoints":
        """Returns the keypoints at `rows`, int64 `[n]`."""
        return Keypoints(self.points[rows], self.found[rows])


class Annotation(NamedTuple):
    """Result of annotating a data set.

    Attributes:
        num_images: Number of images.
        without_face: Images in which no face was found, relative to the data set's folder.
        undecodable: Images that cannot be read or decoded, relative to the data set's folder. The next call tries them
            again.
        listing: The text file that lists both.
    """

    num_images: int
    without_face: list[str]
    undecodable: list[str]
    listing: Path


def fractions(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Converts points in pixels to fractions of an image's width and height.

    Args:
        pixels: `[..., 2]`, x, y in pixels as `find_face` returns them; whole numbers are pixel centres.
        height: Height of the image in pixels.
        width: Width of the image in pixels.

    Returns:
        Array of the same shape. 0 is the left or top edge of the image, 1 the right or bottom edge.
    """
    return (pixels + 0.5) / (width, height)


def encode_points(points: np.ndarray) -> np.ndarray:
    """Rounds fractions `[..., 2]` to uint16 of the same shape in steps of 1/32768, clipped to -0.5..1.5."""
    return np.clip(np.rint((points + 0.5) * _UNITS), 0, 65535).astype(np.uint16)


def decode_points(points: "np.ndarray | tf.Tensor") -> "np.ndarray | tf.Tensor":
    """Converts stored points, a uint16 array or TensorFlow tensor of any shape, to float32 fractions in -0.5..1.5.

    The conversion is exact.
    """
    if isinstance(points, np.ndarray):
        return points.astype(np.float32) / _UNITS - 0.5
    import tensorflow as tf  # already loaded if there is a tensor; the processes that annotate do not need it

    return tf.cast(points, tf.float32) / _UNITS - 0.5


def store_of(data_dir: str | os.PathLike, keypoints_dir: str | os.PathLike = "") -> Path:
    """Returns the folder of a data set's keypoints: `keypoints_dir`, or `keypoints` in the data set's folder.

    All tables in one folder share that folder of keypoints.
    """
    return as_path(keypoints_dir) if keypoints_dir else folder_of(data_dir) / FOLDER


def load_keypoints(
    data_dir: str | os.PathLike,
    paths: Iterable[str],
    source: str = "celeba",
    keypoints_dir: str | os.PathLike = "",
) -> Keypoints:
    """Loads the stored keypoints of images.

    Args:
        data_dir: The data set's folder, or its table.
        paths: Image files, as in `Examples.paths`.
        source: Kind of data set, for the error message.
        keypoints_dir: Folder of the keypoints; by default `keypoints` in the data set's folder.

    Returns:
        The keypoints in the order of `paths`.

    Raises:
        FarkerasError: An image has not been annotated, or only by another finder, or a part is damaged.
    """
    names, store = names_in(data_dir, paths), store_of(data_dir, keypoints_dir)
    all_parts = _read_parts(store)
    parts = [part for part in all_parts if part.finder == FINDER]
    listed = (name for part in parts for name in part.names)
    row_of = {name: row for row, name in enumerate(listed)}  # rows over all parts; the later of two counts
    rows = np.array([row_of.get(name, -1) for name in names], np.int64)
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        others = sorted({part.finder for part in all_parts} - {FINDER})
        why = f" (those of {' and '.join(others)} are not used, expected {FINDER})" if others else ""
        raise FarkerasError(
            f"{len(missing):,} of {len(names):,} images have no keypoints in {store}{why}, the first is "
            f"{names[missing[0]]}. Annotate the images first: {annotate_command(data_dir, source, keypoints_dir)}"
        )
    points = np.zeros((len(names), NUM_POINTS, 2), np.uint16)
    found = np.zeros(len(names), bool)
    start = 0
    for part in parts:
        here = np.flatnonzero((rows >= start) & (rows < start + len(part.names)))
        if len(here):
            (stored,) = _read(part.path, "points")
            points[here] = stored[rows[here] - start]
            found[here] = part.status[rows[here] - start] == _FOUND
        start += len(part.names)
    return Keypoints(points, found)


def annotate_command(data_dir: str | os.PathLike, source: str, keypoints_dir: str | os.PathLike = "") -> str:
    """Returns the command that annotates a data set."""
    kind = "" if source == "celeba" else f" --source={source}"  # the command's default
    command = f"python -m farkeras.annotate{kind} --data_dir={shlex.quote(os.fspath(data_dir))}"
    if keypoints_dir:
        command += f" --keypoints_dir={shlex.quote(os.fspath(keypoints_dir))}"
    return f"{command}, with the table's other flags" if source == "table" else command


def annotate_images(
    data_dir: str | os.PathLike,
    splits: Iterable[Examples],
    workers: int,
    progress: Progress | None = None,
    keypoints_dir: str | os.PathLike = "",
) -> Annotation:
    """Finds the keypoints of all images that are not annotated yet, in parallel processes, and stores them.

    After an interruption, the same call continues. The result does not depend on `workers`.

    Args:
        data_dir: The data set's folder, or its table.
        splits: Splits to annotate, such as the values of `filled_splits(source)`.
        workers: Number of processes. Each has its own face finder (about 130 MB).
        progress: Called when the processes are ready, then every few images. It also counts the images that are already
            annotated.
        keypoints_dir: Folder to store the keypoints in; by default `keypoints` in the data set's folder.

    Returns:
        The number of images, and the images without points.

    Raises:
        FarkerasError: MediaPipe or its model file is missing, the folder cannot be written, another process writes into
            it, a process died, a part is damaged, or `workers` is less than 1.
    """
    if workers < 1:
        raise FarkerasError(f"`workers` must be at least 1. Received: {workers}.")
    images: dict[str, Stored] = {}
    for examples in splits:
        images |= zip(names_in(data_dir, examples.paths), examples.stored(), strict=True)
    store = store_of(data_dir, keypoints_dir)
    status = _status(store)
    to_do = [name for name in images if status.get(name, _UNDECODABLE) == _UNDECODABLE]
    tasks = [to_do[start : start + _TASK_SIZE] for start in range(0, len(to_do), _TASK_SIZE)]
    done = len(images) - len(to_do)
    if tasks:
        with (
            face_processes(min(workers, len(tasks)), "images that are already stored are not annotated again") as pool,
            alone_in(store, "keypoints_dir"),
        ):
            waiting: list[tuple[list[str], np.ndarray, np.ndarray]] = []  # names, status and points of each task
            report(progress, done, len(images))
            results = pool.map(_annotate, [[images[name] for name in task] for task in tasks])
            try:
                for task, (found, points) in zip(tasks, results, strict=True):
                    waiting.append((task, found, points))
                    if sum(len(names) for names, *_ in waiting) >= _PART_SIZE:
                        _store(store, waiting)
                    done += len(task)
                    report(progress, done, len(images))
            finally:
                _store(store, waiting)
    status = _status(store)
    without_face = [name for name in images if status[name] == _NO_FACE]
    undecodable = [name for name in images if status[name] == _UNDECODABLE]
    lines = [f"{name}\tno face found\n" for name in without_face]
    lines += [f"{name}\tcannot be decoded\n" for name in undecodable]
    listing, text = store / LISTING, "".join(lines)
    if not listing.is_file() or listing.read_text(encoding="utf-8") != text:  # a complete store may be read-only
        with writing(listing, "stored", "keypoints_dir"):
            write_text(listing, text)
    return Annotation(len(images), without_face, undecodable, listing)


# The store's files.


class _Part(NamedTuple):
    path: Path
    names: list[str]
    status: np.ndarray  # int8 [n]: _FOUND, _NO_FACE or _UNDECODABLE
    finder: str


def _part_paths(store: Path) -> list[Path]:
    return sorted(store.glob("part-[0-9][0-9][0-9][0-9][0-9].npz"))


def _read_parts(store: Path) -> list[_Part]:
    """Reads the parts of all finders, oldest first, without their points."""
    parts = []
    for path in _part_paths(store):
        names, status, finder = _read(path, "names", "status", "finder")
        parts.append(_Part(path, names.tolist(), status, str(finder)))
    return parts


def _status(store: Path) -> dict[str, int]:
    """Returns the status of each image that this finder has annotated."""
    parts = [part for part in _read_parts(store) if part.finder == FINDER]
    return {name: state for part in parts for name, state in zip(part.names, part.status.tolist(), strict=True)}


def _read(path: Path, *arrays: str) -> list[np.ndarray]:
    try:
        with np.load(path) as part:
            old = {} if "finder" in part else {"finder": np.array(_OLD_FINDER)}
            return [old[name] if name in old else part[name] for name in arrays]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        raise FarkerasError(
            f"{path} cannot be read and may be damaged; expected a file that farkeras.annotate wrote. Remove it and "
            "annotate again, which repeats only the images in this file."
        ) from None


def _store(store: Path, results: list[tuple[list[str], np.ndarray, np.ndarray]]) -> None:
    """Moves `results`, if there are any, to a new part."""
    if not results:
        return
    number = 1 + max((int(path.stem.removeprefix("part-")) for path in _part_paths(store)), default=-1)
    path = store / f"part-{number:05}.npz"
    names, status, points = map(np.concatenate, zip(*results, strict=True))
    with writing(path, "stored", "keypoints_dir"), written_aside(path) as aside:
        np.savez(aside, names=names, status=status, points=points, finder=FINDER)
    results.clear()


def _annotate(images: list[Stored]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the status, int8 `[n]`, and the points, uint16 `[n, 478, 2]`, of images."""
    status = np.zeros(len(images), np.int8)
    points = np.zeros((len(images), NUM_POINTS, 2), np.uint16)
    for i, stored in enumerate(images):
        image = decode_image(stored)
        if image is None:
            status[i] = _UNDECODABLE
            continue
        # In the crop of a face, a face that only the tiles show would be another one.
        pixels = None if min(image.shape[:2]) < MIN_SIDE else find_face(image, stored.file, levels=1)
        status[i] = _NO_FACE if pixels is None else _FOUND
        if pixels is not None:
            points[i] = encode_points(fractions(pixels, *image.shape[:2]))
    return status, points


def decode_image(stored: Stored) -> np.ndarray | None:
    """Decodes an image as training does, which ignores the EXIF orientation.

    Returns:
        RGB pixels, `uint8` `[height, width, 3]`; None for an undecodable image.
    """
    try:
        with opened(io.BytesIO(stored.read())) as image:
            return rgb(image)
    except (FarkerasError, *UNREADABLE):
        return None
