"""Reads a user's table from one or several Parquet files, with paths of images or with the images themselves.

A Parquet file may hold images as Hugging Face's `datasets` stores them, a struct of `bytes` and `path`, or as plain
bytes. Training reads images in any order, which Parquet's compressed pages do not allow. So the images are unpacked
once, byte for byte, to TFRecord files in the folder `farkeras` next to the table, which doubles the disk space. The
name of each such file includes a digest of its origin, so it is never used for other images.
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from farkeras.data.examples import RECORD_HEAD, RECORD_TAIL, Records
from farkeras.data.sources.packed_files import record_lengths
from farkeras.data.sources.splits import split_in_path
from farkeras.data.sources.table_files import TableFile
from farkeras.errors import FarkerasError
from farkeras.files import writing, written_aside
from farkeras.progress import Progress, report

FOLDER = "farkeras"
MAGIC = b"PAR1"
"""First bytes of every Parquet file."""

_BYTES, _PATH = "bytes", "path"  # the fields of an image's struct
_BATCH = 256  # images in memory at a time


def find_shards(folder: Path) -> list[Path]:
    """Finds the Parquet files of one data set in a folder, or one or two levels below, and sorts them by name.

    Raises:
        FarkerasError: The files lie in several folders that are not folders of splits.
    """
    files = sorted(file for depth in ("", "*/", "*/*/") for file in folder.glob(f"{depth}*.parquet"))
    homes = {file.parent if split_in_path(file.parent.name) is None else file.parent.parent for file in files}
    if len(homes) > 1:
        raise FarkerasError(
            f"{folder} holds several data sets, in {', '.join(map(str, sorted(homes)))}; name one, such as "
            f"`data_dir={min(homes)}`."
        )
    return files


class ParquetFiles(TableFile):
    """The columns of a table in one or several Parquet files, such as the shards of a data set.

    Args:
        path: The file, or the folder of the files.
        files: The files, in the order of the rows.

    Raises:
        FarkerasError: A file is damaged or has other columns.
    """

    def __init__(self, path: Path, files: Sequence[Path]):
        self.path, self._files = path, files
        schemas, lengths = [], []
        for file in files:
            with _open(file) as parquet:
                schemas.append(parquet.schema_arrow)
                lengths.append(parquet.metadata.num_rows)
        self.names, self._begins = tuple(schemas[0].names), [0, *accumulate(lengths)]
        self.num_rows = self._begins[-1]
        for file, schema in zip(files, schemas, strict=True):
            if odd := sorted(set(schema.names) ^ set(self.names)):
                raise FarkerasError(
                    f"{file} and {files[0]} have different columns: only one of them has '{odd[0]}'. All files of a "
                    "table must have the same columns; move other files to another folder."
                )
        self._check_names(str(path))

    @property
    def splits(self) -> np.ndarray | None:
        """Splits by the names of the files, see `TableFile`; None for a single file.

        Raises:
            FarkerasError: Only some names of files give a split.
        """
        found = [split_in_path(file.relative_to(self.path).as_posix()) for file in self._files if file != self.path]
        if not found or set(found) == {None}:
            return None
        if None in found:
            raise FarkerasError(
                f"The name of {self._files[found.index(None)]} gives no split, unlike the names of other files in "
                f"{self.path}; expected train, validation or test in all names or in none. Rename the file."
            )
        return np.repeat(np.array(found, np.int8), np.diff(self._begins))

    def place(self, row: int) -> str:
        shard = bisect_right(self._begins, row) - 1
        return f"{self._files[shard]}, row {row - self._begins[shard] + 1}"

    def holds_images(self, name: str) -> bool:
        """Says whether a column holds images, not their paths."""
        for batch in _batches(self._files[0], name):
            for image in pc.drop_null(_encoded(batch)):
                try:
                    image.as_py().decode()
                except UnicodeDecodeError:  # an image is never UTF-8 text, but a path always is
                    return True
                return False
        return False

    def image_names(self, name: str) -> tuple[list[str], list[str]]:
        """Returns the names of a column's images in their file, and their distinct names in the table's folder.

        The name in the file is the image's `path` if all paths of the file are distinct names, else the row.
        """
        paths = self.text(name) if self._has_paths(name) else None
        keys, names = [], []
        for file, begin, end in zip(self._files, self._begins, self._begins[1:], strict=False):
            here = [path.lstrip("/") for path in paths[begin:end].to_pylist()] if paths else []
            here = here if _distinct(here) else [f"row {row}" for row in range(1, end - begin + 1)]
            prefix = file.name if file == self.path else file.relative_to(self.path).as_posix()
            keys += here
            names += [f"{prefix}/{key}" for key in here]
        return keys, names

    def unpack_images(self, name: str, folder: Path, progress: Progress | None) -> Records:
        """Unpacks the images of a column, except those that are already unpacked.

        Args:
            name: The column.
            folder: The table's folder.
            progress: Called as `progress(images_done, images_total)` if there is anything to unpack.

        Returns:
            The locations of the images.

        Raises:
            FarkerasError: A file is damaged, or the folder cannot be written.
        """
        unpacked = [folder / FOLDER / f"{file.stem}-{_digest(file, name)}.tfrecord" for file in self._files]
        for shard, (file, records) in enumerate(zip(self._files, unpacked, strict=True)):
            if not records.exists():
                done = self._begins[shard]
                for number in _unpack(file, name, records):
                    report(progress, done + number, self.num_rows)
        lengths = [record_lengths(records) for records in unpacked]
        for records, found, expected in zip(unpacked, lengths, np.diff(self._begins), strict=True):
            if len(found) != expected:
                raise FarkerasError(
                    f"{records} holds {len(found)} images, expected {expected}. Remove the file and start the same "
                    "command again, which creates it anew."
                )
        ends = [np.cumsum(part + RECORD_HEAD + RECORD_TAIL) for part in lengths]
        begins = [end - part - RECORD_HEAD - RECORD_TAIL for end, part in zip(ends, lengths, strict=True)]
        return Records(
            np.array([str(records) for records in unpacked]),
            np.repeat(np.arange(len(unpacked)), np.diff(self._begins)),
            np.concatenate(begins),
            np.concatenate(lengths),
        )

    def _has_paths(self, name: str) -> bool:
        with _open(self._files[0]) as parquet:
            kind = parquet.schema_arrow.field(name).type
        return pa.types.is_struct(kind) and {_BYTES, _PATH} <= {field.name for field in kind}

    def _columns(self, name: str) -> list[pa.ChunkedArray]:
        """Reads a column, file by file. For a column of images, it reads their paths."""
        columns, has_paths = [], self._has_paths(name)
        for file in self._files:
            with _open(file) as parquet:
                column = parquet.read(columns=[f"{name}.{_PATH}" if has_paths else name]).column(name)
            columns.append(pc.struct_field(column, _PATH) if has_paths else column)
        return columns


@contextmanager
def _open(file: Path) -> Iterator[pa.parquet.ParquetFile]:
    try:
        with open(file, "rb") as opened, pa.parquet.ParquetFile(opened) as parquet:  # Arrow only takes UTF-8 paths
            yield parquet
    except (pa.ArrowException, OSError):
        raise FarkerasError(f"{file} is a damaged or incomplete Parquet file. Copy it again.") from None


def _batches(file: Path, name: str) -> Iterator[pa.Array]:
    with _open(file) as parquet:
        for batch in parquet.iter_batches(_BATCH, columns=[name]):
            yield batch.column(0)


def _encoded(column: pa.Array) -> pa.Array:
    """Returns the bytes of a column's images; null where there are none, or if the column only holds paths."""
    kind = column.type
    if pa.types.is_struct(kind) and _BYTES in {field.name for field in kind}:
        column = pc.struct_field(column, _BYTES)
    holds_bytes = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
    return column if holds_bytes else pa.nulls(len(column), pa.binary())


def _unpack(file: Path, name: str, records: Path) -> Iterator[int]:
    """Writes the images of a file. A missing image becomes an empty record. Yields the number of images written."""
    import tensorflow as tf

    done = 0
    with (
        writing(records),
        written_aside(records) as aside,
        tf.io.TFRecordWriter(os.fsencode(aside)) as writer,
    ):
        for batch in _batches(file, name):
            for image in _encoded(batch):
                writer.write(image.as_py() or b"")
            done += len(batch)
            yield done


def _digest(file: Path, name: str) -> str:
    """Hashes the column's name, the file's size, and its footer, which holds the place and length of all its pages."""
    with open(file, "rb") as opened:
        size = opened.seek(-8, os.SEEK_END) + 8
        length = int.from_bytes(opened.read(4), "little")
        opened.seek(-8 - length, os.SEEK_END)
        footer = opened.read(length)
    return hashlib.sha256(f"{name}\n{size}\n".encode() + footer).hexdigest()[:12]


def _distinct(names: list[str]) -> bool:
    return 0 < len(names) == len({*names} - {""}) and not any(".." in name.split("/") for name in names)
