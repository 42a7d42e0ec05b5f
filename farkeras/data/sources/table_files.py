"""The interface of tables, which returns columns as text, and the reader of CSV files.

A CSV file is UTF-8 text, with or without a byte order mark and with any line ends. Commas separate its fields, or
semicolons or tabs, which some spreadsheets write. Fields may be quoted. Errors name the file and the line.
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
    """The cells of a column are not text, numbers or booleans."""


class TableFile(ABC):
    """The columns of a table, by name.

    Attributes:
        path: The table, for error messages.
        names: Distinct names of the columns, in their order.
        num_rows: Number of rows, without the line of column names.
    """

    path: Path
    names: tuple[str, ...]
    num_rows: int

    def text(self, name: str) -> pa.ChunkedArray:
        """Returns the cells of a column as text without surrounding blanks; "" for an empty cell.

        Raises:
            NotPlain: The column holds something else, such as lists or bytes.
        """
        texts = []
        for column in self._columns(name):
            try:
                texts += pc.fill_null(pc.utf8_trim_whitespace(pc.cast(column, pa.string())), "").chunks
            except pa.ArrowException:
                raise NotPlain(
                    f"{self.path}: column '{name}' has the type {column.type}; expected text, numbers or booleans."
                ) from None
        return pa.chunked_array(texts, pa.string())

    @property
    def splits(self) -> np.ndarray | None:
        """Splits by the names of the table's files, indices in `SPLITS`, int8 `[N]`; None if the names give none."""
        return None

    @abstractmethod
    def place(self, row: int) -> str:
        """Returns the place of a row, counted from 0, for messages: "faces.csv, line 7" or "faces.parquet, row 6"."""

    @abstractmethod
    def _columns(self, name: str) -> list[pa.ChunkedArray]:
        """Returns the parts of a column, one per file."""

    def _check_names(self, where: str) -> None:
        if "" in self.names:
            raise FarkerasError(
                f"{where}: column {self.names.index('') + 1} has no name. Name it or remove it; if it is the index of "
                "pandas, write the table with to_csv(..., index=False)."
            )
        if again := [name for i, name in enumerate(self.names) if name in self.names[:i]]:
            raise FarkerasError(f"{where}: column '{again[0]}' appears twice. Rename or remove one of the two columns.")
        if not self.num_rows:
            raise FarkerasError(f"{self.path} lists no images; expected a row per image below the column names.")


def read_start(path: Path) -> bytes:
    """Reads the first bytes of a file, which identify its kind. Raises `FarkerasError` if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError as error:
        raise FarkerasError(f"Cannot read the table {path} ({error.strerror}); check the path.") from None


class CsvFile(TableFile):
    """The columns of a CSV file.

    Raises:
        FarkerasError: The file does not exist or is not a table, a row has too many or too few fields, or a column has
            no name or the name of another column.
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
                with open(self.path, "rb") as file:  # Arrow only takes UTF-8 paths
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
                f"{self.path}, line {self._undecodable_line()}: expected UTF-8 text. Received: other bytes. Save the "
                "table as UTF-8."
            ) from None
        return tuple(name.strip() for name in header), table.slice(1)

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the line on which each record starts, counted from 1, and its fields. Skips empty lines."""
        with open(self.path, encoding="utf-8-sig", newline="") as file:
            reader, line = csv.reader(file, delimiter=self._delimiter, strict=True), 1
            try:
                for fields in reader:
                    if fields:
                        yield line, fields
                    line = reader.line_num + 1
            except csv.Error:
                raise FarkerasError(
                    f"{self.path}, line {line}: a quote is not closed, or text follows the closing quote. Correct the "
                    "line, and double the quotes that are part of a text."
                ) from None

    def _refuse_open_quote(self) -> None:
        """Raises `FarkerasError` if a quote is not closed.

        Otherwise everything from the quote to the end of the file would silently become one cell.
        """
        with open(self.path, "rb") as file:
            quotes = sum(block.count(b'"') for block in iter(lambda: file.read(2**20), b""))
        if quotes % 2:
            for _ in self._records():
                pass

    def _first_error(self, columns: int, error: pa.ArrowException) -> FarkerasError:
        for line, fields in self._records():
            if len(fields) != columns:
                return FarkerasError(
                    f"{self.path}, line {line}: expected {columns} fields, as many as line 1 has names. Received: "
                    f"{len(fields)}. Correct the line, or put text with a '{self._delimiter}' in quotes."
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
            raise FarkerasError(
                f"{self.path} is an HTML page; {expected}. The download was refused: download the file again."
            )
        if head.startswith(b"PK\x03\x04"):
            raise FarkerasError(
                f"{self.path} is an Excel workbook or a zip archive; {expected}. Save the sheet as CSV, or unpack the "
                "archive."
            )
        if b"\0" in head:
            raise FarkerasError(f"{self.path} is a binary file or not UTF-8; {expected}. Save it as CSV in UTF-8.")
