"""Tensors in JSON, as in TF Serving's REST interface: by rows ("instances") or by columns ("inputs")."""

import base64
import json
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from farkeras.serving.errors import invalid

_Infos = Mapping[str, meta_graph_pb2.TensorInfo]


def parse_json(body: bytes) -> dict[str, Any]:
    """Parses the JSON object of a request.

    Raises:
        RequestError: INVALID_ARGUMENT if the body is not a valid predict request.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(values, dict):
        raise invalid("JSON Value: Is not object")
    if not isinstance(values.get("signature_name", ""), str):
        raise invalid("'signature_name' key must be a string value.")
    if ("instances" in values) == ("inputs" in values):
        raise invalid("Missing 'inputs' or 'instances' key; expecting one of them, and not both")
    return values


def read_inputs(values: Mapping[str, Any], signature: meta_graph_pb2.SignatureDef) -> dict[str, np.ndarray]:
    """Returns the inputs of a request that `parse_json` returned, as arrays by name.

    Raises:
        RequestError: INVALID_ARGUMENT if the inputs do not fit the signature.
    """
    infos = signature.inputs
    if "inputs" in values:
        columns = values["inputs"]
        if not isinstance(columns, dict) or _is_base64(columns):
            columns = {_only(infos): columns}
        return {name: _array(name, value, infos) for name, value in columns.items()}
    rows = values["instances"]
    if not isinstance(rows, list) or not rows:
        raise invalid("Expecting 'instances' to be a list with at least one element")
    named = [isinstance(row, dict) and not _is_base64(row) for row in rows]
    if not any(named):
        name = _only(infos)
        return {name: _array(name, rows, infos)}
    for number, row in enumerate(rows):
        if not named[number] or row.keys() != infos.keys():
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. Expecting an object with the keys "
                f"{','.join(sorted(infos))}"
            )
    return {name: _array(name, [row[name] for row in rows], infos) for name in infos}


def write_outputs(outputs: Mapping[str, np.ndarray], by_rows: bool) -> dict[str, Any]:
    """Returns the answer as JSON values; a single output is written without its name.

    Raises:
        RequestError: INVALID_ARGUMENT if `by_rows` is set and the outputs have no common first dimension.
    """
    values = {name: _jsonable(name, array) for name, array in outputs.items()}
    (single,) = values.values() if len(values) == 1 else (None,)
    if not by_rows:
        return {"outputs": values if single is None else single}
    sizes = {array.shape[:1] for array in outputs.values()}
    if len(sizes) != 1 or () in sizes:
        raise invalid("The outputs have no common first dimension; send the request with 'inputs' to receive columns")
    if single is not None:
        return {"predictions": single}
    return {"predictions": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]}


def _only(infos: _Infos) -> str:
    if len(infos) != 1:
        raise invalid(f"Expecting objects with the keys {','.join(sorted(infos))}: the signature has several inputs")
    return next(iter(infos))


def _array(name: str, value: object, infos: _Infos) -> np.ndarray:
    if name not in infos:
        raise invalid(f"JSON object: does not have named input: {name}")
    dtype = tf.as_dtype(infos[name].dtype).as_numpy_dtype
    try:
        if dtype is object:
            return _strings(value)
        array = np.array(value)
    except (ValueError, OverflowError, RecursionError) as error:  # for example, lists of different lengths
        raise invalid(f"Input {name}: {error}") from None
    kinds = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}[np.dtype(dtype).kind]
    if array.size and array.dtype.kind not in kinds:
        raise invalid(f"Input {name}: values are not of expected type: {np.dtype(dtype).name}")
    if array.size and kinds == "iu":
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise invalid(f"Input {name}: values are outside the range of {np.dtype(dtype).name}")
    return array.astype(dtype)


def _strings(value: object) -> np.ndarray:
    """Converts text and `{"b64": ...}` objects to an object array of bytes."""
    array = np.array(value, object)
    array.flat = [_bytes(item) for item in array.flat]
    return array


def _bytes(value: object) -> bytes:
    if isinstance(value, list):
        raise invalid("Encountered lists of different sizes")
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if not _is_base64(value):
        raise invalid('Expecting text or {"b64": base64 text} where the signature has strings')
    try:
        return base64.b64decode(value["b64"], validate=True)
    except ValueError:
        raise invalid("Unable to base64 decode") from None


def _is_base64(value: object) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _jsonable(name: str, array: np.ndarray) -> Any:
    if array.dtype != object:
        return array.tolist()
    written = array.copy()
    if name.endswith("_bytes"):
        written.flat = [{"b64": base64.b64encode(value).decode()} for value in array.flat]
    else:
        written.flat = [value.decode("utf-8", "replace") for value in array.flat]
    return written.tolist()
