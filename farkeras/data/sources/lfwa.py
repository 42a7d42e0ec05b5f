"""LFWA from the files that its authors give out: checked at once."""

import hashlib
import os

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.examples import Examples
from farkeras.data.sources.lfwa_tables import read_indices, read_labels
from farkeras.data.sources.source import OfficialSource
from farkeras.errors import FarkerasError, and_more
from farkeras.progress import Progress

FRAME = (0.0, 0.14, 0.88, 0.86)
"""The part of the 250 x 250 pixels in which faces lie about as in CelebA's aligned images: 220 x 180 of them.

Our choice. LFW's images are the boxes of a face detector, grown by 2.2 about their middle; by the habits of that
detector the eyes lie near x, y = (104, 112) and (146, 112), so in this part, brought to 178 x 218, near (68, 111) and
(110, 111): CelebA's are at (69, 111) and (108, 111).
"""

VALIDATION_SHARE = 0.1
"""The share of the training people who are kept for validation."""


class LFWA(OfficialSource):
    """The LFWA data set in a local folder; construction checks everything but the pixels.

    The folder holds `lfw_att_40.mat`, `indices_train_test.mat` and the images as `lfw/` (`lfw/Person/Person_0001.jpg`)
    or as `lfw.zip`, which is then extracted once beside itself.

    LFWA has no validation split. Ours is a tenth of the people of the training split, and all of their images: those
    whose names have the smallest SHA-256, so it is the same everywhere. Who is in an image is taken from its folder's
    name, which every image has; `indices_identity_train` numbers people in a list that neither file holds.

    Args:
        data_dir: The folder.
        progress: Called as `progress(files_done, files_total)` while the archive is extracted.

    Raises:
        FarkerasError: A file is missing, truncated, not what its name says, the files contradict each other, or an
            image or a person is in both official splits.
    """

    attributes = CELEBA_ATTRIBUTES
    _title = "LFWA"
    _why_empty = "indices_train_test.mat gives it no image (validation needs two people in its training split)."

    def __init__(self, data_dir: str | os.PathLike, progress: Progress | None = None):
        super().__init__(data_dir)
        self._images, self._labels = read_labels(self._require("lfw_att_40.mat"))
        splits = self._require("indices_train_test.mat")
        train, test = read_indices(splits, len(self._images))
        files = [(person, name) for person, _, name in (image.partition("/") for image in self._images)]
        people = np.array([person for person, _ in files])
        if len(both := np.intersect1d(people[train], people[test])):
            images = [self._images[part[people[part] == both[0]][0]] for part in (train, test)]
            raise FarkerasError(
                f"{splits}: {both[0]}{and_more(both)} is in the training split ({images[0]}) and in the test "
                f"split ({images[1]}), which share no person as they ship; take the file as it ships."
            )
        self._split = np.full(len(people), -1, np.int8)
        for number, rows in enumerate((*_carve(train, people), test)):
            self._split[rows] = number
        self._folder = self._image_folder("lfw", progress)
        files = [(str(self._folder / person), name) for person, name in files]
        self._require_images(self._folder, self._images, files)

    def _examples(self, rows: np.ndarray) -> Examples:
        paths = np.array([str(self._folder / self._images[row]) for row in rows])
        return Examples(self.attributes, paths, self._labels[rows], frame=FRAME)


def _carve(rows: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training split -> those that stay, and those of the people kept for validation."""
    names = sorted(set(people[rows].tolist()), key=lambda name: hashlib.sha256(name.encode()).digest())
    count = max(1, round(VALIDATION_SHARE * len(names))) if len(names) > 1 else 0
    kept = np.isin(people[rows], names[:count])
    return rows[~kept], rows[kept]
