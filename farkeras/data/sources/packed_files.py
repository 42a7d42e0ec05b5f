"""The files of a packed data set: the images in a few TFRecord files, and everything else in one index.

A record of `images-*.tfrecord` is the file of one image, byte for byte: 8 bytes of length, 4 of checksum, the image, 4
of checksum. The index says where each record begins, so training can read any example at any time, and the order of the
examples, a pure function of a counter, is the same as for the original data set. The usual way to read TFRecord files,
which shuffles within windows of shards, would give another order and would replay a window after every resume.
ArrayRecord has offsets, but only a Python reader, which blocks tf.data's threads.

The index, `index.npz`, is written last. A folder without it is not a packed data set.
"""

import os
import shlex
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from farkeras.data.examples import RECORD_HEAD, RECORD_TAIL
from farkeras.errors import FarkerasError
from farkeras.files import written_aside

INDEX = "index.npz"
_OVERHEAD = RECORD_HEAD + RECORD_TAIL
_VERSION = 1


class Index(NamedTuple):
    """Everything in a packed data set except the pixels. Rows are ordered by split, then as in the source.

    Attributes:
        attributes: `str` array `[A]`, names of the attributes.
        names: `str` array `[N]`, names of the images in the original data set, see `names_in`.
        split: `int8` array `[N]`, indices in `SPLITS`.
        labels: `int8` array `[N, A]`, as `Examples.labels`.
        landmarks: `float32` array `[N, 5, 2]`, or `[0, 5, 2]` if the source has none.
        frame: `float64` array `[4]`, as `Examples.frame`.
        files: `str` array `[F]`, names of the TFRecord files.
        file_of: `int64` array `[N]`, indices in `files`.
        length: `int64` array `[N]`, length of each image in bytes. The records of a file follow the order of the rows.
        people: `str` array `[N]`, as `Examples.people`, or `[0]` if the source names no people. Older files lack it.
    """

    attributes: np.ndarray
    names: np.ndarray
    split: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray
    frame: np.ndarray
    files: np.ndarray
    file_of: np.ndarray
    length: np.ndarray
    people: np.ndarray = np.zeros(0, "U1")

    def offsets(self) -> np.ndarray:
        """Returns the offset in bytes at which each image's record begins in its file, `int64` array `[N]`."""
        ends = np.cumsum(self.length + _OVERHEAD)
        begins = ends - self.length - _OVERHEAD
        first = np.searchsorted(self.file_of, np.arange(len(self.files)))
        return begins - begins[first][self.file_of]

    def sizes(self) -> np.ndarray:
        """Returns the size of each file in bytes, `int64` array `[F]`."""
        return np.bincount(self.file_of, self.length + _OVERHEAD, len(self.files)).astype(np.int64)


def write_index(folder: Path, index: Index) -> None:
    """Writes the index and replaces an older one."""
    with written_aside(folder / INDEX) as aside:
        np.savez_compressed(aside, version=_VERSION, **index._asdict())


def read_index(folder: Path, remake: str) -> Index:
    """Reads the index and checks that all files are complete.

    Args:
        folder: The folder of the packed data set.
        remake: Advice for a damaged folder, for error messages.

    Raises:
        FarkerasError: The folder is not a packed data set, has another version or is damaged, or a file is missing or
            has another size.
    """
    path = folder / INDEX
    if not path.exists():
        raise FarkerasError(
            f"{folder} is not a complete packed data set: it has no {INDEX}. Create or complete it with "
            f"python -m farkeras.pack --source=SOURCE --data_dir=DATA --output={shlex.quote(str(folder))}"
        )
    try:
        with np.load(path) as stored:
            version = int(stored["version"])
            values = {
                name: stored[name]
                for name in Index._fields
                if version == _VERSION and (name in stored or name not in Index._field_defaults)
            }
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        raise FarkerasError(
            f"{path} cannot be read and may be damaged; expected a file that farkeras wrote. {remake}"
        ) from None
    if version != _VERSION:
        raise FarkerasError(
            f"{path} has version {version}, expected {_VERSION}: another version of farkeras wrote it. {remake}"
        )
    index = Index(**values)
    for name, size in zip(index.files.tolist(), index.sizes().tolist(), strict=True):
        found = os.path.getsize(folder / name) if (folder / name).exists() else 0
        if found != size:
            raise FarkerasError(
                f"{folder / name} is missing or incomplete ({found:,} of {size:,} bytes). Copy it again, or remove it. "
                f"{remake}"
            )
    return index


def record_lengths(path: Path) -> np.ndarray:
    """Reads the length in bytes of each image in a TFRecord file from the heads of the records, `int64` `[n]`.

    Raises:
        FarkerasError: The file does not end with a complete record.
    """
    lengths, end, size = [], 0, path.stat().st_size
    with open(path, "rb") as file:
        while size - end >= _OVERHEAD:
            file.seek(end)
            lengths.append(struct.unpack("<Q", file.read(8))[0])
            end += lengths[-1] + _OVERHEAD
    if end != size:
        raise FarkerasError(
            f"{path} is damaged: it does not end with a complete record. Remove it and start the same command again."
        )
    return np.array(lengths, np.int64)
