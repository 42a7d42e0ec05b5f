"""Reads the weights in PyTorch's files, `.pth` and `.pt`, and in `.safetensors`, without PyTorch.

Nothing in a file is run, and each size, offset and length is checked before memory is taken for it.
"""

import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from farkeras.data.sources.archives import is_html
from farkeras.errors import FarkerasError, first_line
from farkeras.files import as_path
from farkeras.models.torch_checkpoints import SAVE_WEIGHTS, choose_weights, without_wrappers
from farkeras.models.torch_pickles import ITEM_SIZES, ForeignObject, Storage, Tensor, check_tensor, load_pickle

TORCH_SUFFIXES = (".pth", ".pt", ".pth.tar", ".bin", ".safetensors")
"""Endings of the names of files with PyTorch's weights."""

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # the first pickle of PyTorch's old form
_PROTOCOL = 1001
_MAX_LIST = 8 * 2**20
"""Most bytes of the list of tensors in a file; that of a large network has one megabyte."""

_SAFETENSORS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool"}
_SAFETENSORS |= {f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)}
_SAFETENSORS |= {f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)}

_Opened = tuple[Any, Callable[[Storage], bytes], str]
"""The content of a file with records of tensors, a function that reads a storage, and the order of bytes."""


def read_state_dict(path: str | os.PathLike, part: str = "") -> dict[str, np.ndarray]:
    """Reads the weights of a network from a file of PyTorch (zip form or old form) or safetensors.

    A checkpoint that wraps the weights, such as `{"state_dict": ..., "epoch": 3}`, is unwrapped. First parts of names
    that all names share and that wrappers add, such as `module.`, are removed.

    Args:
        path: The file. Its content decides how it is read, not its name.
        part: For a checkpoint with the weights of several networks, the one to read, such as `ema`. Dots separate the
            keys of nested dicts.

    Returns:
        Name -> array, in the file's type; bfloat16, which NumPy lacks, is converted to float32. Tensors that share
        memory in the file share it here; the arrays are read-only.

    Raises:
        FarkerasError: The file cannot be read, is another kind of file, is truncated or damaged, holds other objects
            than tensors, such as a whole model, or holds no weights or those of several networks.
    """
    path = as_path(path)
    try:
        with open(path, "rb") as file:
            content, read_storage, order = _open(path, file)
            tensors = choose_weights(path, content, part)
            arrays = _Arrays(read_storage, order, path.stat().st_size)
            return without_wrappers({name: arrays.read(tensor) for name, tensor in tensors.items()})
    except OSError as error:
        raise FarkerasError(
            f"Cannot read {path} ({error.strerror or error}); expected a file of PyTorch or safetensors."
        ) from None
    except ForeignObject as error:
        raise FarkerasError(
            f"{path} must hold tensors only. Received: {error}. Nothing of it was run. {SAVE_WEIGHTS}"
        ) from None
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise FarkerasError(
            f"{path} is truncated or damaged ({path.stat().st_size:,} bytes; {first_line(error)}). Copy or download it "
            "again."
        ) from None


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Puts the file before the messages of errors about its weights."""
    try:
        yield
    except FarkerasError as error:
        raise FarkerasError(f"{path}: {error}") from None


def _open(path: Path, file: BinaryIO) -> _Opened:
    head = file.read(512)
    file.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return _open_zip(path, file)
    if head.startswith(b"\x80"):
        return _open_old_form(path, file)
    if head[8:9] == b"{" and not head.startswith((b"{", b"<")):
        return _open_safetensors(file, path.stat().st_size)
    found = next((text for is_it, text in _OTHERS if is_it(head)), "a file of another kind")
    raise FarkerasError(
        f"{path} must be a file of PyTorch (.pth, .pt) or safetensors. Received: {found}. {SAVE_WEIGHTS}"
    )


_OTHERS: list[tuple[Callable[[bytes], bool], str]] = [
    (lambda head: not head, "an empty file"),
    (is_html, "a web page, which a refused download leaves behind"),
    (lambda head: head.startswith(b"\x89HDF"), "an HDF5 file, which Keras reads when its name ends in .weights.h5"),
    (lambda head: head.startswith(b"version https://git-lfs"), "a pointer of Git LFS; run `git lfs pull`"),
    (lambda head: head[4:8] == b"TFL3", "a LiteRT model"),
    (lambda head: head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")), "a compressed file; decompress it first"),
    (lambda head: head[257:262] == b"ustar", "a tar archive, as PyTorch before 0.2 wrote them; unpack it first"),
    (lambda head: b"\0" not in head and head.isascii(), "a text file"),
]
"""Kinds of files that people rename, by their first bytes."""


def _open_zip(path: Path, file: BinaryIO) -> _Opened:
    """Opens the form of PyTorch 1.6 and later: a zip file with the pickle and one stored member for each storage."""
    size, careful = path.stat().st_size, _CarefulFile(file)
    archive = zipfile.ZipFile(cast(BinaryIO, careful))
    careful.limit = size
    names = archive.namelist()
    if len(set(names)) < len(names):
        raise ValueError("it has a member twice")

    def read(name: str, length: int | None = None) -> bytes:
        if name not in archive.NameToInfo:
            raise ValueError(f"it has no member {name[:60]!r}")
        member = archive.getinfo(name)
        # PyTorch does not compress. What is stored as it is cannot grow beyond the size of the file.
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"its member {name[:60]!r} is compressed, which PyTorch never does")
        if member.file_size > (size if length is not None else _MAX_LIST) or length not in (None, member.file_size):
            expected = "at most the size of the file" if length is None else f"{length:,}"
            raise ValueError(f"its member {name[:60]!r} has {member.file_size:,} bytes, not {expected}")
        return archive.read(member)

    lists = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if "model.weights.h5" in names or len(lists) != 1:
        kind = "a Keras model, whose name must end in .keras" if "model.weights.h5" in names else "another zip archive"
        raise FarkerasError(f"{path} must be a file of PyTorch (.pth, .pt). Received: {kind}. {SAVE_WEIGHTS}")
    folder = lists[0].removesuffix("data.pkl")
    if any(name == f"{folder}constants.pkl" or name.startswith(f"{folder}code/") for name in names):
        raise FarkerasError(
            f"{path} must hold tensors only. Received: a TorchScript archive, which holds code; nothing of it was run. "
            "Load it in PyTorch with model = torch.jit.load(...) and save its weights: torch.save(model.state_dict(), "
            "'name.pth')."
        )
    order = read(f"{folder}byteorder", None) if f"{folder}byteorder" in names else b"little"
    if order not in (b"little", b"big"):
        raise ValueError("its byteorder is neither little nor big")
    content, _ = load_pickle(BytesIO(read(lists[0])))
    return content, lambda storage: read(f"{folder}data/{storage.key}", _bytes(storage)), order.decode()


class _CarefulFile:
    """A file for `zipfile`, which reads the whole list of members at once and needs ten times its size in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.limit = file, _MAX_LIST

    def read(self, size: int = -1) -> bytes:
        if size > self.limit:
            raise ValueError("its list of members is too large")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _open_old_form(path: Path, file: BinaryIO) -> _Opened:
    """Opens the form before PyTorch 1.6: five pickles, then each storage behind its length (8 bytes)."""
    pickles, size = BytesIO(file.read(_MAX_LIST)), path.stat().st_size
    if load_pickle(pickles)[0] != _MAGIC_NUMBER:
        raise FarkerasError(
            f"{path} must be a file of PyTorch. Received: another pickle; nothing of it was run. {SAVE_WEIGHTS}"
        )
    if load_pickle(pickles)[0] != _PROTOCOL:
        raise ValueError(f"its protocol is not {_PROTOCOL}")
    load_pickle(pickles)  # the sizes of C's types where it was written; the storages are little-endian everywhere
    (content, storages), (keys, _) = load_pickle(pickles), load_pickle(pickles)
    if type(keys) is not list or not all(type(key) is str and key in storages for key in keys):
        raise ValueError("its list of storages does not fit its list of tensors")
    places, place = {}, pickles.tell()
    for key in keys:
        file.seek(place)
        if key in places or int.from_bytes(file.read(8), "little", signed=True) != storages[key].length:
            raise ValueError(f"storage {key[:20]!r} has another length than in its list of tensors")
        places[key] = place + 8
        place += 8 + _bytes(storages[key])
        if place > size:
            raise ValueError(f"storage {key[:20]!r} ends behind the end of the file")

    def read_storage(storage: Storage) -> bytes:
        if storage.key not in places:
            raise ValueError(f"it lacks storage {storage.key[:20]!r}")
        file.seek(places[storage.key])
        return file.read(_bytes(storage))

    return content, read_storage, "little"


def _open_safetensors(file: BinaryIO, size: int) -> _Opened:
    """Opens a safetensors file: the length of a JSON header (8 bytes), the header, and the numbers."""
    length = int.from_bytes(file.read(8), "little")
    if length > min(_MAX_LIST, size - 8):
        raise ValueError(f"its header of {length:,} bytes is larger than the file or {_MAX_LIST:,}")
    start = 8 + length
    header = json.loads(file.read(length), object_pairs_hook=_without_repetition)
    content, places = {}, {}
    for name, entry in header.items() if type(header) is dict else ():
        if name == "__metadata__":
            continue
        if type(entry) is not dict:
            raise ValueError(f"its entry {name[:60]!r} is invalid")
        shape, offsets = entry.get("shape"), entry.get("data_offsets")
        if type(entry.get("dtype")) is not str or type(shape) is not list or type(offsets) is not list:
            raise ValueError(f"its entry {name[:60]!r} lacks dtype, shape or data_offsets")
        if entry["dtype"] not in _SAFETENSORS:
            raise ForeignObject(f"numbers of the type {entry['dtype'][:20]}, which are not supported")
        if len(offsets) != 2 or not all(type(n) is int for n in offsets) or not 0 <= offsets[0] <= offsets[1]:
            raise ValueError(f"the data_offsets of {name[:60]!r} are invalid")
        dtype = _SAFETENSORS[entry["dtype"]]
        storage = Storage(name, dtype, (offsets[1] - offsets[0]) // ITEM_SIZES[dtype])
        content[name] = _contiguous(storage, shape)
        if math.prod(shape) * ITEM_SIZES[dtype] != offsets[1] - offsets[0] or start + offsets[1] > size:
            raise ValueError(f"the data_offsets of {name[:60]!r} do not fit its shape or the size of the file")
        places[name] = start + offsets[0]
    ends = sorted((place, place + _bytes(content[name].storage)) for name, place in places.items())
    if any(end != begin for (_, end), (begin, _) in zip([(0, start), *ends], [*ends, (size, size)], strict=True)):
        raise ValueError("its tensors overlap or leave gaps")

    def read_storage(storage: Storage) -> bytes:
        file.seek(places[storage.key])
        return file.read(_bytes(storage))

    return content, read_storage, "little"


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("its header has a name twice")
    return dict(pairs)


def _contiguous(storage: Storage, shape: list[Any]) -> Tensor:
    if not all(type(length) is int for length in shape) or len(shape) > 32:
        raise ValueError(f"the shape of {storage.key[:60]!r} is invalid")
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return check_tensor(storage, 0, tuple(shape), tuple(strides))


def _bytes(storage: Storage) -> int:
    return storage.length * ITEM_SIZES[storage.dtype]


class _Arrays:
    """The arrays of the tensors in a file. A storage is read once; together they are not larger than the file."""

    def __init__(self, read_storage: Callable[[Storage], bytes], order: str, size: int) -> None:
        self._read_storage, self._order, self._left = read_storage, order, size
        self._contents: dict[str, bytes] = {}
        self._arrays: dict[tuple[str, str], np.ndarray] = {}

    def read(self, tensor: Tensor) -> np.ndarray:
        key = (tensor.storage.key, tensor.dtype)
        if key not in self._arrays:
            self._arrays[key] = self._numbers(tensor)
        if 0 in tensor.size:
            return np.zeros(tensor.size, self._arrays[key].dtype)
        numbers = self._arrays[key]
        steps = [0 if n == 1 else step * numbers.itemsize for n, step in zip(tensor.size, tensor.stride, strict=True)]
        return np.ndarray(tensor.size, numbers.dtype, numbers.data, tensor.offset * numbers.itemsize, steps)

    def _numbers(self, tensor: Tensor) -> np.ndarray:
        """Returns all numbers of a tensor's storage, as the tensor's type."""
        storage, kind = tensor.storage, tensor.dtype
        if storage.key not in self._contents:
            self._left -= _bytes(storage)
            if self._left < 0:
                raise ValueError("its storages are larger than the file")
            self._contents[storage.key] = self._read_storage(storage)
        content = self._contents[storage.key]
        if len(content) != _bytes(storage):
            raise ValueError(f"storage {storage.key[:20]!r} has {len(content):,} bytes, not {_bytes(storage):,}")
        raw = np.dtype({"bfloat16": "uint16", "bool": "uint8"}.get(kind, kind))
        content = content[: len(content) // raw.itemsize * raw.itemsize]
        numbers = np.frombuffer(content, raw.newbyteorder("<" if self._order == "little" else ">")).astype(
            raw, copy=False
        )
        if kind == "bfloat16":  # the upper half of a float32
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        elif kind == "bool":
            numbers = numbers != 0
        numbers.flags.writeable = False
        return numbers
