"""Reads LFWA from the files that its authors publish, and checks them at once."""

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
"""Part of LFW's 250 x 250 pixels in which faces lie about as in CelebA's aligned crops (see `Examples.frame`).

This is our choice. It has 180 x 220 pixels (width x height). LFW's images are the boxes of a face detector, enlarged
2.2 times about their centre. With that detector, the eyes lie near x, y = (104, 112) and (146, 112). When this part is
resized to 178 x 218, they lie near (68, 111) and (110, 111); in CelebA's crops they lie at (69, 111) and (108, 111).
"""

VALIDATION_SHARE = 0.1
"""Share of the people of the official training split who form the validation split."""


class LFWA(OfficialSource):
    """The LFWA data set in a local folder. The constructor checks everything except the pixels.

    The folder holds `lfw_att_40.mat`, `indices_train_test.mat` and the images as `lfw/` (`lfw/Person/Person_0001.jpg`)
    or as `lfw.zip`, which is extracted once into the same folder.

    LFWA has no validation split. Ours consists of all images of a tenth of the people in the official training split:
    the people whose names have the smallest SHA-256, so the split is the same everywhere. The folder of an image names
    the person. (`indices_identity_train` numbers people by a list that neither file contains.)

    Args:
        data_dir: The folder.
        progress: Called as `progress(files_done, files_total)` while the archive is extracted.

    Raises:
        FarkerasError: A file is missing, truncated or not what its name says, the files contradict each other, or an
            image or a person is in both official splits.
    """

    attributes = CELEBA_ATTRIBUTES
    _title = "LFWA"
    _why_empty = "indices_train_test.mat gives it no images (validation needs two people in the training split)."

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
                f"{splits}: {both[0]}{and_more(both)} is in the training split ({images[0]}) and in the test split "
                f"({images[1]}), which share no person in the original file. Use the original file."
            )
        self._split = np.full(len(people), -1, np.int8)
        for number, rows in enumerate((*_carve(train, people), test)):
            self._split[rows] = number
        self._people = people
        self._folder = self._image_folder("lfw", progress)
        files = [(str(self._folder / person), name) for person, name in files]
        self._require_images(self._folder, self._images, files)

    def _examples(self, rows: np.ndarray) -> Examples:
        paths = np.array([str(self._folder / self._images[row]) for row in rows])
        return Examples(self.attributes, paths, self._labels[rows], frame=FRAME, people=self._people[rows])


def _carve(rows: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divides the rows of the official training split into those for training and those for validation."""
    names = sorted(set(people[rows].tolist()), key=lambda name: hashlib.sha256(name.encode()).digest())
    count = max(1, round(VALIDATION_SHARE * len(names))) if len(names) > 1 else 0
    kept = np.isin(people[rows], names[:count])
    return rows[~kept], rows[kept]
