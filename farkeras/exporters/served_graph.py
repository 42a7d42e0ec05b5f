"""Whether the released model server can run a SavedModel's graph: core TensorFlow operations, no Python, no XLA."""

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from farkeras.errors import FarkerasError

_PYTHON_OPS = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})  # they call back into the process that made them
_COMPILED = "_XlaMustCompile"  # jit_compile=True; the server is built without XLA


def check_servable(folder: Path) -> None:
    """Refuses a SavedModel with an operation that the released server lacks.

    Known are TensorFlow's core operations (`tf.raw_ops`) but for `tf.py_function` and its kin; those of other libraries
    and XLA's are none of them.

    Raises:
        FarkerasError: Names the operation, where it is, and why it cannot run.
    """
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta_graph in saved.meta_graphs:
        functions = {function.signature.name for function in meta_graph.graph_def.library.function}
        for where, operation, attributes in _operations(meta_graph.graph_def):
            if operation in _PYTHON_OPS:
                reason = "it calls Python, of which the server has none; write it with TensorFlow operations"
            elif operation not in functions and not hasattr(tf.raw_ops, operation):
                reason = "it is not one of TensorFlow's core operations, all that the server has"
            elif _COMPILED in attributes and attributes[_COMPILED].b:
                reason = "it is compiled by XLA, which the server has not; set jit_compile=False"
            else:
                continue
            raise FarkerasError(f"The model server cannot run {operation} ('{where}'): {reason}.")


def _operations(graph) -> Iterator[tuple]:
    """Every node of a graph and of its functions, and the functions: name, operation, attributes."""
    yield from ((node.name, node.op, node.attr) for node in graph.node)
    for function in graph.library.function:
        name = function.signature.name
        yield name, "PartitionedCall", function.attr
        yield from ((f"{name}/{node.name}", node.op, node.attr) for node in function.node_def)
