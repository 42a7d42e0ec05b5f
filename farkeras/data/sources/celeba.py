"""Reads CelebA from the files that its authors publish, or from Kaggle's versions, and checks them at once."""

import os

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.examples import Examples
from farkeras.data.sources.celeba_tables import Table, read_table
from farkeras.data.sources.source import OfficialSource
from farkeras.progress import Progress

LANDMARKS = [f"{part}_{axis}" for part in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"]


class CelebA(OfficialSource):
    """The CelebA data set in a local folder. The constructor checks everything except the pixels.

    The folder holds the images as `img_align_celeba/` (or Kaggle's nested `img_align_celeba/img_align_celeba/`), or as
    `img_align_celeba.zip`, which is extracted once into the same folder. It also holds `list_attr_celeba`,
    `list_eval_partition` and optionally `list_landmarks_align_celeba`, each as the official `.txt` or Kaggle's `.csv`,
    and optionally `identity_CelebA.txt`, which numbers the people. The files may stay in the official download's
    sub-folders `Img`, `Anno` and `Eval`.

    Args:
        data_dir: The folder.
        progress: Called as `progress(files_done, files_total)` while the archive is extracted.

    Raises:
        FarkerasError: A file is missing, truncated or not what its name says, or the files contradict each other.
    """

    attributes = CELEBA_ATTRIBUTES
    _title = "CelebA"
    _sub_folders = ("", "Anno", "Eval", "Img")
    _why_empty = "list_eval_partition gives its code (0 for train, 1 for validation, 2 for test) to no image."

    def __init__(self, data_dir: str | os.PathLike, progress: Progress | None = None):
        super().__init__(data_dir)
        attributes = read_table(self._require("list_attr_celeba.txt", "list_attr_celeba.csv"), CELEBA_ATTRIBUTES)
        attributes.require((1, -1, 0) if attributes.path.suffix.lower() == ".csv" else (1, -1))
        partition = read_table(self._require("list_eval_partition.txt", "list_eval_partition.csv"), ["partition"])
        partition.require((0, 1, 2))
        self._images = attributes.images
        self._labels = (attributes.values > 0).astype(np.int8)
        self._split = partition.in_order_of(attributes)[:, 0]
        self._landmarks = None
        if landmarks := self._find("list_landmarks_align_celeba.txt", "list_landmarks_align_celeba.csv"):
            points = read_table(landmarks, LANDMARKS).in_order_of(attributes)
            self._landmarks = points.astype(np.float32).reshape(-1, 5, 2)
        self._people = None
        if identities := self._find("identity_CelebA.txt", "identity_CelebA.csv"):
            self._people = _people(read_table(identities, ["identity"]), self._images)
        folder = self._image_folder("img_align_celeba", progress)
        nested = folder / folder.name
        self._folder = nested if nested.is_dir() else folder
        images = self._images.tolist()
        self._require_images(self._folder, images, [(str(self._folder), image) for image in images])

    def _examples(self, rows: np.ndarray) -> Examples:
        paths = np.char.add(f"{self._folder}{os.sep}", self._images[rows])
        landmarks = None if self._landmarks is None else self._landmarks[rows]
        people = None if self._people is None else self._people[rows]
        return Examples(self.attributes, paths, self._labels[rows], landmarks, people=people)


def _people(identities: Table, images: np.ndarray) -> np.ndarray:
    """Returns the number of the person in each image, as text; "" for an image that the list does not have.

    The list may have more images than the data set, because training does not need it.
    """
    order = np.argsort(identities.images)
    rows = order[np.searchsorted(identities.images, images, sorter=order).clip(max=len(order) - 1)]
    return np.where(identities.images[rows] == images, identities.values[rows, 0].astype(str), "")
