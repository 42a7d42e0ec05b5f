"""What a table's reader gives, columns of text by name, and the reader of CSV; errors name the file and the line.

A CSV is UTF-8 text, with or without a byte order mark, fields divided by commas (or, as some spreadsheets save them, by
semicolons or tabs), quoted where need be, any line ends.
"""

import csv
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from farkeras.data.sources.archives import is_html
from farkeras.errors import FarkerasError


class NotPlain(FarkerasError):
    """A column whose cells are no text, numbers or booleans."""


class TableFile(ABC):
    """The columns of a table, by name.

    Attributes:
        path: The table, for messages.
        names: Of the columns, in their order, each once.
        num_rows: Without the line of names.
    """

    path: Path
    names: tuple[str, ...]
    num_rows: int

    def text(self, name: str) -> pa.ChunkedArray:
        """A column's cells as text without blanks around it; "" for an empty one.

        Raises:
            NotPlain: The column holds lists or bytes, say.
        """
        texts = []
        for column in self._columns(name):
            try:
                texts += pc.fill_null(pc.utf8_trim_whitespace(pc.cast(column, pa.string())), "").chunks
            except pa.ArrowException:
                raise NotPlain(
                    f"{self.path}: column '{name}' is of the type {column.type}; expected text, numbers or booleans."
                ) from None
        return pa.chunked_array(texts, pa.string())

    @property
    def splits(self) -> np.ndarray | None:
        """int8 `[N]`, numbers in `SPLITS` by the names of the table's files; None where they say nothing."""
        return None

    @abstractmethod
    def place(self, row: int) -> str:
        """Where a row, counted from 0, is found: "faces.csv, line 7" or "faces.parquet, row 6"."""

    @abstractmethod
    def _columns(self, name: str) -> list[pa.ChunkedArray]:
        """A column, file by file."""

    def _check_names(self, where: str) -> None:
        if "" in self.names:
            raise FarkerasError(
                f"{where}: column {self.names.index('') + 1} has no name; name it or remove it (pandas writes its "
                "index so: to_csv(..., index=False))."
            )
        if again := [name for i, name in enumerate(self.names) if name in self.names[:i]]:
            raise FarkerasError(f"{where}: column '{again[0]}' appears twice; rename or remove one of the two.")
        if not self.num_rows:
            raise FarkerasError(f"{self.path} lists no image; expected a row per image below the column names.")


def read_start(path: Path) -> bytes:
    """The first bytes of a file, which say what it is; raises FarkerasError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError as error:
        raise FarkerasError(f"Cannot read the table {path} ({error.strerror}); check the path.") from None


class CsvFile(TableFile):
    """The columns of a CSV file.

    Raises:
        FarkerasError: No such file, not a table, a row with too many or too few fields, a column without a name or with
            another's.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._refuse_others(read_start(self.path))
        self.names, self._csv = self._read_csv()
        self.num_rows = self._csv.num_rows
        self._check_names(f"{self.path}, line 1")

    def _columns(self, name: str) -> list[pa.ChunkedArray]:
        return [self._csv.column(self.names.index(name))]

    def place(self, row: int) -> str:
        line, _ = next(islice(self._records(), row + 1, None), (row + 2, None))
        return f"{self.path}, line {line}"

    def _read_csv(self) -> tuple[tuple[str, ...], pa.Table]:
        try:
            with open(self.path, encoding="utf-8-sig", newline="") as lines:
                self._delimiter = max(",;\t", key=next((line for line in lines if line.strip()), "").count)
            _, header = next(self._records(), (1, []))
            if not header:
                raise FarkerasError(f"{self.path} is empty; expected a line of column names and a line per image.")
            self._refuse_open_quote()
            names = [f"f{i}" for i in range(len(header))]
            try:
                with open(self.path, "rb") as file:  # Arrow takes no path but UTF-8
                    table = pa.csv.read_csv(
                        file,
                        read_options=pa.csv.ReadOptions(column_names=names),
                        parse_options=pa.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                        convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
                    )
            except pa.ArrowException as error:
                raise self._first_error(len(header), error) from None
        except UnicodeDecodeError:
            raise FarkerasError(
                f"{self.path}, line {self._undecodable_line()}: expected UTF-8 text, got other bytes; save the table "
                "as UTF-8."
            ) from None
        return tuple(name.strip() for name in header), table.slice(1)

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """The line on which each record starts, counted from 1, and its fields; empty lines are none."""
        with open(self.path, encoding="utf-8-sig", newline="") as file:
            reader, line = csv.reader(file, delimiter=self._delimiter, strict=True), 1
            try:
                for fields in reader:
                    if fields:
                        yield line, fields
                    line = reader.line_num + 1
            except csv.Error:
                raise FarkerasError(
                    f"{self.path}, line {line}: a quote is not closed, or text follows the closing one; correct the "
                    "line, and double the quotes that are part of a text."
                ) from None

    def _refuse_open_quote(self) -> None:
        """Else what follows the quote, to the end of the file, were silently part of one cell."""
        with open(self.path, "rb") as file:
            quotes = sum(block.count(b'"') for block in iter(lambda: file.read(2**20), b""))
        if quotes % 2:
            for _ in self._records():
                pass

    def _first_error(self, columns: int, error: pa.ArrowException) -> FarkerasError:
        for line, fields in self._records():
            if len(fields) != columns:
                return FarkerasError(
                    f"{self.path}, line {line}: expected {columns} fields, as many as line 1 has names, got "
                    f"{len(fields)}; correct the line, or put text with a '{self._delimiter}' in quotes."
                )
        return FarkerasError(f"{self.path} is not a table ({error}); expected CSV or Parquet.")

    def _undecodable_line(self) -> int:
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return number
        return 1

    def _refuse_others(self, head: bytes) -> None:
        expected = "expected a table, CSV or Parquet"
        if is_html(head):
            raise FarkerasError(f"{self.path} is an HTML page, {expected}: the download was refused; get it again.")
        if head.startswith(b"PK\x03\x04"):
            raise FarkerasError(
                f"{self.path} is an Excel workbook or a zip archive, {expected}; save the sheet as CSV, or unpack it."
            )
        if b"\0" in head:
            raise FarkerasError(f"{self.path} is a binary file or not UTF-8, {expected}; save it as CSV in UTF-8.")
