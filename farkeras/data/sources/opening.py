"""Opens data sources by the name in the setting `source`."""

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
"""Name -> function that opens the source, given `data_dir`, a progress callback and the settings of a run."""


def open_source(
    name: str,
    data_dir: str,
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Source:
    """Opens the data set in a folder, in a table, or prepared by TFDS.

    Args:
        name: Kind of data set, one of `SOURCES`.
        data_dir: The data set's folder, or the table.
        progress: Called as `progress(files_done, files_total)` while the images are extracted from an archive, a table
            or TFDS's files, which takes minutes for CelebA. It is not called if there is nothing to extract.
        settings: Settings of a run, `Config.to_dict()`. A table reads its `TableSettings` from them.

    Returns:
        The opened source.

    Raises:
        FarkerasError: The source is unknown, `data_dir` is empty, or the data set is incomplete or invalid.
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
    """Opens one split of the data set that a model was trained on, or of another one that has its attributes.

    Args:
        attributes: Attributes of the model, in the order of its outputs.
        trained: Settings of the run that trained the model, `Config.to_dict()`.
        split: "train", "validation" or "test".
        source: See `open_trained_source`, as for the other arguments that are not listed here.

    Returns:
        The examples with these attributes, and the source and the `data_dir` that they come from.

    Raises:
        FarkerasError: As in `open_trained_source`.
    """
    data, source, data_dir = open_trained_source(attributes, trained, source, data_dir, progress, settings)
    return data.split(split).select(tuple(attributes)), source, data_dir


def open_trained_source(
    attributes: Sequence[str],
    trained: Mapping[str, Any],
    source: str = "",
    data_dir: str = "",
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Source, str, str]:
    """Opens the data set that a model was trained on, or another one that has its attributes.

    Args:
        attributes: Attributes of the model.
        trained: Settings of the run that trained the model, `Config.to_dict()`.
        source: Kind of data set; by default that of the run.
        data_dir: The data set's folder, or the table; by default that of the run.
        progress: See `open_source`.
        settings: Settings for reading a table. They replace those of the run.

    Returns:
        The data set, and its source and its `data_dir`.

    Raises:
        FarkerasError: As in `open_source`, or the data set lacks an attribute.
    """
    place = trained.get("data_dir", "")
    if place and not data_dir and not os.path.exists(place):
        relative = "" if os.path.isabs(place) else f" ({place}, relative to this folder)"
        raise FarkerasError(
            f"The data set that the model was trained on is not at {os.path.abspath(place)}{relative}; name its "
            "present place with `data_dir=PATH`."
        )
    source, data_dir = source or trained.get("source", "celeba"), data_dir or place
    data = open_source(source, data_dir, progress, dict(trained) | dict(settings or {}))
    if missing := [name for name in attributes if name not in data.attributes]:
        raise FarkerasError(f"{data_dir} has no labels for {', '.join(missing)}, which the model predicts.")
    return data, source, data_dir
