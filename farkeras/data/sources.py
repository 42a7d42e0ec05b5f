"""Data sources by the name that `--source` takes."""

from collections.abc import Callable
from typing import Protocol

from farkeras.data.celeba import CelebA
from farkeras.data.examples import Examples
from farkeras.errors import FarkerasError


class Source(Protocol):
    """A labelled data set with the splits `train`, `validation` and `test`."""

    attributes: tuple[str, ...]

    def split(self, name: str) -> Examples: ...


SOURCES: dict[str, Callable[[str], Source]] = {"celeba": CelebA}


def open_source(name: str, data_dir: str) -> Source:
    """The data set in a folder.

    Raises:
        FarkerasError: Unknown source, no folder given, or the folder does not hold what it should.
    """
    if name not in SOURCES:
        raise FarkerasError(f"Unknown source '{name}'. Known: {', '.join(SOURCES)}.")
    if not data_dir:
        raise FarkerasError("No data folder given; name it with --data_dir=PATH.")
    return SOURCES[name](data_dir)
