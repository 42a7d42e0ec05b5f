"""The examples of a split, as every data source returns them: image files, labels and landmarks."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from farkeras.files import as_path

UNKNOWN = -1
"""Label of an attribute that nobody annotated. Losses and metrics ignore it."""

FULL_FRAME = (0.0, 0.0, 1.0, 1.0)
"""The whole image as top, left, bottom, right, in fractions of its height and width."""


RECORD_HEAD, RECORD_TAIL = 12, 4
"""Bytes of a TFRecord before its content (a length and its checksum) and after it (the content's checksum)."""


class Stored(NamedTuple):
    """Location of an encoded image: a file or a part of one.

    Attributes:
        file: Path of the file.
        begin: Offset in bytes at which the image begins.
        length: Length of the image in bytes; -1 means up to the end of the file.
    """

    file: str
    begin: int = 0
    length: int = -1

    def read(self) -> bytes:
        """Reads the image's bytes. It does not verify a record's checksum.

        Raises:
            OSError: The file cannot be read.
        """
        with open(self.file, "rb") as file:
            file.seek(self.begin)
            return file.read(self.length)


class Records(NamedTuple):
    """Locations of images that are records of TFRecord files (see `packed_files`), not files of their own.

    Attributes:
        files: `str` array `[F]`, paths of the TFRecord files.
        file_of: `int64` array `[N]`, the index in `files` of each image's file.
        offset: `int64` array `[N]`, the offset in bytes at which each record begins.
        length: `int64` array `[N]`, the length of each image in bytes. The record is 16 bytes longer.
    """

    files: np.ndarray
    file_of: np.ndarray
    offset: np.ndarray
    length: np.ndarray

    def take(self, rows: np.ndarray) -> "Records":
        """Returns the locations of the examples at `rows`."""
        return Records(self.files, self.file_of[rows], self.offset[rows], self.length[rows])


class Decoded(NamedTuple):
    """Decoded images in memory, see `farkeras.data.reading.in_memory`.

    Attributes:
        pixels: `uint8` array `[bytes]`, the pixels of all images.
        begin: `int64` array `[N]`, the index in `pixels` at which each image begins.
        sides: `int32` array `[N, 2]`, height and width of each image; 0, 0 for an undecodable one.
    """

    pixels: np.ndarray
    begin: np.ndarray
    sides: np.ndarray

    def take(self, rows: np.ndarray) -> "Decoded":
        """Returns the images at `rows`; they share the memory of all."""
        return Decoded(self.pixels, self.begin[rows], self.sides[rows])


@dataclass(frozen=True)
class Examples:
    """One split of a data set. Everything except the pixels is in memory.

    Attributes:
        attributes: Names of the label columns.
        paths: `str` array `[N]`, paths of the image files. Where `records` holds the images, they only name them.
        labels: `int8` array `[N, attributes]`: 1 is positive, 0 negative, -1 (`UNKNOWN`) not annotated.
        landmarks: `float32` array `[N, 5, 2]` or None: x, y in pixels of the left eye, right eye, nose, left and right
            corner of the mouth. Left and right are those of the image.
        frame: Top, left, bottom, right of the part of every image that shows the face about as CelebA's aligned crop
            of 178 x 218 pixels does, as fractions of height and width. `Preprocessing.crop` is relative to this frame,
            so a model trained on one data set sees the faces of another at the same position and size.
        records: Locations of the images if they are not files of their own. `farkeras.data.reading` reads both kinds.
        people: `str` array `[N]` or None: the person in each image, where the data set names people; "" if it does not
            name the person of an image, who then counts as a person of its own.
        decoded: The decoded images, if they are in memory.
    """

    attributes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray | None = None
    frame: tuple[float, float, float, float] = FULL_FRAME
    records: Records | None = None
    people: np.ndarray | None = None
    decoded: Decoded | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def stored(self) -> list[Stored]:
        """Returns the location of each image."""
        if self.records is None:
            return [Stored(path) for path in self.paths.tolist()]
        files, begins = self.records.files[self.records.file_of], self.records.offset + RECORD_HEAD
        places = zip(files.tolist(), begins.tolist(), self.records.length.tolist(), strict=True)
        return [Stored(*place) for place in places]

    def take(self, rows: np.ndarray) -> "Examples":
        """Returns the examples at `rows`, int64 `[n]`."""
        changes: dict = {"paths": self.paths[rows], "labels": self.labels[rows]}
        for name in ("landmarks", "people"):
            changes[name] = None if getattr(self, name) is None else getattr(self, name)[rows]
        for name in ("records", "decoded"):
            changes[name] = None if getattr(self, name) is None else getattr(self, name).take(rows)
        return replace(self, **changes)

    def share(self, fraction: float) -> "Examples":
        """Returns a share of the examples in their order: the same at each call, and part of each larger share.

        Args:
            fraction: The share, above 0 and at most 1. The result has at least one example.
        """
        number = max(1, round(fraction * len(self)))
        if number >= len(self):
            return self
        return self.take(np.sort(np.random.default_rng(0).permutation(len(self))[:number]))

    def select(self, attributes: tuple[str, ...]) -> "Examples":
        """Returns the same examples with only these label columns, in this order."""
        columns = [self.attributes.index(name) for name in attributes]
        return replace(self, attributes=tuple(attributes), labels=self.labels[:, columns])


def folder_of(data_dir: str | os.PathLike) -> Path:
    """Returns the folder of a data set, which holds its keypoints: `data_dir`, or the folder that holds a table."""
    path = as_path(data_dir)
    return path.parent if path.is_file() else path


def names_in(data_dir: str | os.PathLike, paths: Iterable[str]) -> list[str]:
    """Returns paths relative to the data set's folder, with forward slashes, as stored files name images."""
    root, split = folder_of(data_dir), [os.path.split(path) for path in paths]
    prefixes = {folder: Path(os.path.relpath(folder, root)).as_posix() for folder in {head for head, _ in split}}
    return [f"{prefixes[folder]}/{name}".removeprefix("./") for folder, name in split]
