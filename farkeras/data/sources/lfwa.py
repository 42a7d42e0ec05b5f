"""LFWA from the files that its authors give out: checked at once."""

import hashlib
import os
from pathlib import Path

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.examples import Examples
from farkeras.data.sources.archives import extract_zip
from farkeras.data.sources.lfwa_tables import Indices, Labels, read_indices, read_labels
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

_SOURCE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (LFWA; non-commercial research licence)"
_SPLITS = ("train", "validation", "test")


class LFWA:
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

    def __init__(self, data_dir: str | os.PathLike, progress: Progress | None = None):
        self._folder = Path(data_dir)
        if not self._folder.is_dir():
            raise FarkerasError(f"No folder {self._folder}: give the folder with LFWA's files, see {_SOURCE}.")
        labels = read_labels(self._require("lfw_att_40.mat"))
        indices = read_indices(self._require("indices_train_test.mat"), len(labels.images))
        people = np.array([image.split("/")[0] for image in labels.images])
        _check_people(labels, indices, people)
        self._labels = labels
        self._rows = dict(zip(_SPLITS, (*_carve(indices.train, people), indices.test), strict=True))
        self._image_folder = self._prepare_images(progress)
        self._check_images()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The 40 names in the order of the label columns, `CELEBA_ATTRIBUTES`."""
        return CELEBA_ATTRIBUTES

    def split(self, name: str) -> Examples:
        """The official test split, or the official training split less the people kept for validation, or these.

        Args:
            name: "train", "validation" or "test".

        Returns:
            Examples in the order of `lfw_att_40.mat`, labels 1 or 0, framed by `FRAME`.

        Raises:
            FarkerasError: No such split, or it has no images.
        """
        if name not in _SPLITS:
            raise FarkerasError(f"LFWA has no split '{name}'; expected {', '.join(_SPLITS)}.")
        rows = self._rows[name]
        if not len(rows):
            raise FarkerasError(
                f"The split '{name}' of {self._folder} is empty: indices_train_test.mat gives it no image (validation "
                "needs two people in its training split)."
            )
        paths = np.array([str(self._image_folder / self._labels.images[row]) for row in rows])
        return Examples(self.attributes, paths, self._labels.values[rows], frame=FRAME)

    def _require(self, name: str) -> Path:
        path = self._folder / name
        if not path.exists():
            raise FarkerasError(f"{self._folder} has no {name}; get it from {_SOURCE}.")
        return path

    def _prepare_images(self, progress: Progress | None) -> Path:
        folder = self._folder / "lfw"
        if not folder.is_dir():
            archive = self._folder / "lfw.zip"
            if not archive.is_file():
                raise FarkerasError(
                    f"{self._folder} has neither lfw/ nor lfw.zip; get the images from {_SOURCE}, and unpack a tar "
                    f"archive by hand: tar xf lfw.tgz -C '{self._folder}'"
                )
            extract_zip(archive, folder, progress)
        return folder

    def _check_images(self) -> None:
        images = self._labels.images
        on_disk = set()
        for person in {image.split("/")[0] for image in images}:
            folder = self._image_folder / person
            if folder.is_dir():
                on_disk.update(f"{person}/{name}" for name in os.listdir(folder))
        missing = [image for image in images if image not in on_disk]
        if missing:
            raise FarkerasError(
                f"{self._image_folder} lacks {len(missing)} of the {len(images)} listed images, first {missing[0]}; "
                f"unpack all of LFW's images there, see {_SOURCE}."
            )


def _check_people(labels: Labels, indices: Indices, people: np.ndarray) -> None:
    both = np.intersect1d(people[indices.train], people[indices.test])
    if len(both):
        rows = [part[people[part] == both[0]][0] for part in (indices.train, indices.test)]
        raise FarkerasError(
            f"{indices.path}: {both[0]}{and_more(both)} is in the training split ({labels.images[rows[0]]}) and in the "
            f"test split ({labels.images[rows[1]]}), which share no person as they ship; take the file as it ships."
        )


def _carve(rows: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training split -> those that stay, and those of the people kept for validation."""
    names = sorted(set(people[rows].tolist()), key=lambda name: hashlib.sha256(name.encode()).digest())
    count = max(1, round(VALIDATION_SHARE * len(names))) if len(names) > 1 else 0
    kept = np.isin(people[rows], names[:count])
    return rows[~kept], rows[kept]
