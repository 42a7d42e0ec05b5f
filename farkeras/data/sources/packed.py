"""Reads a packed data set, which `python -m farkeras.pack` writes: the same examples in a few large files."""

import os
from pathlib import Path

import numpy as np

from farkeras.data.examples import Examples, Records
from farkeras.data.sources.packed_files import read_index
from farkeras.data.sources.source import Source

_REMAKE = "Pack again into the same folder, which keeps its complete files."


class Packed(Source):
    """A packed data set in a local folder. The constructor checks everything except the images' bytes.

    Splits, order, labels, frame and names of the images are those of the original data set, so a run gives the same
    results. The examples' `paths` are the images' names in this folder; no such files need exist. Each record has a
    checksum, and a damaged record counts as an undecodable image.

    Args:
        data_dir: The folder.
        remake: Advice for a damaged folder, for error messages.

    Raises:
        FarkerasError: The folder does not hold a complete packed data set.
    """

    _why_empty = "it had no images when the data set was packed."

    def __init__(self, data_dir: str | os.PathLike, remake: str = _REMAKE):
        self._place = Path(data_dir)
        self._index = read_index(self._place, remake)
        self._split, self._offsets = self._index.split, self._index.offsets()
        self.attributes = tuple(self._index.attributes.tolist())

    def _examples(self, rows: np.ndarray) -> Examples:
        index, folder = self._index, f"{self._place}{os.sep}"
        return Examples(
            self.attributes,
            np.char.add(folder, index.names[rows]),
            index.labels[rows],
            index.landmarks[rows] if len(index.landmarks) else None,
            tuple(index.frame.tolist()),
            Records(np.char.add(folder, index.files), index.file_of[rows], self._offsets[rows], index.length[rows]),
            index.people[rows] if len(index.people) else None,
        )
