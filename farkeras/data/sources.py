"""Data sources by the name that `--source` takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from farkeras.data.archives import Progress
from farkeras.data.celeba import CelebA
from farkeras.data.examples import Examples
from farkeras.data.faces.generate import SETTINGS_FILE
from farkeras.data.lfwa import LFWA
from farkeras.errors import FarkerasError


class Source(Protocol):
    """A labelled data set with the splits `train`, `validation` and `test`."""

    attributes: tuple[str, ...]

    def split(self, name: str) -> Examples: ...


SOURCES: dict[str, Callable[[str, Progress | None], Source]] = {"celeba": CelebA, "lfwa": LFWA}


def open_source(name: str, data_dir: str, progress: Progress | None = None) -> Source:
    """The data set in a folder.

    Args:
        name: One of `SOURCES`.
        data_dir: The folder.
        progress: Called as `progress(files_done, files_total)` where an archive is extracted first, which takes minutes
            for CelebA; not called where there is nothing to extract.

    Raises:
        FarkerasError: Unknown source, no folder given, or the folder does not hold what it should.
    """
    if name not in SOURCES:
        raise FarkerasError(f"Unknown source '{name}'. Known: {', '.join(SOURCES)}.")
    if not data_dir:
        raise FarkerasError("No data folder given; name it with --data_dir=PATH.")
    return SOURCES[name](data_dir, progress)


def is_procedural(data_dir: str) -> bool:
    """Whether the folder holds drawn faces, of which no figure may be read as one of CelebA's or LFWA's."""
    return (Path(data_dir) / SETTINGS_FILE).is_file()
