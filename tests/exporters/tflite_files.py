"""What lies in a TFLite file, read without farkeras."""

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

_TYPES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


def operations(model: bytes) -> list[tuple[str, tuple[int, ...], str]]:
    """Of each operation, in order: its name (CUSTOM where it is no builtin), its first output's shape and its type."""
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    found = []
    for graph in parsed.subgraphs:
        for operator in graph.operators:
            output = graph.tensors[operator.outputs[0]]
            kind = flatbuffer_utils.opcode_to_name(parsed, operator.opcodeIndex)
            found.append((kind, tuple(int(n) for n in output.shape), _TYPES[output.type]))
    return found
