"""A packed data set, made by `python -m farkeras.pack`: the same examples from a few large files."""

import os
from pathlib import Path

import numpy as np

from farkeras.data.examples import Examples, Records
from farkeras.data.sources.packed_files import read_index
from farkeras.data.sources.splits import SPLITS
from farkeras.errors import FarkerasError
from farkeras.progress import Progress


class Packed:
    """A packed data set in a local folder; construction checks everything but the images' bytes.

    Splits, order, labels, frame and the images' names are those of the data set that was packed, so a run gives the
    same numbers. Each record has a check sum: one that was damaged since counts as an undecodable image.

    Args:
        data_dir: The folder.
        progress: Not called, there is nothing to extract.

    Raises:
        FarkerasError: The folder holds no complete packed data set.
    """

    def __init__(self, data_dir: str | os.PathLike, progress: Progress | None = None):
        del progress
        self._folder = Path(data_dir)
        self._index = read_index(self._folder)
        self._offsets = self._index.offsets()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the label columns, in the order of the data set that was packed."""
        return tuple(self._index.attributes.tolist())

    def split(self, name: str) -> Examples:
        """One of the splits.

        Args:
            name: "train", "validation" or "test".

        Returns:
            Examples whose `paths` are the images' names in this folder, where no such files need be.

        Raises:
            FarkerasError: No such split, or it has no images.
        """
        if name not in SPLITS:
            raise FarkerasError(f"{self._folder} has no split '{name}'; expected {', '.join(SPLITS)}.")
        index = self._index
        rows = np.flatnonzero(index.split == SPLITS.index(name))
        if not len(rows):
            raise FarkerasError(f"The split '{name}' of {self._folder} is empty, as it was when it was packed.")
        files = np.char.add(f"{self._folder}{os.sep}", index.files)
        return Examples(
            self.attributes,
            np.char.add(f"{self._folder}{os.sep}", index.names[rows]),
            index.labels[rows],
            index.landmarks[rows] if len(index.landmarks) else None,
            tuple(index.frame.tolist()),
            Records(files, index.file_of[rows], self._offsets[rows], index.length[rows]),
        )
