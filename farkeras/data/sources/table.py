"""A user's own data: a table, CSV or Parquet, with a row per image and a column per attribute; checked at once."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from farkeras.data.examples import UNKNOWN, Examples
from farkeras.data.sources.splits import SPLITS, assign_splits
from farkeras.data.sources.table_files import TableFile
from farkeras.errors import FarkerasError
from farkeras.progress import Progress

SETTINGS = ("image_column", "group_column", "ignore_columns", "split_ratios")
"""The settings of `farkeras.config.Config` that say how a table is read."""

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


class OwnTable:
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
        progress: Not called, there is nothing to extract.
        image_column: Name of the column of images.
        group_column: Name of the group's column; "" for none.
        ignore_columns: Names of columns that are no attributes.
        split_ratios: Shares of train, validation and test, where the table has no `split`.

    Raises:
        FarkerasError: Not such a table, or an image is not on disk; names the file and the line or row.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike,
        progress: Progress | None = None,
        image_column: str = "image",
        group_column: str = "",
        ignore_columns: Sequence[str] = (),
        split_ratios: Sequence[float] = (0.8, 0.1, 0.1),
    ):
        del progress
        _refuse_folder(Path(data_dir))
        self._file = TableFile(data_dir)
        self._ignored = tuple(ignore_columns)
        self._require_column(image_column, "the images' paths", "--image_column")
        images = self._images(image_column)
        groups = None
        if group_column:
            self._require_column(group_column, "what is to stay in one split", "--group_column")
            groups = self._file.text(group_column)
        if _SPLIT_COLUMN in self._file.names and _SPLIT_COLUMN not in self._ignored:
            self._split = self._read_split()
            if groups is not None:
                self._check_groups(groups, group_column)
            self._advice = f"no row has it in the column '{_SPLIT_COLUMN}'; mark some rows so."
        else:
            keys = images if groups is None else pc.if_else(pc.equal(groups, ""), images, groups)
            self._split = assign_splits(keys.to_pylist(), split_ratios)
            self._advice = (
                f"--split_ratios={','.join(f'{ratio:g}' for ratio in split_ratios)} gave it no "
                f"{'image' if groups is None else group_column}; change them, or add a column '{_SPLIT_COLUMN}'."
            )
        reserved = {image_column, group_column, _SPLIT_COLUMN, *self._ignored}
        self._attributes = tuple(name for name in self._file.names if name not in reserved)
        self._labels = self._read_labels()
        folder = os.path.dirname(data_dir)
        self._paths = [os.path.join(folder, image) for image in images.to_pylist()]
        self._check_images()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the attribute columns, in the table's order."""
        return self._attributes

    def split(self, name: str) -> Examples:
        """One of the splits.

        Args:
            name: "train", "validation" or "test".

        Returns:
            Examples in the table's order, without landmarks.

        Raises:
            FarkerasError: No such split, or it has no images.
        """
        if name not in SPLITS:
            raise FarkerasError(f"{self._file.path} has no split '{name}'; expected {', '.join(SPLITS)}.")
        rows = np.flatnonzero(self._split == SPLITS.index(name))
        if not len(rows):
            raise FarkerasError(f"The split '{name}' of {self._file.path} is empty: {self._advice}")
        return Examples(self.attributes, np.array([self._paths[row] for row in rows]), self._labels[rows])

    def _require_column(self, name: str, purpose: str, flag: str) -> None:
        if name not in self._file.names:
            raise FarkerasError(
                f"{self._file.path} has no column '{name}' for {purpose}; its columns are "
                f"{', '.join(self._file.names)}. Rename one, or name it with {flag}=NAME."
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
                "validation (or val, valid) or test. Correct it, or split by --split_ratios with "
                f"--ignore_columns={','.join((*self._ignored, _SPLIT_COLUMN))}."
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
                f"Correct the column '{_SPLIT_COLUMN}', or remove it and split by --split_ratios."
            )

    def _read_labels(self) -> np.ndarray:
        """int8 `[N, attributes]`: 1, 0 or `UNKNOWN`."""
        if not self._attributes:
            raise FarkerasError(
                f"{self._file.path} has no attribute: its columns are {', '.join(self._file.names)}. Add a column of 1 "
                "and 0 for each attribute."
            )
        labels = np.empty((self._file.num_rows, len(self._attributes)), np.int8)
        values, strange = np.array(list(_LABELS.values()), np.int8), {}
        for column, name in enumerate(self._attributes):
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
                f"--ignore_columns={','.join((*self._ignored, *strange))}."
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
        """Looks into each folder once."""
        split = [os.path.split(path) for path in self._paths]
        on_disk = {folder: _files_in(folder) for folder in {folder for folder, _ in split}}
        missing = [row for row, (folder, name) in enumerate(split) if name not in on_disk[folder]]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise FarkerasError(
                f"{self._file.place(missing[0])}: {len(missing)} of the {len(split)} listed images are not on disk: "
                f"{', '.join(self._paths[row] for row in missing[:3])}{more}. Paths must be absolute or relative to "
                "the table's folder; correct them, or remove the lines."
            )


def _refuse_folder(path: Path) -> None:
    if not path.is_dir():
        return
    tables = sorted(file for file in path.iterdir() if file.suffix.lower() in (".csv", ".parquet"))
    found = " or ".join(f"--data_dir={table}" for table in tables[:3]) or "it holds no .csv or .parquet"
    raise FarkerasError(f"{path} is a folder; expected the table itself: {found}.")


def _look_up(texts: pa.ChunkedArray, known: list[str]) -> np.ndarray:
    """int64 `[N]`: the position of each text, in lower case, in `known`; -1 where it is not there."""
    return pc.fill_null(pc.index_in(pc.utf8_lower(texts), pa.array(known)), -1).to_numpy().astype(np.int64)


def _numbers(texts: pa.ChunkedArray) -> np.ndarray:
    """int64 `[N]`: equal texts have equal numbers, 0, 1, ... in the order of their first rows."""
    return pa.concat_arrays(texts.chunks).dictionary_encode().indices.to_numpy().astype(np.int64)


def _first_rows(number: np.ndarray) -> np.ndarray:
    """The first row with each number."""
    return np.unique(number, return_index=True)[1]


def _files_in(folder: str) -> set[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


def _short(value: pa.Scalar) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
