"""Packs the images of a data set into a few large files, for disks that are slow with many small files."""

import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from farkeras.data.examples import Examples, folder_of, names_in
from farkeras.data.keypoints import store_of
from farkeras.data.procedural import SETTINGS_FILE, is_procedural
from farkeras.data.reading import encoded_images
from farkeras.data.sources.packed_files import Index, record_lengths, write_index
from farkeras.data.sources.source import Source, filled_splits
from farkeras.data.sources.splits import SPLITS
from farkeras.data.subgroups import SUBGROUP_FILE
from farkeras.errors import FarkerasError
from farkeras.files import LOCK_FILE, alone_in, as_path, writing, written_aside
from farkeras.progress import Progress, report

_FILE_SIZE = 1000  # images per file (7 MB of CelebA): the most that is packed again after a process was killed
_TASK_SIZE = 64  # images in memory at a time
_THREADS = 16  # concurrent reads, which hide the latency of a slow disk

_Image = tuple[str, Callable[[], bytes]]  # the image's path, and a function that reads it


class Packing(NamedTuple):
    """Result of packing a data set.

    Attributes:
        num_images: Number of images in the packed data set.
        num_files: Number of TFRecord files.
        num_bytes: Total size of these files in bytes.
        keypoints: Whether the keypoints of the data set were copied.
    """

    num_images: int
    num_files: int
    num_bytes: int
    keypoints: bool


def pack_data_set(
    source: Source,
    data_dir: str | os.PathLike,
    output: str | os.PathLike,
    progress: Progress | None = None,
    keypoints_dir: str | os.PathLike = "",
) -> Packing:
    """Writes a folder that the source `packed` reads, and copies the keypoints of the data set if it has any.

    After an interruption, the same call continues and keeps the complete files. Files are recognized by the names of
    their images, so pack into another folder after you replace images. After a change of labels, packing again writes
    only the index.

    Args:
        source: The opened data set.
        data_dir: The data set's folder, or its table.
        output: Folder to write.
        progress: Called every few images. It also counts the images that are already packed.
        keypoints_dir: Folder of the data set's keypoints; by default `keypoints` in the data set's folder.

    Returns:
        Numbers of images, files and bytes.

    Raises:
        FarkerasError: An image cannot be read, `output` cannot be written or holds another data set, or another
            process writes into it.
    """
    splits, output = filled_splits(source), as_path(output)
    paths = np.concatenate([examples.paths for examples in splits.values()]).tolist()
    names = names_in(data_dir, paths)
    images = list(zip(paths, (read for part in splits.values() for read in encoded_images(part)), strict=True))
    tasks: dict[str, list[_Image]] = {}  # file -> its images
    for start in range(0, len(paths), _FILE_SIZE):
        digest = hashlib.sha256("\n".join(names[start : start + _FILE_SIZE]).encode()).hexdigest()[:12]
        tasks[f"images-{start // _FILE_SIZE:05}-{digest}.tfrecord"] = images[start : start + _FILE_SIZE]
    if others := sorted({path.name for path in output.glob("images-*.tfrecord")} - set(tasks)):
        raise FarkerasError(
            f"{output} holds images of another data set, or of an older state of this one ({others[0]}). Remove the "
            "folder, or name another one with `output`."
        )
    with alone_in(output, "output"), writing(output, "packed", "output"):
        _write_missing(output, tasks, progress)
        lengths = [record_lengths(output / file) for file in tasks]
        for file, wanted, found in zip(tasks, tasks.values(), lengths, strict=True):
            if len(found) != len(wanted):
                raise FarkerasError(
                    f"{output / file} holds {len(found)} images, expected {len(wanted)}. Remove the file and start the "
                    "same command again."
                )
        index = _index(splits, names, list(tasks), np.concatenate(lengths))
        keypoints = _copy_keypoints(store_of(data_dir, keypoints_dir), store_of(output))
        if is_procedural(data_dir):  # so that results still say that the faces are procedural
            _copy(folder_of(data_dir) / SETTINGS_FILE, output / SETTINGS_FILE)
        if (subgroups := folder_of(data_dir) / SUBGROUP_FILE).is_file():
            _copy(subgroups, output / SUBGROUP_FILE)
        write_index(output, index)
    return Packing(len(paths), len(tasks), int(index.sizes().sum()), keypoints)


def _index(splits: dict[str, Examples], names: list[str], files: list[str], length: np.ndarray) -> Index:
    parts = list(splits.values())
    landmarks = [part.landmarks for part in parts if part.landmarks is not None]
    people = [part.people for part in parts if part.people is not None]
    return Index(
        attributes=np.array(parts[0].attributes),
        names=np.array(names),
        split=np.repeat([SPLITS.index(name) for name in splits], [len(part) for part in parts]).astype(np.int8),
        labels=np.concatenate([part.labels for part in parts]),
        landmarks=np.concatenate(landmarks) if landmarks else np.zeros((0, 5, 2), np.float32),
        frame=np.array(parts[0].frame),
        files=np.array(files),
        file_of=np.arange(len(names)) // _FILE_SIZE,
        length=length,
        **({"people": np.concatenate(people)} if people else {}),
    )


def _write_missing(output: Path, tasks: dict[str, list[_Image]], progress: Progress | None) -> None:
    total = sum(map(len, tasks.values()))
    to_do = {file: images for file, images in tasks.items() if not (output / file).exists()}
    done = total - sum(map(len, to_do.values()))
    report(progress, done, total)
    with ThreadPoolExecutor(_THREADS) as pool:
        for file, images in to_do.items():
            with written_aside(output / file) as aside, tf.io.TFRecordWriter(os.fsencode(aside)) as writer:
                for start in range(0, len(images), _TASK_SIZE):
                    for encoded in pool.map(_read, images[start : start + _TASK_SIZE]):
                        writer.write(encoded)
                        done += 1
                    report(progress, done, total)


def _read(image: _Image) -> bytes:
    path, read = image
    try:
        return read()
    except (OSError, tf.errors.OpError) as error:
        raise FarkerasError(
            f"Cannot read {path} ({getattr(error, 'strerror', 'damaged')}); restore the image or remove it from the "
            "lists, then start the same command again. It packs only the images that are not packed yet."
        ) from None


def _copy_keypoints(store: Path, to: Path) -> bool:
    """Makes the folder `to` a copy of the folder `store`. Returns False if `store` does not exist."""
    if not store.is_dir():
        return False
    for path in store.iterdir():
        if path.is_file() and path.name != LOCK_FILE:
            _copy(path, to / path.name)
    for path in to.iterdir():
        if path.is_file() and not (store / path.name).exists():
            path.unlink()
    return True


def _copy(path: Path, to: Path) -> None:
    if not to.exists() or not filecmp.cmp(path, to, shallow=False):
        with written_aside(to) as aside:
            shutil.copyfile(path, aside)
