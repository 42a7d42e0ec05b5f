"""Reads CelebA's list files, official text and Kaggle's CSV; errors name file and line.

A list file has a row per image: its name, then integers. `list_attr_celeba.txt` and
`list_landmarks_align_celeba.txt` start with the number of rows and the names of the columns,
`list_eval_partition.txt` with the first row; every CSV starts with the names of its columns.
"""

import re
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from farkeras.data.sources.archives import read_head
from farkeras.errors import FarkerasError, and_more


class Table(NamedTuple):
    """One list file.

    Attributes:
        path: The file it was read from, for messages.
        images: `str` array `[N]`, names of image files, each once.
        values: `int64` array `[N, columns]`.
        first_line: Line number of row 0 in the file, counted from 1.
    """

    path: Path
    images: np.ndarray
    values: np.ndarray
    first_line: int

    def require(self, allowed: Collection[int]) -> None:
        """Raises FarkerasError naming the first line with a value that is not among `allowed`."""
        bad = np.argwhere(~np.isin(self.values, list(allowed)))
        if len(bad):
            row, column = bad[0]
            expected = " or ".join(map(str, allowed))
            raise FarkerasError(
                f"{self.path}, line {self.first_line + row} ({self.images[row]}): expected "
                f"{expected} in every column, got {self.values[row, column]} in column "
                f"{column + 1}; correct the line."
            )

    def in_order_of(self, other: "Table") -> np.ndarray:
        """The values with rows in the order of `other.images`.

        Raises:
            FarkerasError: The two files do not list the same images.
        """
        if np.array_equal(self.images, other.images):
            return self.values
        for here, there in ((self, other), (other, self)):
            extra = here.images[~np.isin(here.images, there.images)]
            if len(extra):
                raise FarkerasError(
                    f"{here.path} lists {extra[0]}{and_more(extra)}, which {there.path} does not; "
                    "take both files from the same download."
                )
        rows = np.argsort(self.images)
        return self.values[rows[np.searchsorted(self.images, other.images, sorter=rows)]]


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Reads one list file.

    Args:
        path: A `.txt` in CelebA's official form or a `.csv` in Kaggle's.
        columns: Names of the value columns in the order wanted. Columns are found by their name, so
            the file may order them otherwise; the one file without a header is the text form of a
            single column.

    Raises:
        FarkerasError: Not such a file: an HTML page, truncated, a column or a value wrong, an image
            twice.
    """
    lines = _read_lines(path)
    if path.suffix.lower() == ".csv":
        lines = [line.replace(",", " ") for line in lines]
        header, first_line, count = lines[0].split()[1:], 2, None
    elif len(columns) == 1:
        header, first_line, count = list(columns), 1, None
    else:
        if not lines[0].strip().isdecimal():
            raise FarkerasError(
                f"{path}, line 1: expected the number of images, got '{lines[0][:40]}'; "
                "take the file as CelebA ships it."
            )
        header, first_line, count = [*lines, ""][1].split(), 3, int(lines[0])
    order = _match_columns(path, first_line - 1, header, columns)
    rows = lines[first_line - 1 :]
    if not rows:
        raise FarkerasError(f"{path} lists no image; download it again.")
    images, values = _parse_rows(path, rows, first_line, len(header))
    if count is not None and count != len(rows):
        raise FarkerasError(
            f"{path} is truncated or was edited: line 1 says {count} images, the file has "
            f"{len(rows)} rows; download it again, or correct line 1."
        )
    unique, first = np.unique(images, return_index=True)
    if len(unique) < len(images):
        again = np.setdiff1d(np.arange(len(images)), first)[0]
        raise FarkerasError(
            f"{path}, line {first_line + again}: {images[again]} is listed a second time; remove one of its lines."
        )
    return Table(path, images, values[:, order], first_line)


def _read_lines(path: Path) -> list[str]:
    read_head(path, "a list of images")
    content = path.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"  # as PowerShell redirects
    lines = content.decode(encoding, errors="replace").rstrip().splitlines()
    if not lines:
        raise FarkerasError(f"{path} is empty; download it again.")
    return lines


def _match_columns(path: Path, line: int, header: list[str], columns: Sequence[str]) -> list[int]:
    where = f"{path}, line {line}"
    for name in header:
        if name not in columns:
            raise FarkerasError(f"{where}: unknown column '{name}'; expected {', '.join(columns)}.")
        if header.count(name) > 1:
            raise FarkerasError(f"{where}: column '{name}' appears twice; remove one of the two.")
    missing = [name for name in columns if name not in header]
    if missing:
        raise FarkerasError(
            f"{where}: column '{missing[0]}'{and_more(missing)} is missing: expected "
            f"{len(columns)} columns, got {len(header)}; take the file as it ships."
        )
    return [header.index(name) for name in columns]


def _parse_rows(path: Path, rows: list[str], first_line: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    pairs = [row.split(maxsplit=1) for row in rows]
    if all(len(pair) == 2 for pair in pairs):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", DeprecationWarning)  # NumPy's way to say that 0.9 was read as 0
                values = np.loadtxt([rest for _, rest in pairs], dtype=np.int64, comments=None, ndmin=2)
            if values.shape[1] == columns:
                return np.array([name for name, _ in pairs]), values
        except (ValueError, DeprecationWarning):
            pass  # the slow search says where
    raise _first_error(path, rows, first_line, columns)


def _first_error(path: Path, rows: list[str], first_line: int, columns: int) -> FarkerasError:
    problem = "a row is not a name and whole numbers"
    for line, row in enumerate(rows, first_line):
        values = row.split()[1:]
        if len(values) != columns:
            last = line == first_line + len(rows) - 1
            problem = (
                f"line {line}{' (the last: truncated?)' if last else ''}: expected an image name "
                f"and {columns} value(s), got {len(values)} value(s)"
            )
            break
        strange = [value for value in values if not re.fullmatch("[+-]?[0-9]+", value)]
        if strange:
            problem = f"line {line}: expected whole numbers, got '{strange[0]}'"
            break
    return FarkerasError(f"{path}, {problem}; correct it or download the file again.")
