"""Reads CelebA's list files, as official text or as Kaggle's CSV. Errors name the file and the line.

A list file has one row per image: the image's name, then integers. `list_attr_celeba.txt` and
`list_landmarks_align_celeba.txt` start with a line that holds the number of rows and a line of column names.
`list_eval_partition.txt` starts with the first row. Every CSV starts with a line of column names.
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
    """Content of one list file.

    Attributes:
        path: The list file, for error messages.
        images: `str` array `[N]`, the distinct names of the image files.
        values: `int64` array `[N, columns]`.
        first_line: Line number of row 0 in the file, counted from 1.
    """

    path: Path
    images: np.ndarray
    values: np.ndarray
    first_line: int

    def require(self, allowed: Collection[int]) -> None:
        """Raises `FarkerasError`, which names the line, if a value is not in `allowed`."""
        bad = np.argwhere(~np.isin(self.values, list(allowed)))
        if len(bad):
            row, column = bad[0]
            expected = " or ".join(map(str, allowed))
            raise FarkerasError(
                f"{self.path}, line {self.first_line + row} ({self.images[row]}): expected {expected} in every column. "
                f"Received: {self.values[row, column]} in column {column + 1}. Correct the line."
            )

    def in_order_of(self, other: "Table") -> np.ndarray:
        """Returns the values with their rows in the order of `other.images`.

        Raises:
            FarkerasError: The two files do not list the same images.
        """
        if np.array_equal(self.images, other.images):
            return self.values
        for here, there in ((self, other), (other, self)):
            extra = here.images[~np.isin(here.images, there.images)]
            if len(extra):
                raise FarkerasError(
                    f"{here.path} lists {extra[0]}{and_more(extra)}, which {there.path} does not list. Take both files "
                    "from the same download."
                )
        rows = np.argsort(self.images)
        return self.values[rows[np.searchsorted(self.images, other.images, sorter=rows)]]


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Reads one list file.

    Args:
        path: A `.txt` in CelebA's official form or a `.csv` in Kaggle's form.
        columns: Names of the value columns, in the order to return them. Columns are found by name, so the file may
            have another order. A `.txt` with a single column has no line of column names.

    Raises:
        FarkerasError: The file is not such a list (for example an HTML page) or is truncated, a column or a value is
            wrong, or an image is listed twice.
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
                f"{path}, line 1: expected the number of images. Received: '{lines[0][:40]}'. Use the original file of "
                "CelebA."
            )
        header, first_line, count = [*lines, ""][1].split(), 3, int(lines[0])
    order = _match_columns(path, first_line - 1, header, columns)
    rows = lines[first_line - 1 :]
    if not rows:
        raise FarkerasError(f"{path} lists no images. Download it again.")
    images, values = _parse_rows(path, rows, first_line, len(header))
    if count is not None and count != len(rows):
        raise FarkerasError(
            f"{path} is truncated or was edited: line 1 says {count} images, but the file has {len(rows)} rows. "
            "Download it again, or correct line 1."
        )
    unique, first = np.unique(images, return_index=True)
    if len(unique) < len(images):
        again = np.setdiff1d(np.arange(len(images)), first)[0]
        raise FarkerasError(
            f"{path}, line {first_line + again}: {images[again]} is listed a second time. Remove one of its lines."
        )
    return Table(path, images, values[:, order], first_line)


def _read_lines(path: Path) -> list[str]:
    read_head(path, "a list of images")
    content = path.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"  # as PowerShell redirects
    lines = content.decode(encoding, errors="replace").rstrip().splitlines()
    if not lines:
        raise FarkerasError(f"{path} is empty. Download it again.")
    return lines


def _match_columns(path: Path, line: int, header: list[str], columns: Sequence[str]) -> list[int]:
    where = f"{path}, line {line}"
    for name in header:
        if name not in columns:
            raise FarkerasError(f"{where}: unknown column '{name}'; expected {', '.join(columns)}.")
        if header.count(name) > 1:
            raise FarkerasError(f"{where}: column '{name}' appears twice. Remove one of the two columns.")
    missing = [name for name in columns if name not in header]
    if missing:
        raise FarkerasError(
            f"{where}: column '{missing[0]}'{and_more(missing)} is missing: expected {len(columns)} columns. Received: "
            f"{len(header)}. Use the original file."
        )
    return [header.index(name) for name in columns]


def _parse_rows(path: Path, rows: list[str], first_line: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    pairs = [row.split(maxsplit=1) for row in rows]
    if all(len(pair) == 2 for pair in pairs):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", DeprecationWarning)  # NumPy warns so when it reads 0.9 as 0
                values = np.loadtxt([rest for _, rest in pairs], dtype=np.int64, comments=None, ndmin=2)
            if values.shape[1] == columns:
                return np.array([name for name, _ in pairs]), values
        except (ValueError, DeprecationWarning):
            pass  # the slow search finds the line
    raise _first_error(path, rows, first_line, columns)


def _first_error(path: Path, rows: list[str], first_line: int, columns: int) -> FarkerasError:
    problem = "a row does not consist of a name and whole numbers"
    for line, row in enumerate(rows, first_line):
        values = row.split()[1:]
        if len(values) != columns:
            last = line == first_line + len(rows) - 1
            problem = (
                f"line {line}{' (the last, so the file may be truncated)' if last else ''}: expected an image name and "
                f"{columns} value(s). Received: {len(values)} value(s)"
            )
            break
        strange = [value for value in values if not re.fullmatch("[+-]?[0-9]+", value)]
        if strange:
            problem = f"line {line}: expected whole numbers. Received: '{strange[0]}'"
            break
    return FarkerasError(f"{path}, {problem}. Correct it or download the file again.")
