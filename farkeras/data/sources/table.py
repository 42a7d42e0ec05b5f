"""A user's own data: a table, CSV or Parquet, with a row per image and a column per attribute; checked at once."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from farkeras.data.examples import UNKNOWN, Examples
from farkeras.data.sources.source import Source, missing_files
from farkeras.data.sources.splits import SPLITS, assign_splits
from farkeras.data.sources.table_files import TableFile
from farkeras.errors import FarkerasError

_SPLIT_COLUMN = "split"
_SPLIT_NAMES = {"train": 0, "validation": 1, "val": 1, "valid": 1, "test": 2}
_LABELS = {
    **{"": UNKNOWN, "nan": UNKNOWN},
    **{"1": 1, "1.0": 1, "true": 1},
    **{"0": 0, "0.0": 0, "false": 0},
    **{"-1": 0, "-1.0": 0},
}
_ZERO = [list(_LABELS).index(text) for text in ("0", "0.0")]
_MINUS_ONE = [list(_LABELS).index(text) for text in ("-1", "-1.0")]


@dataclass(frozen=True)
class TableSettings:
    """How a table is read; a run's settings have the same names.

    Attributes:
        image_column: Name of the column of images.
        group_column: Name of the group's column; "" for none.
        ignore_columns: Names of columns that are no attributes.
        split_ratios: Shares of train, validation and test, where the table has no `split`.
    """

    image_column: str = "image"
    group_column: str = ""
    ignore_columns: Sequence[str] = ()
    split_ratios: Sequence[float] = (0.8, 0.1, 0.1)

    @classmethod
    def of_run(cls, settings: Mapping[str, Any]) -> "TableSettings":
        """Those among all settings of a run; the rest keeps its default."""
        return cls(**{name: settings[name] for name in SETTINGS if name in settings})


SETTINGS = tuple(field.name for field in fields(TableSettings))
"""The settings of `farkeras.config.Config` that say how a table is read."""


class OwnTable(Source):
    """A table of images and their attributes; construction checks everything but the pixels.

    Columns, whose names must be exact:

    - the images: paths, absolute or relative to the table's folder; each image has one row;
    - `split`, if there is one: train, validation (or val, valid) or test. Else `split_ratios` decide, by a hash of the
      image's path as written or of the group, so that rows that are added move no others;
    - the group, if one is named, such as a person: what has the same group is in the same split. An image whose group
      is empty stands for itself;
    - those to ignore, which may be absent;
    - all others are attributes, in the table's order: 1 or true is positive, 0, -1 or false negative, in any case of
      the letters; an empty cell or NaN is unknown. A column with both 0 and -1 is refused: one of them might mean
      unknown.

    Args:
        data_dir: The table, a file.
        settings: How it is read; by default as `TableSettings()`.

    Raises:
        FarkerasError: Not such a table, or an image is not on disk; names the file and the line or row.
    """

    def __init__(self, data_dir: str | os.PathLike, settings: TableSettings | None = None):
        settings = settings or TableSettings()
        self._place = Path(data_dir)
        if self._place.is_dir():
            tables = sorted(file for file in self._place.iterdir() if file.suffix.lower() in (".csv", ".parquet"))
            found = " or ".join(f"`data_dir={table}`" for table in tables[:3]) or "it holds no .csv or .parquet"
            raise FarkerasError(f"{self._place} is a folder; expected the table itself: {found}.")
        self._file = TableFile(data_dir)
        self._ignored = tuple(settings.ignore_columns)
        self._require_column(settings.image_column, "the images' paths", "image_column")
        images, group = self._images(settings.image_column), settings.group_column
        groups = None
        if group:
            self._require_column(group, "what is to stay in one split", "group_column")
            groups = self._file.text(group)
        if _SPLIT_COLUMN in self._file.names and _SPLIT_COLUMN not in self._ignored:
            self._split = self._read_split()
            if groups is not None:
                self._check_groups(groups, group)
            self._why_empty = f"no row has it in the column '{_SPLIT_COLUMN}'; mark some rows so."
        else:
            keys = images if groups is None else pc.if_else(pc.equal(groups, ""), images, groups)
            self._split = assign_splits(keys.to_pylist(), settings.split_ratios)
            ratios = ",".join(f"{ratio:g}" for ratio in settings.split_ratios)
            self._why_empty = (
                f"`split_ratios={ratios}` gave it no {group or 'image'}; change them, or add a column "
                f"'{_SPLIT_COLUMN}'."
            )
        reserved = {settings.image_column, group, _SPLIT_COLUMN, *self._ignored}
        self.attributes = tuple(name for name in self._file.names if name not in reserved)
        self._labels = self._read_labels()
        folder = os.path.dirname(data_dir)
        self._paths = [os.path.join(folder, image) for image in images.to_pylist()]
        self._check_images()

    def _examples(self, rows: np.ndarray) -> Examples:
        return Examples(self.attributes, np.array([self._paths[row] for row in rows]), self._labels[rows])

    def _require_column(self, name: str, purpose: str, setting: str) -> None:
        if name not in self._file.names:
            raise FarkerasError(
                f"{self._file.path} has no column '{name}' for {purpose}; its columns are "
                f"{', '.join(self._file.names)}. Rename one, or name it with `{setting}=NAME`."
            )

    def _images(self, column: str) -> pa.ChunkedArray:
        images = self._file.text(column)
        empty = np.flatnonzero(pc.equal(images, ""))
        if len(empty):
            raise FarkerasError(
                f"{self._file.place(empty[0])}: the column '{column}' is empty; write the image's path or remove the "
                "line."
            )
        number = _numbers(images)
        first = _first_rows(number)
        if len(first) < len(number):
            row = int(np.setdiff1d(np.arange(len(number)), first)[0])
            raise FarkerasError(
                f"{self._file.place(row)}: {images[row]} is listed a second time, first in "
                f"{self._file.place(first[number[row]])}; remove one of the two."
            )
        return images

    def _read_split(self) -> np.ndarray:
        """int8 `[N]`, numbers in `SPLITS`."""
        texts = self._file.text(_SPLIT_COLUMN)
        code = _look_up(texts, list(_SPLIT_NAMES))
        unknown = np.flatnonzero(code < 0)
        if len(unknown):
            row = int(unknown[0])
            raise FarkerasError(
                f"{self._file.place(row)}: the column '{_SPLIT_COLUMN}' holds '{_short(texts[row])}'; expected train, "
                "validation (or val, valid) or test. Correct it, or split by `split_ratios` with "
                f"`ignore_columns={','.join((*self._ignored, _SPLIT_COLUMN))}`."
            )
        return np.array(list(_SPLIT_NAMES.values()), np.int8)[code]

    def _check_groups(self, groups: pa.ChunkedArray, column: str) -> None:
        number = _numbers(groups)
        first = _first_rows(number)[number]
        wrong = np.flatnonzero((self._split != self._split[first]) & np.asarray(pc.not_equal(groups, "")))
        if len(wrong):
            row, other = int(wrong[0]), int(first[wrong[0]])
            raise FarkerasError(
                f"{self._file.place(row)}: {column} '{_short(groups[row])}' is in {SPLITS[self._split[row]]}, and in "
                f"{SPLITS[self._split[other]]} in {self._file.place(other)}; expected each {column} in one split. "
                f"Correct the column '{_SPLIT_COLUMN}', or remove it and split by `split_ratios`."
            )

    def _read_labels(self) -> np.ndarray:
        """int8 `[N, attributes]`: 1, 0 or `UNKNOWN`."""
        if not self.attributes:
            raise FarkerasError(
                f"{self._file.path} has no attribute: its columns are {', '.join(self._file.names)}. Add a column of 1 "
                "and 0 for each attribute."
            )
        labels = np.empty((self._file.num_rows, len(self.attributes)), np.int8)
        values, strange = np.array(list(_LABELS.values()), np.int8), {}
        for column, name in enumerate(self.attributes):
            code = _look_up(self._file.text(name), list(_LABELS))
            if (code < 0).any():
                strange[name] = int(np.argmax(code < 0))
                continue
            self._refuse_mixed(name, code)
            labels[:, column] = values[code]
        if strange:
            name, row = next(iter(strange.items()))
            columns = "the column is no attribute" if len(strange) == 1 else "these columns are no attributes"
            raise FarkerasError(
                f"{self._file.place(row)}: the column '{name}' holds '{_short(self._file.text(name)[row])}'; expected "
                f"1 or 0, 1 or -1, true or false, or nothing for unknown. Correct it, or, if {columns}, give "
                f"`ignore_columns={','.join((*self._ignored, *strange))}`."
            )
        return labels

    def _refuse_mixed(self, name: str, code: np.ndarray) -> None:
        zero, minus = np.isin(code, _ZERO), np.isin(code, _MINUS_ONE)
        if zero.any() and minus.any():
            row, other = int(np.argmax(minus)), int(np.argmax(zero))
            raise FarkerasError(
                f"{self._file.place(row)}: the column '{name}' holds -1, and 0 in {self._file.place(other)}; expected "
                "1 and 0, or 1 and -1. Leave the cell empty where the attribute is unknown."
            )

    def _check_images(self) -> None:
        missing = missing_files([os.path.split(path) for path in self._paths])
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise FarkerasError(
                f"{self._file.place(missing[0])}: {len(missing)} of the {len(self._paths)} listed images are not on "
                f"disk: {', '.join(self._paths[row] for row in missing[:3])}{more}. Paths must be absolute or relative "
                "to the table's folder; correct them, or remove the lines."
            )


def _look_up(texts: pa.ChunkedArray, known: list[str]) -> np.ndarray:
    """int64 `[N]`: the position of each text, in lower case, in `known`; -1 where it is not there."""
    return pc.fill_null(pc.index_in(pc.utf8_lower(texts), pa.array(known)), -1).to_numpy().astype(np.int64)


def _numbers(texts: pa.ChunkedArray) -> np.ndarray:
    """int64 `[N]`: equal texts have equal numbers, 0, 1, ... in the order of their first rows."""
    return pa.concat_arrays(texts.chunks).dictionary_encode().indices.to_numpy().astype(np.int64)


def _first_rows(number: np.ndarray) -> np.ndarray:
    """The first row with each number."""
    return np.unique(number, return_index=True)[1]


def _short(value: pa.Scalar) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
