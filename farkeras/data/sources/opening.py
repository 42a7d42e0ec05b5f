"""Data sources by the name that the setting `source` takes."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farkeras.data.examples import Examples
from farkeras.data.sources.celeba import CelebA
from farkeras.data.sources.lfwa import LFWA
from farkeras.data.sources.packed import Packed
from farkeras.data.sources.source import Source
from farkeras.data.sources.table import OwnTable, TableSettings
from farkeras.data.sources.tfds import TFDS
from farkeras.errors import FarkerasError
from farkeras.progress import Progress

SOURCES: dict[str, Callable[[str, Progress | None, Mapping[str, Any]], Source]] = {
    "celeba": lambda data_dir, progress, _: CelebA(data_dir, progress),
    "lfwa": lambda data_dir, progress, _: LFWA(data_dir, progress),
    "packed": lambda data_dir, *_: Packed(data_dir),
    "table": lambda data_dir, progress, settings: OwnTable(data_dir, TableSettings.of_run(settings), progress),
    "tfds": lambda data_dir, progress, _: TFDS(data_dir, progress),
}
"""Name -> what opens the source, given the folder, the progress of what must be written first, and a run's settings."""


def open_source(
    name: str,
    data_dir: str,
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Source:
    """The data set in a folder, in a table, or prepared by TFDS.

    Args:
        name: One of `SOURCES`.
        data_dir: The folder, or the table.
        progress: Called as `progress(files_done, files_total)` where an archive, or a table that holds the images, is
            extracted first, which takes minutes for CelebA; not called where there is nothing to extract.
        settings: Of a run, `Config.to_dict()`; a table takes its `TableSettings` from them.

    Raises:
        FarkerasError: Unknown source, no folder given, or it does not hold what it should.
    """
    if name not in SOURCES:
        raise FarkerasError(f"Unknown source '{name}'. Known: {', '.join(SOURCES)}.")
    if not data_dir:
        raise FarkerasError("No data folder given; name it with `data_dir=PATH`.")
    return SOURCES[name](os.path.expanduser(data_dir), progress, settings or {})


def open_split(
    attributes: Sequence[str],
    trained: Mapping[str, Any],
    split: str,
    source: str = "",
    data_dir: str = "",
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Examples, str, str]:
    """One split of the data that a model was trained on, or of other data that has its attributes.

    Args:
        attributes: The model's, in the order of its outputs.
        trained: Settings of the run that trained it, `Config.to_dict()`.
        split: "train", "validation" or "test".
        source: Kind of data set; by default the one trained on.
        data_dir: Its folder, or the table; by default the one trained on.
        progress: See `open_source`.
        settings: How to read a table, in place of the settings trained with.

    Returns:
        The examples with these attributes, the source and the `data_dir` that they are from.

    Raises:
        FarkerasError: As `open_source`, or the data lack an attribute.
    """
    place = trained.get("data_dir", "")
    if place and not data_dir and not os.path.exists(place):
        relative = "" if os.path.isabs(place) else f" ({place}, from this folder)"
        raise FarkerasError(
            f"The data that the model was trained on are not at {os.path.abspath(place)}{relative}; name the place "
            "where they are now with `data_dir=PATH`."
        )
    source, data_dir = source or trained.get("source", "celeba"), data_dir or place
    data = open_source(source, data_dir, progress, dict(trained) | dict(settings or {}))
    if missing := [name for name in attributes if name not in data.attributes]:
        raise FarkerasError(f"{data_dir} has no labels for {', '.join(missing)}, which the model predicts.")
    return data.split(split).select(tuple(attributes)), source, data_dir
