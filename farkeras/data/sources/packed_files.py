"""The files of a packed data set: images in a few TFRecord files, all else in one index.

A record of `images-*.tfrecord` is one image's file, byte for byte: 8 bytes of length, 4 of check sum, the image, 4 of
check sum. The index says where each record begins, so training reads any example at any time, and the order, a pure
function of a counter, is that of the unpacked data set to the bit. Shuffling within windows of shards, the usual way to
read TFRecord files, would give another order and make every resume replay a window; ArrayRecord has offsets of its own
but only a Python reader, which holds back tf.data's threads.

The index, `index.npz`, is written last: a folder without it is not a packed data set.
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
    """All of a packed data set but the pixels; rows are split by split, each in the source's order.

    Attributes:
        attributes: `str` array `[A]`.
        names: `str` array `[N]`, the images' names in the data set that was packed, see `names_in`.
        split: `int8` array `[N]`, numbers in `SPLITS`.
        labels: `int8` array `[N, A]`, as `Examples.labels`.
        landmarks: `float32` array `[N, 5, 2]`, or `[0, 5, 2]` where the source has none.
        frame: `float64` array `[4]`, as `Examples.frame`.
        files: `str` array `[F]`, names of the TFRecord files.
        file_of: `int64` array `[N]`, numbers in `files`.
        length: `int64` array `[N]`, bytes of each image; the records of a file follow each other in order of rows.
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

    def offsets(self) -> np.ndarray:
        """`int64` array `[N]`: where each image's record begins in its file."""
        ends = np.cumsum(self.length + _OVERHEAD)
        begins = ends - self.length - _OVERHEAD
        first = np.searchsorted(self.file_of, np.arange(len(self.files)))
        return begins - begins[first][self.file_of]

    def sizes(self) -> np.ndarray:
        """`int64` array `[F]`: bytes of each file."""
        return np.bincount(self.file_of, self.length + _OVERHEAD, len(self.files)).astype(np.int64)


def write_index(folder: Path, index: Index) -> None:
    """Writes the index, in place of an older one."""
    with written_aside(folder / INDEX) as aside:
        np.savez_compressed(aside, version=_VERSION, **index._asdict())


def read_index(folder: Path, remake: str) -> Index:
    """Reads the index and checks that all files are there in full.

    Args:
        folder: The folder.
        remake: What to do where it is damaged, for messages.

    Raises:
        FarkerasError: Not a packed data set, of another version, damaged, or a file is missing or of another size.
    """
    path = folder / INDEX
    if not path.exists():
        raise FarkerasError(
            f"{folder} is no packed data set, or not yet a complete one: it has no {INDEX}. Make it, or go on making "
            "it, with python -m farkeras.pack --source=SOURCE --data_dir=DATA "
            f"--output={shlex.quote(str(folder))}"
        )
    try:
        with np.load(path) as stored:
            version = int(stored["version"])
            values = {name: stored[name] for name in Index._fields if version == _VERSION}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        raise FarkerasError(
            f"{path} cannot be read, it may be damaged; expected what farkeras writes. {remake}"
        ) from None
    if version != _VERSION:
        raise FarkerasError(
            f"{path} is of version {version}, expected {_VERSION}: written by another version of farkeras. {remake}"
        )
    index = Index(**values)
    for name, size in zip(index.files.tolist(), index.sizes().tolist(), strict=True):
        found = os.path.getsize(folder / name) if (folder / name).exists() else 0
        if found != size:
            raise FarkerasError(
                f"{folder / name} is missing or not whole ({found:,} of {size:,} bytes). Copy it again, or remove it. "
                f"{remake}"
            )
    return index


def record_lengths(path: Path) -> np.ndarray:
    """`int64 [n]`: bytes of each image in a TFRecord file, from the records' heads.

    Raises:
        FarkerasError: The file does not end with a record.
    """
    lengths, end, size = [], 0, path.stat().st_size
    with open(path, "rb") as file:
        while size - end >= _OVERHEAD:
            file.seek(end)
            lengths.append(struct.unpack("<Q", file.read(8))[0])
            end += lengths[-1] + _OVERHEAD
    if end != size:
        raise FarkerasError(f"{path} is damaged: it does not end with a record. Remove it and start the same command.")
    return np.array(lengths, np.int64)
