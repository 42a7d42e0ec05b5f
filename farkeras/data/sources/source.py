"""The base classes of all data sources, and checks that they share."""

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
"""The page from which CelebA and LFWA can be downloaded, for error messages."""


class Source(ABC):
    """A labelled data set with the splits `train`, `validation` and `test`.

    Attributes:
        attributes: Names of the label columns.
    """

    attributes: tuple[str, ...]
    _place: Path  # the folder or the table, for messages
    _split: np.ndarray  # int8 [N], indices in SPLITS; -1 for an image in no split
    _why_empty: str  # the end of the message "The split ... is empty: "

    def split(self, name: str) -> Examples:
        """Returns one of the splits.

        Args:
            name: "train", "validation" or "test".

        Returns:
            Examples in the order of the data set.

        Raises:
            FarkerasError: The split does not exist or has no images.
        """
        if name not in SPLITS:
            raise FarkerasError(f"{self._place} has no split '{name}'; expected {', '.join(SPLITS)}.")
        rows = np.flatnonzero(self._split == SPLITS.index(name))
        if not len(rows):
            raise FarkerasError(f"The split '{name}' of {self._place} is empty: {self._why_empty}")
        return self._examples(rows)

    def column(self, name: str, split: str) -> np.ndarray | None:
        """Returns the cells of a further column of the data set, which may be none of its attributes.

        Args:
            name: Name of the column.
            split: One of the splits.

        Returns:
            `str` array `[N]` in the order of the split's examples, "" for an empty cell; None if there is no such
            column, as in every data set that is not a table.

        Raises:
            FarkerasError: The cells are not text, numbers or booleans.
        """
        return None

    @property
    def place(self) -> Path:
        """The folder or the table, for messages."""
        return self._place

    @abstractmethod
    def _examples(self, rows: np.ndarray) -> Examples:
        """Returns the examples at these rows, int64 in ascending order."""


class MissingImages(FarkerasError):
    """Listed images are missing on disk, but the data set is otherwise valid.

    Attributes:
        source: The opened source, in which a caller can look for more faults.
    """

    def __init__(self, message: str, source: Source) -> None:
        super().__init__(message)
        self.source = source


class OfficialSource(Source):
    """A data set as its authors publish it: a folder with lists and images, which may still be in a zip archive.

    Args:
        data_dir: The folder.

    Raises:
        FarkerasError: The folder does not exist.
    """

    _title: str
    _sub_folders: tuple[str, ...] = ("",)  # folders that may hold its files

    def __init__(self, data_dir: str | os.PathLike):
        self._place = Path(data_dir)
        if not self._place.is_dir():
            raise FarkerasError(
                f"The folder {self._place} does not exist; name the folder with {self._title}'s files, see {PAGE}."
            )

    def _find(self, *names: str) -> Path | None:
        places = (self._place / folder / name for name in names for folder in self._sub_folders)
        return next((place for place in places if place.exists()), None)

    def _require(self, *names: str) -> Path:
        """Returns the first of these files that exists. They are alternative forms of the same file."""
        if found := self._find(*names):
            return found
        others = f" (or {', '.join(names[1:])})" if names[1:] else ""
        raise FarkerasError(f"{self._place} has no {names[0]}{others}; get it from {PAGE}.")

    def _image_folder(self, name: str, progress: Progress | None) -> Path:
        """Returns the folder of images. If it does not exist, the zip archive of that name is extracted first."""
        if folder := self._find(name):
            return folder
        archive = self._find(f"{name}.zip")
        if not archive:
            raise FarkerasError(
                f"{self._place} has neither {name}/ nor {name}.zip; get the images from {PAGE}. Unpack other kinds of "
                f"archives yourself: tar xf {name}.tgz -C {shlex.quote(str(self._place))}"
            )
        folder = archive.with_suffix("")
        extract_zip(archive, folder, progress)
        return folder

    def _require_images(self, folder: Path, images: Sequence[str], files: Sequence[tuple[str, str]]) -> None:
        """Raises `MissingImages` if a file, a pair of folder and name, is not on disk. Constructors call this last."""
        if missing := missing_files(files):
            raise MissingImages(
                f"{folder} lacks {len(missing)} of the {len(images)} listed images; the first is {images[missing[0]]}. "
                f"Remove the folder and unpack all of {self._title}'s images again, see {PAGE}.",
                self,
            )


def missing_files(files: Sequence[tuple[str, str]]) -> list[int]:
    """Returns the positions of the files that are not on disk. Each folder is listed only once.

    Args:
        files: Pairs of folder and name.

    Raises:
        FarkerasError: A folder cannot be listed.
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
    """Returns the splits that have images, by name. A table or a small data set may lack some splits.

    Raises:
        FarkerasError: No split has images.
    """
    splits = {}
    for name in SPLITS:
        with suppress(FarkerasError):
            splits[name] = source.split(name)
    if not splits:
        raise FarkerasError(f"None of the splits {', '.join(SPLITS)} has images; expected at least one.")
    return splits
