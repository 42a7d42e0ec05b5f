"""What all data sources share: the splits by name, the folder, the images that must be in it."""

import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from farkeras.data.examples import Examples
from farkeras.data.sources.archives import extract_zip
from farkeras.data.sources.splits import SPLITS
from farkeras.errors import FarkerasError
from farkeras.progress import Progress

PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (non-commercial research licence)"
"""Where CelebA and LFWA are given out, for messages."""


class Source(ABC):
    """A labelled data set with the splits `train`, `validation` and `test`.

    Attributes:
        attributes: Names of the label columns.
    """

    attributes: tuple[str, ...]
    _place: Path  # the folder or the table, for messages
    _split: np.ndarray  # int8 [N], numbers in SPLITS; -1 for an image that is in none
    _why_empty: str  # ends "The split ... is empty: "

    def split(self, name: str) -> Examples:
        """One of the splits.

        Args:
            name: "train", "validation" or "test".

        Returns:
            Examples in the order of the data set.

        Raises:
            FarkerasError: No such split, or it has no images.
        """
        if name not in SPLITS:
            raise FarkerasError(f"{self._place} has no split '{name}'; expected {', '.join(SPLITS)}.")
        rows = np.flatnonzero(self._split == SPLITS.index(name))
        if not len(rows):
            raise FarkerasError(f"The split '{name}' of {self._place} is empty: {self._why_empty}")
        return self._examples(rows)

    @abstractmethod
    def _examples(self, rows: np.ndarray) -> Examples:
        """The examples at these rows, int64 and ascending."""


class MissingImages(FarkerasError):
    """Listed images are not on disk, and all else is well: `source` is complete, for whoever looks for more faults."""

    def __init__(self, message: str, source: Source) -> None:
        super().__init__(message)
        self.source = source


class OfficialSource(Source):
    """A data set as its authors give it out: a folder with lists, and with images that may still be in a zip.

    Args:
        data_dir: The folder.

    Raises:
        FarkerasError: No such folder.
    """

    _title: str
    _sub_folders: tuple[str, ...] = ("",)  # where its files may lie

    def __init__(self, data_dir: str | os.PathLike):
        self._place = Path(data_dir)
        if not self._place.is_dir():
            raise FarkerasError(f"No folder {self._place}: give the folder with {self._title}'s files, see {PAGE}.")

    def _find(self, *names: str) -> Path | None:
        places = (self._place / folder / name for name in names for folder in self._sub_folders)
        return next((place for place in places if place.exists()), None)

    def _require(self, *names: str) -> Path:
        """The first of these files; they are forms of the same."""
        if found := self._find(*names):
            return found
        others = f" (or {', '.join(names[1:])})" if names[1:] else ""
        raise FarkerasError(f"{self._place} has no {names[0]}{others}; get it from {PAGE}.")

    def _image_folder(self, name: str, progress: Progress | None) -> Path:
        """The folder of images, unpacked once from the zip of its name where it is not there."""
        if folder := self._find(name):
            return folder
        archive = self._find(f"{name}.zip")
        if not archive:
            raise FarkerasError(
                f"{self._place} has neither {name}/ nor {name}.zip; get the images from {PAGE}, and unpack another "
                f"archive by hand: tar xf {name}.tgz -C {shlex.quote(str(self._place))}"
            )
        folder = archive.with_suffix("")
        extract_zip(archive, folder, progress)
        return folder

    def _require_images(self, folder: Path, images: Sequence[str], files: Sequence[tuple[str, str]]) -> None:
        """Raises MissingImages unless the files of all images, pairs of folder and name, are on disk; comes last."""
        if missing := missing_files(files):
            raise MissingImages(
                f"{folder} lacks {len(missing)} of the {len(images)} listed images, first {images[missing[0]]}; remove "
                f"the folder and unpack all of {self._title}'s images again, see {PAGE}.",
                self,
            )


def missing_files(files: Sequence[tuple[str, str]]) -> list[int]:
    """The positions of those files, pairs of folder and name, that are not on disk. Each folder is listed once.

    Raises:
        FarkerasError: A folder that cannot be listed.
    """
    on_disk: dict[str, set[str]] = {}
    for folder in {folder for folder, _ in files}:
        try:
            on_disk[folder] = set(os.listdir(folder or "."))
        except FileNotFoundError:
            on_disk[folder] = set()
        except OSError as error:
            raise FarkerasError(f"Cannot read {folder} ({error.strerror}); expected a folder with images.") from None
    return [row for row, (folder, name) in enumerate(files) if name not in on_disk[folder]]


def filled_splits(source: Source) -> dict[str, Examples]:
    """The splits that have images, by name; a table or a small set may lack some.

    Raises:
        FarkerasError: None has.
    """
    splits = {}
    for name in SPLITS:
        with suppress(FarkerasError):
            splits[name] = source.split(name)
    if not splits:
        raise FarkerasError(f"None of the splits {', '.join(SPLITS)} has images; expected at least one.")
    return splits
