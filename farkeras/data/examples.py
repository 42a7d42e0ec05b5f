"""What every data source gives: names of image files with their labels."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

UNKNOWN = -1
"""The label of an attribute that nobody annotated; masked out of loss and metrics."""


@dataclass(frozen=True)
class Examples:
    """One split of a data set, in memory but for the pixels.

    Attributes:
        attributes: Names of the label columns.
        paths: `str` array `[N]`, the image files.
        labels: `int8` array `[N, attributes]`: 1 positive, 0 negative, -1 (`UNKNOWN`) not annotated.
        landmarks: `float32` array `[N, 5, 2]` or None: x, y in pixels of left eye, right eye, nose, left and right
            corner of the mouth, as they lie in the image from left to right.
    """

    attributes: tuple[str, ...]
    paths: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, attributes: tuple[str, ...]) -> "Examples":
        """The same examples with these label columns, in this order."""
        columns = [self.attributes.index(name) for name in attributes]
        return Examples(tuple(attributes), self.paths, self.labels[:, columns], self.landmarks)


def folder_of(data_dir: str | os.PathLike) -> Path:
    """The folder of a data set, where its keypoints lie: `data_dir`, or, where that is a table, the one it lies in."""
    path = Path(data_dir)
    return path.parent if path.is_file() else path
