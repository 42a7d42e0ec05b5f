"""Writes files in MATLAB's format v7.3; the same variables always give the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

_HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 1970 HDF5 schema 1.00 ."
_HEADER_SIZE = 512


def write_matlab(path: Path, variables: Mapping[str, np.ndarray | Sequence[str]]) -> None:
    """Writes variables to a MATLAB file.

    In the HDF5 file, matrices are transposed, and each cell is a reference to an array in `#refs#` that holds the
    UTF-16 codes of its string.

    Args:
        path: The file to write.
        variables: Name -> a number array `[rows, columns]`, written as doubles, or strings, written as a cell array
            with one column.
    """
    with h5py.File(path, "w", userblock_size=_HEADER_SIZE) as file:
        for name, value in variables.items():
            if isinstance(value, np.ndarray):
                _store(file, name, value.T.astype(np.float64), "double")
            else:
                codes = [np.frombuffer(text.encode("utf-16-le"), "<u2").reshape(-1, 1) for text in value]
                texts = [_store(file, f"#refs#/{name}{i}", text, "char") for i, text in enumerate(codes)]
                cells = np.array([text.ref for text in texts], h5py.ref_dtype).reshape(1, -1)
                _store(file, name, cells, "cell", h5py.ref_dtype)
    with open(path, "r+b") as file:
        # Text, eight unused bytes, the version and the byte order.
        file.write(_HEADER.ljust(116) + bytes(8) + b"\x00\x02IM")


def _store(file: h5py.File, name: str, values: np.ndarray, kind: str, dtype: np.dtype | None = None) -> h5py.Dataset:
    dataset = file.create_dataset(name, data=values, dtype=dtype)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    if kind == "char":
        dataset.attrs["MATLAB_int_decode"] = np.int32(2)
    return dataset
