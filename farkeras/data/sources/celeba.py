"""CelebA from the files that its authors give out, or Kaggle's copies: checked at once."""

import os
from pathlib import Path

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.examples import Examples
from farkeras.data.sources.archives import extract_zip
from farkeras.data.sources.celeba_tables import read_table
from farkeras.errors import FarkerasError
from farkeras.progress import Progress

_SOURCE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (non-commercial research licence)"
_PARTITION = {"train": 0, "validation": 1, "test": 2}
LANDMARKS = [f"{part}_{axis}" for part in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"]


class CelebA:
    """The CelebA data set in a local folder; construction checks everything but the pixels.

    The folder holds the images as `img_align_celeba/` (also Kaggle's nested
    `img_align_celeba/img_align_celeba/`) or as `img_align_celeba.zip`, which is then extracted once
    beside itself; `list_attr_celeba` and `list_eval_partition`, and perhaps
    `list_landmarks_align_celeba`, each as the official `.txt` or Kaggle's `.csv`. The official
    download's sub-folders `Img`, `Anno` and `Eval` may be kept.

    Args:
        data_dir: The folder.
        progress: Called as `progress(files_done, files_total)` while the archive is extracted.

    Raises:
        FarkerasError: A file is missing, truncated, not what its name says, or the files contradict
            each other.
    """

    def __init__(self, data_dir: str | os.PathLike, progress: Progress | None = None):
        self._folder = Path(data_dir)
        if not self._folder.is_dir():
            raise FarkerasError(f"No folder {self._folder}: give the folder with CelebA's files, see {_SOURCE}.")
        attributes = read_table(self._require_list("list_attr_celeba"), CELEBA_ATTRIBUTES)
        attributes.require((1, -1, 0) if attributes.path.suffix.lower() == ".csv" else (1, -1))
        partition = read_table(self._require_list("list_eval_partition"), ["partition"])
        partition.require(tuple(_PARTITION.values()))
        self._images = attributes.images
        self._labels = (attributes.values > 0).astype(np.int8)
        self._partition = partition.in_order_of(attributes)[:, 0]
        self._landmarks = None
        if landmarks := self._find_list("list_landmarks_align_celeba"):
            points = read_table(landmarks, LANDMARKS).in_order_of(attributes)
            self._landmarks = points.astype(np.float32).reshape(-1, 5, 2)
        self._image_folder = self._prepare_images(progress)
        self._check_images()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The 40 names in the order of the label columns, `CELEBA_ATTRIBUTES`."""
        return CELEBA_ATTRIBUTES

    def split(self, name: str) -> Examples:
        """One of the official splits, by `list_eval_partition`.

        Args:
            name: "train", "validation" or "test".

        Returns:
            Examples in the order of the attribute file, labels 1 or 0.

        Raises:
            FarkerasError: No such split, or it has no images.
        """
        if name not in _PARTITION:
            raise FarkerasError(f"CelebA has no split '{name}'; expected {', '.join(_PARTITION)}.")
        rows = np.flatnonzero(self._partition == _PARTITION[name])
        if not len(rows):
            raise FarkerasError(
                f"The split '{name}' of {self._folder} is empty: list_eval_partition gives no "
                f"image the code {_PARTITION[name]}."
            )
        paths = np.char.add(f"{self._image_folder}{os.sep}", self._images[rows])
        landmarks = None if self._landmarks is None else self._landmarks[rows]
        return Examples(self.attributes, paths, self._labels[rows], landmarks)

    def _find(self, *names: str) -> Path | None:
        folders = [self._folder / sub for sub in ("", "Anno", "Eval", "Img")]
        places = (folder / name for name in names for folder in folders)
        return next((place for place in places if place.exists()), None)

    def _find_list(self, stem: str) -> Path | None:
        return self._find(f"{stem}.txt", f"{stem}.csv")

    def _require_list(self, stem: str) -> Path:
        found = self._find_list(stem)
        if not found:
            raise FarkerasError(f"{self._folder} has no {stem}.txt (or {stem}.csv); get it from {_SOURCE}.")
        return found

    def _prepare_images(self, progress: Progress | None) -> Path:
        folder = self._find("img_align_celeba")
        if not folder:
            archive = self._find("img_align_celeba.zip")
            if not archive:
                raise FarkerasError(
                    f"{self._folder} has neither img_align_celeba/ nor img_align_celeba.zip; get it from {_SOURCE}."
                )
            folder = archive.with_suffix("")
            extract_zip(archive, folder, progress)
        nested = folder / folder.name
        return nested if nested.is_dir() else folder

    def _check_images(self) -> None:
        try:
            with os.scandir(self._image_folder) as entries:
                on_disk = {entry.name for entry in entries}
        except OSError as error:
            raise FarkerasError(
                f"Cannot read {self._image_folder} ({error.strerror}); expected the folder with CelebA's images."
            ) from None
        missing = [name for name in self._images.tolist() if name not in on_disk]
        if missing:
            raise FarkerasError(
                f"{self._image_folder} lacks {len(missing)} of the {len(self._images)} listed "
                f"images, first {missing[0]}; remove the folder and unpack img_align_celeba.zip "
                f"again, see {_SOURCE}."
            )
