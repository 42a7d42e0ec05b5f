"""Reads a user's own table (CSV or Parquet) with a row per image and a column per attribute, and checks it at once."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from farkeras.attributes import check_name
from farkeras.data.examples import UNKNOWN, Examples, Records
from farkeras.data.sources.parquet_files import MAGIC, ParquetFiles, find_shards
from farkeras.data.sources.source import MissingImages, Source, missing_files
from farkeras.data.sources.splits import SPLIT_COLUMNS, SPLIT_WORDS, SPLITS, assign_splits
from farkeras.data.sources.table_files import CsvFile, NotPlain, TableFile, read_start
from farkeras.errors import FarkerasError, few
from farkeras.flagfiles import join_list
from farkeras.progress import Progress

_LABELS = {"": UNKNOWN, "nan": UNKNOWN, "true": 1, "false": 0, "yes": 1, "no": 0}
_STRANGE, _MINUS_ONE = -2, -3  # codes of cells other than 1, 0 and UNKNOWN


@dataclass(frozen=True)
class TableSettings:
    """Settings for reading a table. The settings of a run have the same names.

    Attributes:
        image_column: Name of the column of images.
        group_column: Name of the column of groups; "" for none.
        ignore_columns: Names of columns that are not attributes.
        split_ratios: Shares of train, validation and test, used if the table defines no splits.
    """

    image_column: str = "image"
    group_column: str = ""
    ignore_columns: Sequence[str] = ()
    split_ratios: Sequence[float] = (0.8, 0.1, 0.1)

    @classmethod
    def of_run(cls, settings: Mapping[str, Any]) -> "TableSettings":
        """Takes these settings from all settings of a run. Absent settings keep their defaults."""
        return cls(**{name: settings[name] for name in SETTINGS if name in settings})


SETTINGS = tuple(field.name for field in fields(TableSettings))
"""Names of the settings of `farkeras.config.Config` that say how to read a table."""


class OwnTable(Source):
    """A table of images and their attributes. The constructor checks everything except the pixels.

    The table has these columns, whose names must match exactly:

    - The images: paths, absolute or relative to the table's folder, each in one row only. A Parquet table may hold the
      images themselves, as bytes or as Hugging Face stores them, see `parquet_files`.
    - The split, optional: `split` or `partition`, upper or lower case, with a word of `SPLIT_WORDS`, or 0, 1 and 2 as
      in CelebA. Without this column, the names of the files in a folder give the split. Otherwise `split_ratios`
      applies to a hash of the image's path as written, or of the group, so new rows do not change the split of others.
    - The group, optional, such as a person: images of the same group are in the same split. An image with an empty
      group is a group of its own.
    - Columns to ignore. They may be absent.
    - All other columns are attributes, in the table's order: 1, true or yes is positive; 0, -1, false or no is
      negative; an empty cell or NaN is unknown. Words may be upper or lower case, and numbers may be written as 1.0 or
      1e0. A column with both 0 and -1 is an error, because one of them might mean unknown.

    Args:
        data_dir: The table, a CSV or Parquet file, or a folder of Parquet files that form one table.
        settings: Settings for reading the table; by default `TableSettings()`.
        progress: Called as `progress(images_done, images_total)` while the images in a table are unpacked.

    Raises:
        FarkerasError: The table is invalid, or an image is not on disk. The message names the file and the line or row.
    """

    def __init__(
        self, data_dir: str | os.PathLike, settings: TableSettings | None = None, progress: Progress | None = None
    ):
        settings = settings or TableSettings()
        self._place, self._file = Path(data_dir), open_table(Path(data_dir))
        for name in self._file.names:
            check_name(f"{self._place}: the column", name)
        self._ignored, column = tuple(settings.ignore_columns), settings.image_column
        folder = os.fspath(data_dir) if self._place.is_dir() else os.path.dirname(data_dir)
        self._require_column(column, "the images", "image_column")
        embedded = isinstance(self._file, ParquetFiles) and self._file.holds_images(column) and self._file
        if embedded:
            keys, names = embedded.image_names(column)
            images = pa.chunked_array([keys], pa.string())
        else:
            images = self._images(column)
            names = images.to_pylist()
        self._paths = [os.path.join(folder, name) for name in names]
        self._records: Records | None = None
        split_column = self._assign_splits(images, settings)
        reserved = {column, settings.group_column, split_column, *self._ignored}
        self.attributes = tuple(name for name in self._file.names if name not in reserved)
        self._labels = self._read_labels()
        if embedded:
            self._records = embedded.unpack_images(column, Path(folder), progress)
        else:
            self._check_images()

    def _examples(self, rows: np.ndarray) -> Examples:
        paths = np.array([self._paths[row] for row in rows])
        records = self._records and self._records.take(rows)
        people = None if self._people is None else self._people[rows]
        return Examples(self.attributes, paths, self._labels[rows], records=records, people=people)

    def column(self, name: str, split: str) -> np.ndarray | None:
        if name not in self._file.names:
            return None
        texts = np.array(self._file.text(name).to_pylist())
        return texts[self._split == SPLITS.index(split)]

    def _require_column(self, name: str, purpose: str, setting: str) -> None:
        if name not in self._file.names:
            raise FarkerasError(
                f"{self._file.path} has no column '{name}' for {purpose}; its columns are "
                f"{', '.join(self._file.names)}. Rename one, or name it with `{setting}=NAME`."
            )

    def _text(self, column: str, setting: str) -> pa.ChunkedArray:
        """Returns the text of the column that a setting names."""
        try:
            return self._file.text(column)
        except NotPlain as error:
            raise FarkerasError(f"{error} Name another column with `{setting}=NAME`.") from None

    def _images(self, column: str) -> pa.ChunkedArray:
        images = self._text(column, "image_column")
        empty = np.flatnonzero(pc.equal(images, ""))
        if len(empty):
            raise FarkerasError(
                f"{self._file.place(empty[0])}: the column '{column}' is empty. Enter the image's path or remove the "
                "line."
            )
        number = _numbers(images)
        first = _first_rows(number)
        if len(first) < len(number):
            row = int(np.setdiff1d(np.arange(len(number)), first)[0])
            raise FarkerasError(
                f"{self._file.place(row)}: {images[row]} is listed a second time, first in "
                f"{self._file.place(first[number[row]])}. Remove one of the two."
            )
        return images

    def _assign_splits(self, images: pa.ChunkedArray, settings: TableSettings) -> str | None:
        """Sets `_split` and `_why_empty`. Returns the column that gives the split, if there is one."""
        group, groups, self._people = settings.group_column, None, None
        if group:
            self._require_column(group, "the groups", "group_column")
            groups = self._text(group, "group_column")
            self._people = np.array(groups.to_pylist())
        others = {settings.image_column, group, *self._ignored}
        named = [name for name in self._file.names if name.lower() in SPLIT_COLUMNS and name not in others]
        if len(named) > 1:
            raise FarkerasError(
                f"{self._file.path} has several columns for the split, {', '.join(named)}; expected one. Ignore the "
                f"others with {self._ignoring(*named[1:])}."
            )
        column = named[0] if named else None
        redrawn = any(name.lower() in SPLIT_COLUMNS for name in self._ignored)
        split = self._read_split(column) if column else None if redrawn else self._file.splits
        if split is not None:
            self._split = split
            origin = f"the column '{column}'" if column else "the names of the files"
            instead = f"split by `split_ratios` with {self._ignoring(column or SPLIT_COLUMNS[0])}."
            fix = "assign some rows to it" if column else "rename some files"
            self._why_empty = f"{origin} {'gives' if column else 'give'} it no images. Either {fix}, or {instead}"
            if groups is not None:
                self._check_groups(groups, group, f"Correct {origin}, or {instead}")
        else:
            keys = images if groups is None else pc.if_else(pc.equal(groups, ""), images, groups)
            self._split = assign_splits(keys.to_pylist(), settings.split_ratios)
            ratios = ",".join(f"{ratio:g}" for ratio in settings.split_ratios)
            self._why_empty = (
                f"`split_ratios={ratios}` gives it no {group or 'image'}. Change `split_ratios`, or add a column "
                f"'{SPLIT_COLUMNS[0]}'."
            )
        return column

    def _ignoring(self, *columns: str) -> str:
        """Returns the setting that also ignores these columns."""
        return f"`ignore_columns={join_list((*self._ignored, *columns))}`"

    def _read_split(self, column: str) -> np.ndarray:
        """Reads the split of each image: int8 `[N]`, indices in `SPLITS`."""
        texts = self._file.text(column)
        words, numbers = (_coded(texts, code) for code in (lambda text: SPLIT_WORDS.get(text, -1), _split_number))
        split = np.maximum(words, numbers)
        if (unknown := split < 0).any():
            row = int(np.argmax(unknown))
            problem = f"holds '{_short(texts[row])}'"
        elif (numbers >= 0).any() and 2 not in numbers:  # 1 may mean "use this image for training"
            row, problem = int(np.argmax(numbers >= 0)), "holds 0 or 1 but never 2, so their meaning is unclear"
        else:
            return split.astype(np.int8)
        raise FarkerasError(
            f"{self._file.place(row)}: the column '{column}' {problem}; expected train, validation (or val, valid, "
            "dev) and test, or 0, 1 and 2 for them as in CelebA. Correct the column, or split by `split_ratios` with "
            f"{self._ignoring(column)}."
        )

    def _check_groups(self, groups: pa.ChunkedArray, column: str, advice: str) -> None:
        number = _numbers(groups)
        first = _first_rows(number)[number]
        wrong = np.flatnonzero((self._split != self._split[first]) & np.asarray(pc.not_equal(groups, "")))
        if len(wrong):
            row, other = int(wrong[0]), int(first[wrong[0]])
            raise FarkerasError(
                f"{self._file.place(row)}: {column} '{_short(groups[row])}' is in the split "
                f"{SPLITS[self._split[row]]}, but in {self._file.place(other)} it is in {SPLITS[self._split[other]]}; "
                f"expected each {column} in one split. {advice}"
            )

    def _read_labels(self) -> np.ndarray:
        """Reads the labels: int8 `[N, attributes]` of 1, 0 or `UNKNOWN`."""
        labels = np.empty((self._file.num_rows, len(self.attributes)), np.int8)
        strange: dict[str, str | int] = {}  # attribute -> the problem, or the first row with a problem
        for column, name in enumerate(self.attributes):
            try:
                code = _coded(self._file.text(name), _label)
            except NotPlain as error:
                strange[name] = str(error)
                continue
            if (code == _STRANGE).any():
                strange[name] = int(np.argmax(code == _STRANGE))
                continue
            self._refuse_mixed(name, code)
            labels[:, column] = np.where(code == _MINUS_ONE, 0, code)
        if strange:
            name, problem = next(iter(strange.items()))
            if isinstance(problem, int):
                problem = self._strange_cell(name, problem)
            columns = "the column is not an attribute" if len(strange) == 1 else "these columns are not attributes"
            raise FarkerasError(f"{problem} If {columns}, set {self._ignoring(*strange)}.")
        return labels

    def _strange_cell(self, name: str, row: int) -> str:
        texts = self._file.text(name)
        problem = f"{self._file.place(row)}: the column '{name}' holds '{_short(texts[row])}'; expected "
        if (_coded(texts, lambda text: SPLIT_WORDS.get(text, -1)) >= 0).all():
            return f"{problem}labels. If it gives the split of each image, rename it to '{SPLIT_COLUMNS[0]}'."
        return f"{problem}1 or 0, 1 or -1, true or false, yes or no, or an empty cell for unknown. Correct it."

    def _refuse_mixed(self, name: str, code: np.ndarray) -> None:
        zero, minus = code == 0, code == _MINUS_ONE
        if zero.any() and minus.any():
            row, other = int(np.argmax(minus)), int(np.argmax(zero))
            raise FarkerasError(
                f"{self._file.place(row)}: the column '{name}' holds -1, but 0 in {self._file.place(other)}; expected "
                "either 1 and 0, or 1 and -1. Leave the cell empty where the attribute is unknown."
            )

    def _check_images(self) -> None:
        missing = missing_files([os.path.split(path) for path in self._paths])
        if missing:
            raise MissingImages(
                f"{self._file.place(missing[0])}: {len(missing)} of the {len(self._paths)} listed images are not on "
                f"disk: {few([self._paths[row] for row in missing])}. Paths must be absolute or relative to the "
                "table's folder. Correct the paths, or remove the lines.",
                self,
            )


def open_table(place: Path) -> TableFile:
    """Opens a CSV or Parquet file, or a folder of Parquet files.

    Raises:
        FarkerasError: The path is no such file or folder.
    """
    if not place.is_dir():
        return ParquetFiles(place, [place]) if read_start(place).startswith(MAGIC) else CsvFile(place)
    sheets, shards = sorted(file for file in place.iterdir() if file.suffix.lower() == ".csv"), find_shards(place)
    if shards and not sheets:
        return ParquetFiles(place, shards)
    tables = [*sheets, *shards][:3]
    fix = (
        f"Set {' or '.join(f'`data_dir={table}`' for table in tables)}." if tables else "It holds no .csv or .parquet."
    )
    raise FarkerasError(f"{place} is a folder; expected a table, or a folder of Parquet files only. {fix}")


def _coded(texts: pa.ChunkedArray, code: Callable[[str], int]) -> np.ndarray:
    """Computes the code of each text in lower case, int64 `[N]`."""
    known = texts.unique()
    codes = np.array([code(text.lower()) for text in known.to_pylist()], np.int64)
    return codes[pc.index_in(texts, known).to_numpy()]


def _label(text: str) -> int:
    if text in _LABELS:
        return _LABELS[text]
    return {1.0: 1, 0.0: 0, -1.0: _MINUS_ONE}.get(_number(text), _STRANGE)


def _split_number(text: str) -> int:
    """Returns 0, 1 or 2 if the text is one of these numbers, else -1."""
    number = _number(text)
    return int(number) if number in range(len(SPLITS)) else -1


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _numbers(texts: pa.ChunkedArray) -> np.ndarray:
    """Numbers the texts 0, 1, ... in the order of their first rows, int64 `[N]`. Equal texts have equal numbers."""
    return pa.concat_arrays(texts.chunks).dictionary_encode().indices.to_numpy().astype(np.int64)


def _first_rows(number: np.ndarray) -> np.ndarray:
    """Returns the first row with each number."""
    return np.unique(number, return_index=True)[1]


def _short(value: pa.Scalar) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
