"""A user's own data: a table, CSV or Parquet, with a row per image and a column per attribute; checked at once."""

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

_LABELS = {"": UNKNOWN, "nan": UNKNOWN, "true": 1, "false": 0}
_STRANGE, _MINUS_ONE = -2, -3  # what cells are beside 1, 0 and UNKNOWN


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

    - the images: paths, absolute or relative to the table's folder, each image in one row; or, in Parquet, the images
      themselves, as bytes or as Hugging Face stores them, see `parquet_files`;
    - `split` or `partition`, in any case of the letters, if there is one of them: a word of `SPLIT_WORDS`, or 0, 1 and
      2 as in CelebA. Else the names of the files of a folder say it. Else `split_ratios` decide, by a hash of the
      image's path as written or of the group, so that rows that are added move no others;
    - the group, if one is named, such as a person: what has the same group is in the same split. An image whose group
      is empty stands for itself;
    - those to ignore, which may be absent;
    - all others are attributes, in the table's order: 1 or true is positive, 0, -1 or false negative, in any case of
      the letters, numbers also as 1.0 or 1e0; an empty cell or NaN is unknown. A column with both 0 and -1 is refused:
      one of them might mean unknown.

    Args:
        data_dir: The table, a CSV or Parquet file, or a folder of Parquet files that are one table.
        settings: How it is read; by default as `TableSettings()`.
        progress: Called as `progress(images_done, images_total)` while images that lie in the table are unpacked.

    Raises:
        FarkerasError: Not such a table, or an image is not on disk; names the file and the line or row.
    """

    def __init__(
        self, data_dir: str | os.PathLike, settings: TableSettings | None = None, progress: Progress | None = None
    ):
        settings = settings or TableSettings()
        self._place, self._file = Path(data_dir), _open_table(Path(data_dir))
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
        return Examples(self.attributes, paths, self._labels[rows], records=self._records and self._records.take(rows))

    def _require_column(self, name: str, purpose: str, setting: str) -> None:
        if name not in self._file.names:
            raise FarkerasError(
                f"{self._file.path} has no column '{name}' for {purpose}; its columns are "
                f"{', '.join(self._file.names)}. Rename one, or name it with `{setting}=NAME`."
            )

    def _text(self, column: str, setting: str) -> pa.ChunkedArray:
        """The column that a setting names."""
        try:
            return self._file.text(column)
        except NotPlain as error:
            raise FarkerasError(f"{error} Name another column with `{setting}=NAME`.") from None

    def _images(self, column: str) -> pa.ChunkedArray:
        images = self._text(column, "image_column")
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

    def _assign_splits(self, images: pa.ChunkedArray, settings: TableSettings) -> str | None:
        """Sets `_split` and `_why_empty`; gives the column that says it, if one does."""
        group, groups = settings.group_column, None
        if group:
            self._require_column(group, "what is to stay in one split", "group_column")
            groups = self._text(group, "group_column")
        others = {settings.image_column, group, *self._ignored}
        named = [name for name in self._file.names if name.lower() in SPLIT_COLUMNS and name not in others]
        if len(named) > 1:
            raise FarkerasError(
                f"{self._file.path} has several columns for the split, {', '.join(named)}; expected one. Leave out the "
                f"others with {self._ignoring(*named[1:])}."
            )
        column = named[0] if named else None
        redrawn = any(name.lower() in SPLIT_COLUMNS for name in self._ignored)
        split = self._read_split(column) if column else None if redrawn else self._file.splits
        if split is not None:
            self._split = split
            said = f"the column '{column}'" if column else "the names of the files"
            again = f"split by `split_ratios` with {self._ignoring(column or SPLIT_COLUMNS[0])}."
            nobody = f"no row has it in {said}; mark some rows so" if column else "no file is named so; rename some"
            self._why_empty = f"{nobody}, or {again}"
            if groups is not None:
                self._check_groups(groups, group, f"Correct {said}, or {again}")
        else:
            keys = images if groups is None else pc.if_else(pc.equal(groups, ""), images, groups)
            self._split = assign_splits(keys.to_pylist(), settings.split_ratios)
            ratios = ",".join(f"{ratio:g}" for ratio in settings.split_ratios)
            self._why_empty = (
                f"`split_ratios={ratios}` gave it no {group or 'image'}; change them, or add a column "
                f"'{SPLIT_COLUMNS[0]}'."
            )
        return column

    def _ignoring(self, *columns: str) -> str:
        """The setting that ignores these columns, too."""
        return f"`ignore_columns={join_list((*self._ignored, *columns))}`"

    def _read_split(self, column: str) -> np.ndarray:
        """int8 `[N]`, numbers in `SPLITS`."""
        texts = self._file.text(column)
        words, numbers = (_coded(texts, code) for code in (lambda text: SPLIT_WORDS.get(text, -1), _split_number))
        split = np.maximum(words, numbers)
        if (unknown := split < 0).any():
            row = int(np.argmax(unknown))
            problem = f"holds '{_short(texts[row])}'"
        elif (numbers >= 0).any() and 2 not in numbers:  # 1 may mean that the image is to be trained on
            row, problem = int(np.argmax(numbers >= 0)), "holds 0 or 1 but nowhere 2, so they may mean anything"
        else:
            return split.astype(np.int8)
        raise FarkerasError(
            f"{self._file.place(row)}: the column '{column}' {problem}; expected train, validation (or val, valid, "
            "dev) or test, or 0, 1 and 2 for them as in CelebA. Correct it, or split by `split_ratios` with "
            f"{self._ignoring(column)}."
        )

    def _check_groups(self, groups: pa.ChunkedArray, column: str, advice: str) -> None:
        number = _numbers(groups)
        first = _first_rows(number)[number]
        wrong = np.flatnonzero((self._split != self._split[first]) & np.asarray(pc.not_equal(groups, "")))
        if len(wrong):
            row, other = int(wrong[0]), int(first[wrong[0]])
            raise FarkerasError(
                f"{self._file.place(row)}: {column} '{_short(groups[row])}' is in {SPLITS[self._split[row]]}, and in "
                f"{SPLITS[self._split[other]]} in {self._file.place(other)}; expected each {column} in one split. "
                f"{advice}"
            )

    def _read_labels(self) -> np.ndarray:
        """int8 `[N, attributes]`: 1, 0 or `UNKNOWN`."""
        if not self.attributes:
            raise FarkerasError(
                f"{self._file.path} has no attribute: its columns are {', '.join(self._file.names)}. Add a column of 1 "
                "and 0 for each attribute."
            )
        labels = np.empty((self._file.num_rows, len(self.attributes)), np.int8)
        strange: dict[str, str | int] = {}  # the problem, or the first row with one
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
            columns = "the column is no attribute" if len(strange) == 1 else "these columns are no attributes"
            raise FarkerasError(f"{problem} If {columns}, give {self._ignoring(*strange)}.")
        return labels

    def _strange_cell(self, name: str, row: int) -> str:
        texts = self._file.text(name)
        problem = f"{self._file.place(row)}: the column '{name}' holds '{_short(texts[row])}'; expected "
        if (_coded(texts, lambda text: SPLIT_WORDS.get(text, -1)) >= 0).all():
            return f"{problem}labels. If it says the split of each image, rename it to '{SPLIT_COLUMNS[0]}'."
        return f"{problem}1 or 0, 1 or -1, true or false, or nothing for unknown. Correct it."

    def _refuse_mixed(self, name: str, code: np.ndarray) -> None:
        zero, minus = code == 0, code == _MINUS_ONE
        if zero.any() and minus.any():
            row, other = int(np.argmax(minus)), int(np.argmax(zero))
            raise FarkerasError(
                f"{self._file.place(row)}: the column '{name}' holds -1, and 0 in {self._file.place(other)}; expected "
                "1 and 0, or 1 and -1. Leave the cell empty where the attribute is unknown."
            )

    def _check_images(self) -> None:
        missing = missing_files([os.path.split(path) for path in self._paths])
        if missing:
            raise MissingImages(
                f"{self._file.place(missing[0])}: {len(missing)} of the {len(self._paths)} listed images are not on "
                f"disk: {few([self._paths[row] for row in missing])}. Paths must be absolute or relative "
                "to the table's folder; correct them, or remove the lines.",
                self,
            )


def _open_table(place: Path) -> TableFile:
    if not place.is_dir():
        return ParquetFiles(place, [place]) if read_start(place).startswith(MAGIC) else CsvFile(place)
    sheets, shards = sorted(file for file in place.iterdir() if file.suffix.lower() == ".csv"), find_shards(place)
    if shards and not sheets:
        return ParquetFiles(place, shards)
    tables = [*sheets, *shards][:3]
    found = " or ".join(f"`data_dir={table}`" for table in tables) or "it holds no .csv or .parquet"
    raise FarkerasError(f"{place} is a folder; expected the table itself, or a folder of Parquet files: {found}.")


def _coded(texts: pa.ChunkedArray, code: Callable[[str], int]) -> np.ndarray:
    """int64 `[N]`: the code of each text, in lower case."""
    known = texts.unique()
    codes = np.array([code(text.lower()) for text in known.to_pylist()], np.int64)
    return codes[pc.index_in(texts, known).to_numpy()]


def _label(text: str) -> int:
    if text in _LABELS:
        return _LABELS[text]
    return {1.0: 1, 0.0: 0, -1.0: _MINUS_ONE}.get(_number(text), _STRANGE)


def _split_number(text: str) -> int:
    """0, 1 or 2; -1 for anything else."""
    number = _number(text)
    return int(number) if number in range(len(SPLITS)) else -1


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _numbers(texts: pa.ChunkedArray) -> np.ndarray:
    """int64 `[N]`: equal texts have equal numbers, 0, 1, ... in the order of their first rows."""
    return pa.concat_arrays(texts.chunks).dictionary_encode().indices.to_numpy().astype(np.int64)


def _first_rows(number: np.ndarray) -> np.ndarray:
    """The first row with each number."""
    return np.unique(number, return_index=True)[1]


def _short(value: pa.Scalar) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
