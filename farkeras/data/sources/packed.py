"""A packed data set, made by `python -m farkeras.pack`: the same examples from a few large files."""

import os
from pathlib import Path

import numpy as np

from farkeras.data.examples import Examples, Records
from farkeras.data.sources.packed_files import read_index
from farkeras.data.sources.source import Source

_REMAKE = "Pack again into the same folder: what is whole in it is kept."


class Packed(Source):
    """A packed data set in a local folder; construction checks everything but the images' bytes.

    Splits, order, labels, frame and the images' names are those of the data set that was packed, so a run gives the
    same numbers. The examples' `paths` are the images' names in this folder, where no such files need be. Each record
    has a check sum: one that was damaged since counts as an undecodable image.

    Args:
        data_dir: The folder.
        remake: What to do where it is damaged, for messages.

    Raises:
        FarkerasError: The folder holds no complete packed data set.
    """

    _why_empty = "it has no images, as when it was packed."

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
        )
