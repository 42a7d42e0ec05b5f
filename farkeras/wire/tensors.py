"""Converts NumPy arrays to TF Serving's tensors and back, as TensorFlow does."""

import math
from collections.abc import Sequence

import numpy as np

from farkeras.errors import FarkerasError
from farkeras.wire.protos import serving_pb2 as pb

MAX_BYTES = 2**28
"""Largest size of a tensor. The limit is needed because a message of a few bytes can claim any size."""

# NumPy's type, and the field that holds one value per element.
_KINDS: dict[pb.DataType, tuple[np.dtype, str]] = {
    pb.DT_FLOAT: (np.dtype(np.float32), "float_val"),
    pb.DT_DOUBLE: (np.dtype(np.float64), "double_val"),
    pb.DT_HALF: (np.dtype(np.float16), "half_val"),
    pb.DT_INT8: (np.dtype(np.int8), "int_val"),
    pb.DT_INT16: (np.dtype(np.int16), "int_val"),
    pb.DT_INT32: (np.dtype(np.int32), "int_val"),
    pb.DT_INT64: (np.dtype(np.int64), "int64_val"),
    pb.DT_UINT8: (np.dtype(np.uint8), "int_val"),
    pb.DT_UINT16: (np.dtype(np.uint16), "int_val"),
    pb.DT_UINT32: (np.dtype(np.uint32), "uint32_val"),
    pb.DT_UINT64: (np.dtype(np.uint64), "uint64_val"),
    pb.DT_BOOL: (np.dtype(np.bool_), "bool_val"),
    pb.DT_STRING: (np.dtype(object), "string_val"),
}
_TYPE_NAMES = {number: name for name, number in pb.DataType.items()}
_TYPES = {dtype: number for number, (dtype, _) in _KINDS.items() if not dtype.hasobject}


def to_proto(array: np.ndarray, packed: bool = True) -> pb.TensorProto:
    """Converts an array to a message.

    Args:
        array: Numbers, or an `object` array of `bytes` for a string tensor. NumPy's `S` type is rejected, because it
            drops zero bytes at the end and would truncate image files.
        packed: Whether all numbers are written as one string of bytes, which is fast. Otherwise each number is one
            value, as in TF Serving's answers.

    Raises:
        FarkerasError: The array has another type.
    """
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in array.shape])
    if array.dtype == object and all(isinstance(value, bytes) for value in array.flat):
        return pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape, string_val=array.ravel().tolist())
    dtype = _TYPES.get(array.dtype.newbyteorder("="))
    if dtype is None:
        raise FarkerasError(
            f"An array of dtype {array.dtype} cannot be sent; expected numbers, or bytes with dtype=object."
        )
    proto = pb.TensorProto(dtype=dtype, tensor_shape=shape)
    if packed:
        proto.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    else:
        values = array.astype(np.float16).view(np.uint16) if dtype == pb.DT_HALF else array
        getattr(proto, _KINDS[dtype][1]).extend(values.ravel().tolist())
    return proto


def to_array(proto: pb.TensorProto, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Converts a message, packed or not, to an array. A string tensor becomes an `object` array of `bytes`.

    As in TensorFlow, a message may have fewer values than elements: its last value fills the rest, and a message
    without values gives zeros or empty strings. Surplus values are ignored.

    Args:
        proto: A message from a server or a client.
        max_bytes: Largest size of the array; each string counts as 8 bytes.

    Raises:
        FarkerasError: The type is not supported, the shape is unknown or impossible, the length of the content does not
            match the shape, or the array is too large.
    """
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    described = f"The tensor ({_TYPE_NAMES.get(proto.dtype, f'type {proto.dtype}')} {list(shape)})"
    if proto.dtype not in _KINDS:
        raise FarkerasError(f"{described} has a type that cannot be read; expected strings, booleans or real numbers.")
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0 or len(shape) > 32:
        raise FarkerasError(f"{described} has no definite shape.")
    (dtype, field), count = _KINDS[proto.dtype], math.prod(shape)
    if count * dtype.itemsize > max_bytes:
        raise FarkerasError(f"{described} takes more than {max_bytes:,} bytes.")
    if proto.tensor_content:
        if proto.dtype == pb.DT_STRING or len(proto.tensor_content) != count * dtype.itemsize:
            raise FarkerasError(
                f"{described} has {len(proto.tensor_content):,} bytes of content, which do not fit its type and shape."
            )
        return np.frombuffer(proto.tensor_content, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
    return _filled(getattr(proto, field), dtype, count).reshape(shape)


def _filled(values: Sequence[float] | Sequence[bytes], dtype: np.dtype, count: int) -> np.ndarray:
    array, given = np.empty(count, dtype), values[:count]
    if dtype.kind in "fiu" and dtype.itemsize < 4:  # half_val and int_val hold wider integers than these types
        integers = np.array(given, np.int32).astype(np.uint16 if dtype.kind == "f" else dtype)
        array[: len(given)] = integers.view(dtype)
    else:
        array[: len(given)] = given
    array[len(given) :] = array[len(given) - 1] if given else b"" if dtype.hasobject else 0
    return array
