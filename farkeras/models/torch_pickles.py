"""Reads the pickles in PyTorch's files without running them: containers, numbers, texts and records of tensors.

A pickle is a program that can import and call anything. This reader goes through its instructions and knows the few
that a state dict consists of. A name such as `torch._utils._rebuild_tensor_v2` stands for a record here, never for a
function. Any other name that the pickle would call, set a state of or make an object of ends the reading.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

_MAX_INSTRUCTIONS = 1_000_000
"""A checkpoint of a network with 1,000 weights, its optimizer included, has about 200,000."""

_MAX_DIMENSIONS = 32  # as in NumPy 1
_MAX_ELEMENTS = 2**40

STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
ITEM_SIZES = {"float64": 8, "int64": 8, "uint64": 8, "float32": 4, "int32": 4, "uint32": 4, "float16": 2, "bfloat16": 2}
ITEM_SIZES |= {"int16": 2, "uint16": 2, "int8": 1, "uint8": 1, "bool": 1}


class ForeignObject(Exception):
    """The pickle has objects other than tensors, numbers, texts and containers. The text names them."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A block of numbers in the file: its key, type and length in elements."""

    key: str
    dtype: str
    length: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage. Its offset and strides count elements, and its bounds lie inside the storage."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """What the pickle would import."""

    text: str


@dataclass(frozen=True, slots=True)
class _Ignored:
    """A value that is not a weight, such as the arguments of a training script; nothing of it is read."""


_IGNORED = {
    "argparse.Namespace",
    "collections.Counter",
    "torch.device",
    "torch.Size",
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "_codecs.encode",
}
"""Harmless values beside the weights in checkpoints of common training scripts."""


def check_tensor(
    storage: Storage, offset: Any, size: Any, stride: Any, dtype: str = "", what: str = "a tensor"
) -> Tensor:
    """Returns the record of a tensor whose numbers all lie inside its storage.

    Raises:
        ValueError: A number is negative, not whole or too large, or the tensor reaches beyond its storage.
        ForeignObject: The tensor has more elements than its storage.
    """
    dtype = dtype or storage.dtype
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= _MAX_DIMENSIONS):
        raise ValueError(f"the shape of {what} is invalid")
    if not all(type(n) is int and 0 <= n < _MAX_ELEMENTS for n in (offset, *size, *stride)):
        raise ValueError(f"the shape, strides or offset of {what} are negative or too large")
    available = storage.length * ITEM_SIZES[storage.dtype] // ITEM_SIZES[dtype]
    elements, largest, last = 1, 1, offset
    for length, step in zip(size, stride, strict=True):
        elements *= length
        largest *= max(length, 1)
        last += (length - 1) * step
    if largest > _MAX_ELEMENTS or (elements and last >= available):
        raise ValueError(f"{what} reaches beyond its storage of {available:,} elements")
    if elements > available:  # it would need more memory than the file has bytes
        raise ForeignObject("a tensor that repeats the numbers of its storage, which .contiguous() writes out")
    return Tensor(storage, dtype, offset, size, stride)


def load_pickle(stream: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """Reads one pickle, and leaves the stream behind its end.

    Args:
        stream: A stream in memory, so that a length in the pickle takes no more memory than the stream has.

    Returns:
        The value, made of dicts, lists, tuples, numbers, texts and `Tensor`, and the storages by key.

    Raises:
        ForeignObject: The pickle has another kind of object. Nothing of it was run.
        ValueError: The pickle is damaged, or too large for a state dict.
    """
    reader = _Reader()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count + reader.copied > _MAX_INSTRUCTIONS:
                raise ValueError("it has too many objects for a state dict")
            if opcode.name == "STOP":
                return reader.stack.pop(), reader.storages
            reader.step(opcode.name, argument)
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError, Warning):
        raise ValueError("its list of tensors is invalid") from None
    raise ValueError("its list of tensors has no end")


class _Reader:
    """The stack and the memo of a pickle that is read."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.storages: dict[str, Storage] = {}
        self.copied = 0
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carries out one instruction."""
        stack = self.stack
        if name in _VALUES:
            stack.append(_VALUES[name](argument))
        elif name in _NOTHING:
            pass
        elif name == "MARK":
            self._marks.append(stack)
            self.stack = []
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[argument])
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple([stack.pop() for _ in range(int(name[-1]))][::-1]))
        elif name in ("TUPLE", "LIST", "DICT"):
            self._collect(name)
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else self._to_mark()
            self._container(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(), stack.pop()][::-1] if name == "SETITEM" else self._to_mark()
            self._set_items(self._container(dict), items)
        elif name in ("POP", "POP_MARK", "DUP"):
            self._drop_or_repeat(name)
        elif name == "GLOBAL":
            stack.append(_Name(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            if type(attribute) is not str or type(module) is not str:
                raise ValueError("a name in its list of tensors is invalid")
            stack.append(_Name(f"{module}.{attribute}"))
        elif name == "BINPERSID":
            stack.append(self._storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(self._record(function, arguments))
        elif name == "NEWOBJ" and type(stack[-2]) is _Name and stack[-2].text in _IGNORED:
            stack[-2:] = [_Ignored()]
        elif name == "BUILD":
            self._ignore_state(stack.pop())
        else:  # the instructions that make objects of classes, and those of extensions
            raise ForeignObject(self._foreign(_Name(argument.replace(" ", ".")) if name == "INST" else None))

    def _to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self._marks.pop()
        return items

    def _collect(self, name: str) -> None:
        items = self._to_mark()
        if name == "DICT":
            self.stack.append({})
            self._set_items(self.stack[-1], items)
        else:
            self.stack.append(tuple(items) if name == "TUPLE" else items)

    def _container(self, kind: type) -> Any:
        if type(self.stack[-1]) is _Ignored:
            return kind()
        if type(self.stack[-1]) is not kind:
            raise ValueError("its list of tensors adds an item to something else than a container")
        return self.stack[-1]

    def _set_items(self, target: dict, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, int):  # the hash of a deeply nested tuple would crash the process
                raise ForeignObject("a dict whose keys are neither texts nor whole numbers")
            target[key] = value

    def _drop_or_repeat(self, name: str) -> None:
        if name == "DUP":
            self.stack.append(self.stack[-1])
        elif name == "POP_MARK" or not self.stack:
            self._to_mark()
        else:
            self.stack.pop()

    def _storage(self, record: Any) -> Storage:
        """Returns the storage that `("storage", type, key, location, length[, view])` names."""
        if type(record) is tuple and record[:1] == ("module",):
            raise ForeignObject(self._foreign(record[1]))
        if not (type(record) is tuple and len(record) in (5, 6) and record[0] == "storage"):
            raise ValueError("a storage has an invalid record")
        _, kind, key, _, length = record[:5]
        if type(kind) is not _Name or type(key) is not str or type(length) is not int:
            raise ValueError("a storage has an invalid record")
        if record[5:] not in ((), (None,)):
            raise ForeignObject("storages that are parts of others, as versions of PyTorch before 0.4 wrote them")
        module, _, name = kind.text.rpartition(".")
        if module not in ("torch", "torch.cuda", "torch.storage") or name not in STORAGES:
            raise ForeignObject(f"numbers of the type {kind.text}, which are not supported")
        if not 0 <= length <= _MAX_ELEMENTS:
            raise ValueError(f"the length of storage {key[:20]!r} is negative or too large")
        storage = Storage(key, STORAGES[name], length)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"storage {key[:20]!r} has two different records")
        return storage

    def _record(self, function: Any, arguments: Any) -> Any:
        """Returns the record that a call in the pickle stands for."""
        if type(function) is not _Name or type(arguments) is not tuple:
            raise ForeignObject(self._foreign())
        name = function.text
        if name == "torch._tensor._rebuild_from_type_v2" and len(arguments) == 4:
            function, kind, arguments, _ = arguments  # a tensor with further Python attributes
            if kind not in (
                _Name("torch.nn.parameter.Parameter"),
                _Name("torch.Tensor"),
                _Name("torch._tensor.Tensor"),
            ):
                raise ForeignObject(self._foreign(kind))
            name = function.text if function.text in _TENSORS else ""
        if name in _TENSORS:
            return _TENSORS[name](*arguments)
        if name == "collections.OrderedDict" and len(arguments) <= 1:
            result: dict = {}
            for pair in arguments[0] if arguments else ():  # the list that Python 2 writes
                self.copied += 1
                self._set_items(result, [*pair] if len(pair) == 2 else [None])
            return result
        if name in _IGNORED:
            return _Ignored()
        raise ForeignObject(self._foreign(function))

    def _ignore_state(self, state: Any) -> None:
        """Ignores the attributes of a dict, such as the version numbers of a state dict, and of an ignored value."""
        if type(self.stack[-1]) not in (dict, _Ignored):
            raise ForeignObject(self._foreign())

    def _foreign(self, name: Any = None) -> str:
        """Describes an object that is not read: by its name, or by the last name that the pickle imports."""
        names = [name] if type(name) is _Name else [item for item in self.stack if type(item) is _Name]
        what = f"the Python object {names[-1].text[:100]!r}" if names else "Python objects"
        return f"{what}, as in the file of a whole model"


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
    if type(storage) is not Storage or len(rest) > 3:
        raise ValueError("a tensor has an invalid record")
    return check_tensor(storage, offset, size, stride)


def _typed_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, gradient: Any, hooks: Any, kind: Any, *rest: Any
) -> Tensor:
    if type(storage) is not Storage or type(kind) is not _Name:
        raise ValueError("a tensor has an invalid record")
    dtype = kind.text.removeprefix("torch.")
    if dtype not in ITEM_SIZES:
        raise ForeignObject(f"numbers of the type {kind.text[:100]}, which are not supported")
    return check_tensor(storage, offset, size, stride, dtype)


def _parameter(tensor: Any, *rest: Any) -> Tensor:
    if type(tensor) is not Tensor or len(rest) > 3:
        raise ValueError("a parameter has an invalid record")
    return tensor


_TENSORS: dict[str, Callable[..., Tensor]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}

_NOTHING = ("PROTO", "FRAME")

_VALUES: dict[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
}
_VALUES |= dict.fromkeys(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 STRING "
    "BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8".split(),
    lambda argument: argument,
)
