"""What every data source gives: names of image files with their labels."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from farkeras.files import as_path

UNKNOWN = -1
"""The label of an attribute that nobody annotated; masked out of loss and metrics."""

FULL_FRAME = (0.0, 0.0, 1.0, 1.0)
"""The whole of an image, as top, left, bottom, right in fractions of its height and width."""


RECORD_HEAD, RECORD_TAIL = 12, 4
"""Bytes of a TFRecord before its content, a length and that length's check sum, and after it, the content's."""


class Stored(NamedTuple):
    """Where an encoded image lies: a file, or a part of one.

    Attributes:
        file: The file.
        begin: Where in it the image begins, in bytes.
        length: Bytes of the image; -1 for all to the file's end.
    """

    file: str
    begin: int = 0
    length: int = -1

    def read(self) -> bytes:
        """The bytes, without a look at a record's check sum; raises `OSError`."""
        with open(self.file, "rb") as file:
            file.seek(self.begin)
            return file.read(self.length)


class Records(NamedTuple):
    """Where images lie that are no files of their own: each is one record of a TFRecord file (see `packed_files`).

    Attributes:
        files: `str` array `[F]`, the TFRecord files.
        file_of: `int64` array `[N]`, numbers in `files`.
        offset: `int64` array `[N]`, where the record begins, in bytes.
        length: `int64` array `[N]`, the image's bytes; the record has 16 more.
    """

    files: np.ndarray
    file_of: np.ndarray
    offset: np.ndarray
    length: np.ndarray

    def take(self, rows: np.ndarray) -> "Records":
        """Those of some examples."""
        return Records(self.files, self.file_of[rows], self.offset[rows], self.length[rows])


@dataclass(frozen=True)
class Examples:
    """One split of a data set, in memory but for the pixels.

    Attributes:
        attributes: Names of the label columns.
        paths: `str` array `[N]`, the image files; their names where `records` holds the images.
        labels: `int8` array `[N, attributes]`: 1 positive, 0 negative, -1 (`UNKNOWN`) not annotated.
        landmarks: `float32` array `[N, 5, 2]` or None: x, y in pixels of left eye, right eye, nose, left and right
            corner of the mouth, as they lie in the image from left to right.
        frame: Top, left, bottom, right of the part of every image in which faces lie about as in CelebA's aligned
            178 x 218 pixels, as fractions of height and width. What a model takes of a face (`Preprocessing.crop`)
            counts within it, so a model of one data set sees another's faces as its own.
        records: Where the images lie, if not in files of their own; `farkeras.data.reading` reads both.
    """

    attributes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray | None = None
    frame: tuple[float, float, float, float] = FULL_FRAME
    records: Records | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def stored(self) -> list[Stored]:
        """Where each image lies."""
        if self.records is None:
            return [Stored(path) for path in self.paths.tolist()]
        files, begins = self.records.files[self.records.file_of], self.records.offset + RECORD_HEAD
        places = zip(files.tolist(), begins.tolist(), self.records.length.tolist(), strict=True)
        return [Stored(*place) for place in places]

    def select(self, attributes: tuple[str, ...]) -> "Examples":
        """The same examples with these label columns, in this order."""
        columns = [self.attributes.index(name) for name in attributes]
        return replace(self, attributes=tuple(attributes), labels=self.labels[:, columns])


def folder_of(data_dir: str | os.PathLike) -> Path:
    """The folder of a data set, where its keypoints lie: `data_dir`, or, where that is a table, the one it lies in."""
    path = as_path(data_dir)
    return path.parent if path.is_file() else path


def names_in(data_dir: str | os.PathLike, paths: Iterable[str]) -> list[str]:
    """Image files as stored data name them: relative to the data set's folder, with forward slashes."""
    root, split = folder_of(data_dir), [os.path.split(path) for path in paths]
    prefixes = {folder: Path(os.path.relpath(folder, root)).as_posix() for folder in {head for head, _ in split}}
    return [f"{prefixes[folder]}/{name}".removeprefix("./") for folder, name in split]
