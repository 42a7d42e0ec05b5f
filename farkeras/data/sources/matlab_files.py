"""Reads cell arrays of strings and matrices from MATLAB v7.3 files, which are HDF5 files.

HDF5 stores a MATLAB matrix transposed. A cell array of strings is an array of references. Each reference points to an
array with the string's character codes (uint16).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from farkeras.data.sources.archives import read_head
from farkeras.errors import FarkerasError


class MatlabFile:
    """An open MATLAB file. `open_matlab` creates it."""

    def __init__(self, path: Path, file: h5py.File):
        self._path, self._file = path, file

    def strings(self, name: str) -> list[str]:
        """Returns the strings of a cell array, column by column.

        Raises:
            FarkerasError: The variable does not exist or is not a cell array of strings.
        """
        cells = self._variable(name)
        if h5py.check_ref_dtype(cells.dtype) is not h5py.Reference:
            raise self._other_kind(name, cells, "a cell array of strings")
        strings = []
        for number, reference in enumerate(cells[()].ravel(), 1):
            codes = self._file[reference] if reference else None
            if not isinstance(codes, h5py.Dataset) or codes.dtype != np.uint16:
                raise FarkerasError(f"{self._path}: cell {number} of '{name}' is not a string. Use the original file.")
            strings.append(codes[()].ravel().astype("<u2").tobytes().decode("utf-16-le", errors="replace"))
        return strings

    def matrix(self, name: str) -> np.ndarray:
        """Returns a matrix as `float64` `[rows, columns]`, as MATLAB shows it.

        Raises:
            FarkerasError: The variable does not exist or is not a matrix of numbers.
        """
        numbers = self._variable(name)
        if numbers.dtype.kind not in "iufb" or numbers.ndim != 2:
            raise self._other_kind(name, numbers, "a matrix of numbers")
        return numbers[()].T.astype(np.float64)

    def _variable(self, name: str) -> h5py.Dataset:
        variable = self._file.get(name)
        if not isinstance(variable, h5py.Dataset) or variable.shape is None:
            found = ", ".join(key for key in self._file if not key.startswith("#")) or "none"
            raise FarkerasError(f"{self._path} has no variable '{name}'; found {found}. Use the original file.")
        return variable

    def _other_kind(self, name: str, found: h5py.Dataset, expected: str) -> FarkerasError:
        return FarkerasError(
            f"{self._path}: '{name}' must be {expected}. Received: {found.dtype} {list(found.shape)}. Use the original "
            "file."
        )


@contextmanager
def open_matlab(path: Path) -> Iterator[MatlabFile]:
    """Opens a MATLAB v7.3 file for a `with` block.

    Raises:
        FarkerasError: The file is truncated, damaged or not a MATLAB v7.3 file. The message says if it is a web page,
            an older MATLAB file or empty.
    """
    head = read_head(path, "a MATLAB file")
    if not head:
        raise FarkerasError(f"{path} is empty. Download it again.")
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        raise FarkerasError(
            f"{path} is a MATLAB v5 file; expected v7.3, like the original. Download it again, or convert it in "
            f"MATLAB: s = load('{path.name}'); save('{path.name}', '-struct', 's', '-v7.3')"
        )
    if not h5py.is_hdf5(path):
        raise FarkerasError(
            f"{path} is not a MATLAB v7.3 file, which is HDF5 ({path.stat().st_size:,} bytes). Download it again."
        )
    try:
        with h5py.File(path, "r") as file:
            yield MatlabFile(path, file)
    except (OSError, RuntimeError, KeyError) as error:  # h5py raises these for HDF5's errors
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FarkerasError(
            f"{path} is truncated or damaged ({path.stat().st_size:,} bytes; {detail}). Download it again."
        ) from None
