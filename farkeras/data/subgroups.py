"""Subgroups of the images of a split, such as light and dark skin, and the people in the images.

A name of subgroups is an attribute that the data set has labels for, a column of a table beside the data set, or a
further column of the user's own table. The table beside the data set is a CSV or Parquet file with a column `image` and
any other columns; its column `person` names the person in each image. `farkeras.synthesize` writes such a file.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from farkeras.data.examples import UNKNOWN, Examples, folder_of
from farkeras.data.sources.source import Source
from farkeras.errors import FarkerasError, few
from farkeras.files import as_path

SUBGROUP_FILE = "subgroups.csv"
"""Name of the table of subgroups that is read by itself where it lies in the data set's folder."""

AUTO, NONE = "auto", "none"
"""Words in place of names: the attributes `AUTO_ATTRIBUTES` and every column of `subgroups.csv`; no subgroups."""

AUTO_ATTRIBUTES = ("Male", "Young")
MOST_VALUES = 20
_IMAGE, _PERSON = "image", "person"


class Subgroups(NamedTuple):
    """A division of images into subgroups.

    Attributes:
        values: Names of the subgroups, in the order in which they are shown.
        member: `int64` array `[N]`, the index in `values` of each image's subgroup; -1 where it is unknown.
        origin: "attribute", or the name of the file that has the column.
    """

    values: tuple[str, ...]
    member: np.ndarray
    origin: str

    def take(self, rows: np.ndarray) -> "Subgroups":
        """Returns the subgroups of the images at these rows."""
        return self._replace(member=self.member[rows])


class SubgroupTable:
    """A table with a row for each image: further columns of a data set.

    An image is found by the end of its path: by its file name, or by its folders and its file name where images in
    several folders have the same file name.

    Args:
        path: The CSV or Parquet file.
        images: Paths of the split's images, `str` array `[N]`.

    Raises:
        FarkerasError: The table is invalid, lacks the column `image`, lists an image twice or with an ambiguous name,
            or lists none of the images.
    """

    def __init__(self, path: Path, images: np.ndarray) -> None:
        from farkeras.data.sources.table import open_table  # pyarrow, which metrics of subgroups do not need

        self._file = open_table(path)
        self.path = path
        if _IMAGE not in self._file.names:
            raise FarkerasError(
                f"{path} has no column '{_IMAGE}' for the images' names; its columns are "
                f"{', '.join(self._file.names)}. Rename one to '{_IMAGE}'."
            )
        self.columns = tuple(name for name in self._file.names if name not in (_IMAGE, _PERSON))
        self._row = self._rows_of(images.tolist())

    def column(self, name: str) -> np.ndarray | None:
        """Returns a column for the images, `str` array `[N]`: "" for an empty cell or an image that is not listed."""
        if name not in self._file.names:
            return None
        texts = np.array([*self._file.text(name).to_pylist(), ""])
        return texts[self._row]

    @property
    def people(self) -> np.ndarray | None:
        """The column `person`, as `Examples.people`; None if there is none."""
        return self.column(_PERSON)

    def _rows_of(self, images: list[str]) -> np.ndarray:
        """Finds each image's row, int64 `[N]`; -1 for an image that is not listed."""
        keys = [PurePosixPath(name.replace("\\", "/")).as_posix() for name in self._file.text(_IMAGE).to_pylist()]
        if again := [name for name, count in Counter(keys).items() if count > 1]:
            raise FarkerasError(f"{self.path} lists {few(again)} more than once. Keep one row for each image.")
        row_of = {key: row for row, key in enumerate(keys)}
        rows = np.full(len(images), -1, np.int64)
        parts = [Path(os.path.abspath(image)).as_posix().split("/") for image in images]
        for length in sorted({key.count("/") + 1 for key in keys}, reverse=True):  # a longer name is more specific
            ends = ["/".join(part[-length:]) for part in parts]
            counts = Counter(ends)
            for i, end in enumerate(ends):
                if rows[i] < 0 and end in row_of:
                    if counts[end] > 1:
                        raise FarkerasError(
                            f"{self.path}: '{end}' is the name of {counts[end]} images of the split, such as "
                            f"{images[i]}. Write the folder before the name."
                        )
                    rows[i] = row_of[end]
        if (rows < 0).all():
            raise FarkerasError(
                f"{self.path} lists none of the {len(images):,} images of the split; expected names such as "
                f"{Path(images[0]).name}. Received: {keys[0]}."
            )
        return rows


def find_table(table: str | os.PathLike, data_dir: str | os.PathLike, images: np.ndarray) -> SubgroupTable | None:
    """Opens the table of subgroups that belongs to a data set.

    Args:
        table: The file; "" stands for `subgroups.csv` in the data set's folder, which need not exist.
        data_dir: The data set's folder, or its table.
        images: Paths of the split's images, `str` array `[N]`.
    """
    beside = folder_of(data_dir) / SUBGROUP_FILE
    path = as_path(table) if table else beside
    if not table and not (beside.is_file() and beside != as_path(data_dir)):
        return None
    return SubgroupTable(path, images)


def find_subgroups(
    names: Sequence[str], source: Source, split: str, examples: Examples, table: SubgroupTable | None
) -> dict[str, Subgroups]:
    """Divides the images of a split by each of these names.

    Args:
        names: Attributes or columns; `AUTO` stands for those that this module knows, `NONE` alone for none.
        source: The data set.
        split: The split of the data set.
        examples: All examples of this split, with all attributes of the data set.
        table: The table of subgroups, if there is one.

    Raises:
        FarkerasError: There is no such attribute or column, a name means both, or a column has one or too many values.
    """
    if tuple(names) == (NONE,):
        return {}
    known = [name for name in AUTO_ATTRIBUTES if name in examples.attributes]
    automatic = [*known, *(table.columns if table else ())] if AUTO in names else []
    found = {}
    for name in dict.fromkeys([*automatic, *names]):
        if name == AUTO:
            continue
        subgroups = _find(name, source, split, examples, table)
        if len(subgroups.values) > 1:
            found[name] = subgroups
        elif name in names:
            values = "only " + subgroups.values[0] if subgroups.values else "no value"
            raise FarkerasError(
                f"`subgroups`: '{name}' has {values} in the split '{split}'; expected at least two subgroups. Leave it "
                "out, or choose another split."
            )
    return found


def _find(name: str, source: Source, split: str, examples: Examples, table: SubgroupTable | None) -> Subgroups:
    beside = table.column(name) if table else None
    if name in examples.attributes:
        if table and beside is not None:
            raise FarkerasError(
                f"`subgroups`: '{name}' is an attribute of the data set and a column of {table.path}; expected one "
                "of the two. Rename the column."
            )
        return _of_attribute(name, examples.labels[:, examples.attributes.index(name)])
    if table and beside is not None:
        return _of_column(name, beside, str(table.path))
    own = source.column(name, split)
    if own is None:
        columns = f", or a column of {table.path} ({', '.join(table.columns)})" if table else ""
        raise FarkerasError(
            f"`subgroups`: '{name}' is unknown; expected an attribute of the data set ({few(examples.attributes)})"
            f"{columns}. Correct the name, or name a table that has the column with `subgroup_table=FILE`."
        )
    return _of_column(name, own, str(source.place))


def _of_attribute(name: str, labels: np.ndarray) -> Subgroups:
    present = [label for label in (1, 0) if (labels == label).any()]
    values = tuple(name if label else f"not {name}" for label in present)
    member = np.full(len(labels), UNKNOWN, np.int64)
    for number, label in enumerate(present):
        member[labels == label] = number
    return Subgroups(values, member, "attribute")


def _of_column(name: str, texts: np.ndarray, place: str) -> Subgroups:
    texts = np.where(np.char.lower(texts) == "nan", "", texts)  # as Parquet files mark an empty number
    values = [text for text in np.unique(texts).tolist() if text]
    if len(values) > MOST_VALUES:
        raise FarkerasError(
            f"`subgroups`: the column '{name}' of {place} has {len(values):,} different values ({few(values)}); "
            f"expected at most {MOST_VALUES}. Write a column with a few classes, such as ranges of numbers."
        )
    with_numbers = all(_is_number(value) for value in values)
    values = sorted(values, key=float) if with_numbers else values
    number = {value: i for i, value in enumerate(values)} | {"": UNKNOWN}
    return Subgroups(tuple(values), np.array([number[text] for text in texts.tolist()], np.int64), Path(place).name)


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False
