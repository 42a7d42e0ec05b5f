"""Checks that the released model server can run a SavedModel's graph: core operations only, no Python, no XLA."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import saved_model_pb2

from farkeras.errors import FarkerasError

_PYTHON_OPS = frozenset({"EagerPyFunc", "PyFunc", "PyFuncStateless"})  # they call the Python process that created them
_COMPILED = "_XlaMustCompile"  # jit_compile=True; the server is built without XLA


def check_servable(folder: Path) -> None:
    """Checks that the released model server has all operations of a SavedModel.

    The server has TensorFlow's core operations (`tf.raw_ops`), except `tf.py_function` and similar operations. It has
    no operations of other libraries, and no XLA.

    Raises:
        FarkerasError: The server cannot run an operation. The message names the operation, its place in the graph and
            the reason.
    """
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta_graph in saved.meta_graphs:
        functions = {function.signature.name for function in meta_graph.graph_def.library.function}
        for where, operation, attributes in _operations(meta_graph.graph_def):
            if operation in _PYTHON_OPS:
                reason = "it calls Python, which the server does not have; write it with TensorFlow operations"
            elif operation not in functions and not hasattr(tf.raw_ops, operation):
                reason = "it is not one of TensorFlow's core operations, and the server has no others"
            elif _COMPILED in attributes and attributes[_COMPILED].b:
                reason = "it is compiled by XLA, which the server does not have; set jit_compile=False"
            else:
                continue
            raise FarkerasError(f"The model server cannot run {operation} ('{where}'): {reason}.")


def _operations(graph: graph_pb2.GraphDef) -> Iterator[tuple[str, str, Mapping]]:
    """Yields name, operation and attributes of every node in a graph and its functions, and of every function."""
    yield from ((node.name, node.op, node.attr) for node in graph.node)
    for function in graph.library.function:
        name = function.signature.name
        yield name, "PartitionedCall", function.attr
        yield from ((f"{name}/{node.name}", node.op, node.attr) for node in function.node_def)
