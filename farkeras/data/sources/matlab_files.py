"""Reads MATLAB v7.3 files, which are HDF5: strings in cells, and matrices as MATLAB shows them.

HDF5 holds a matrix transposed. A cell array of strings is an array of references, each to an array with the codes of
the string's characters (uint16).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from farkeras.data.sources.archives import read_head
from farkeras.errors import FarkerasError


class MatlabFile:
    """An open file; made by `open_matlab`."""

    def __init__(self, path: Path, file: h5py.File):
        self._path, self._file = path, file

    def strings(self, name: str) -> list[str]:
        """The strings of a cell array, column by column.

        Raises:
            FarkerasError: No such variable, or it is something else.
        """
        cells = self._variable(name)
        if h5py.check_ref_dtype(cells.dtype) is not h5py.Reference:
            raise self._other_kind(name, cells, "a cell array of strings")
        strings = []
        for number, reference in enumerate(cells[()].ravel(), 1):
            codes = self._file[reference] if reference else None
            if not isinstance(codes, h5py.Dataset) or codes.dtype != np.uint16:
                raise FarkerasError(
                    f"{self._path}: cell {number} of '{name}' is not a string; take the file as it ships."
                )
            strings.append(codes[()].ravel().astype("<u2").tobytes().decode("utf-16-le", errors="replace"))
        return strings

    def matrix(self, name: str) -> np.ndarray:
        """The numbers of a matrix, `float64` `[rows, columns]` as in MATLAB.

        Raises:
            FarkerasError: No such variable, or it is something else.
        """
        numbers = self._variable(name)
        if numbers.dtype.kind not in "iufb" or numbers.ndim != 2:
            raise self._other_kind(name, numbers, "a matrix of numbers")
        return numbers[()].T.astype(np.float64)

    def _variable(self, name: str) -> h5py.Dataset:
        variable = self._file.get(name)
        if not isinstance(variable, h5py.Dataset) or variable.shape is None:
            found = ", ".join(key for key in self._file if not key.startswith("#")) or "none"
            raise FarkerasError(f"{self._path} has no variable '{name}'; found {found}. Take the file as it ships.")
        return variable

    def _other_kind(self, name: str, found: h5py.Dataset, expected: str) -> FarkerasError:
        return FarkerasError(
            f"{self._path}: '{name}' is not {expected} but {found.dtype} {list(found.shape)}; take the file as it "
            "ships."
        )


@contextmanager
def open_matlab(path: Path) -> Iterator[MatlabFile]:
    """Opens a file for the length of a `with` block.

    Raises:
        FarkerasError: Not a MATLAB v7.3 file (a web page, an older MATLAB file and an empty one are named as such), cut
            short, or damaged.
    """
    head = read_head(path, "a MATLAB file")
    if not head:
        raise FarkerasError(f"{path} is empty; download it again.")
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        raise FarkerasError(
            f"{path} is a MATLAB v5 file; expected v7.3, as it ships. Download it again, or convert it in MATLAB: "
            f"s = load('{path.name}'); save('{path.name}', '-struct', 's', '-v7.3')"
        )
    if not h5py.is_hdf5(path):
        raise FarkerasError(
            f"{path} is not a MATLAB v7.3 file, which is HDF5 ({path.stat().st_size:,} bytes); download it again."
        )
    try:
        with h5py.File(path, "r") as file:
            yield MatlabFile(path, file)
    except (OSError, RuntimeError, KeyError) as error:  # what HDF5's own errors become
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FarkerasError(
            f"{path} is truncated or damaged ({path.stat().st_size:,} bytes; {detail}); download it again."
        ) from None
