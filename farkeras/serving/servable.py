"""One version of a model, run as TF Serving runs it."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from farkeras.files import plain_path
from farkeras.serving.errors import RequestError, code_of_number, invalid

DEFAULT_SIGNATURE = "serving_default"

_Callable = tuple[Callable[..., list[np.ndarray]], list[str]]  # with the names of the inputs, in their order


class Servable:
    """A SavedModel in a Session, loaded by TensorFlow's SavedModel loader.

    TF Serving does the same in C++. `tf.saved_model.load` would hide errors, because it also runs models that fail in
    TF Serving. As in TF Serving, tensors reach the graph unchecked, and the graph itself refuses wrong shapes
    (`tf.ensure_shape`).

    Attributes:
        folder: Folder of the version.
        signatures: `SignatureDef` messages by name.
    """

    def __init__(self, folder: Path, intra_op: int = 0, inter_op: int = 0):
        """Loads a version; see `ModelSettings` for the threads. The loader's errors can be of any class."""
        self.folder = folder
        options = config_pb2.ConfigProto(
            allow_soft_placement=True,
            intra_op_parallelism_threads=intra_op,
            inter_op_parallelism_threads=inter_op,
        )
        options.gpu_options.allow_growth = True  # a training may use the same device
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=options)
        self._lock = threading.Lock()
        self._callables: dict[tuple[str, tuple[str, ...]], _Callable] = {}
        try:
            with graph.as_default(), plain_path(folder) as plain:
                loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], plain)
        except BaseException:
            self._session.close()
            raise
        self.signatures: Mapping[str, meta_graph_pb2.SignatureDef] = dict(loaded.signature_def)

    def signature(self, name: str) -> tuple[str, meta_graph_pb2.SignatureDef]:
        """Returns the name and the signature; an empty name means serving_default.

        Raises:
            RequestError: FAILED_PRECONDITION if no signature has this name.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise RequestError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        return name, self.signatures[name]

    def run(self, name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Runs a signature.

        Args:
            name: Name of an existing signature.
            inputs: Values of all its inputs by name; strings are object arrays of bytes.
            outputs: Names of existing outputs.

        Returns:
            Values of the outputs, in the order of `outputs`.

        Raises:
            RequestError: The graph fails. The code is the graph's, such as INVALID_ARGUMENT for a wrong type or shape.
        """
        call, order = self._callable(name, tuple(outputs))
        try:
            return call(*(inputs[input_name] for input_name in order))
        except tf.errors.OpError as error:
            message = error.message.split("\n\t [[")[0]  # without the list of nodes
            raise RequestError(code_of_number(error.error_code), message) from None

    def close(self) -> None:
        """Frees the model; do not call `run` afterwards."""
        self._callables.clear()
        self._session.close()

    def _callable(self, name: str, outputs: tuple[str, ...]) -> _Callable:
        with self._lock:
            if (name, outputs) not in self._callables:
                signature = self.signatures[name]
                order = sorted(signature.inputs)
                options = config_pb2.CallableOptions(
                    feed=[signature.inputs[input_name].name for input_name in order],
                    fetch=[signature.outputs[output].name for output in outputs],
                )
                # Session.run checks inputs in Python, and would refuse some that TF Serving passes to the graph.
                self._callables[name, outputs] = self._session._make_callable_from_options(options), order
            return self._callables[name, outputs]


def checked_outputs(
    signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str]
) -> list[str]:
    """Checks the names of inputs and outputs, as TF Serving does before it runs the graph.

    Returns:
        Names of the outputs to fetch, sorted: those of the filter, or all if the filter is empty.

    Raises:
        RequestError: INVALID_ARGUMENT for an unknown, missing or repeated name.
    """

    def named(names: Iterable[str]) -> str:
        return "{" + ",".join(sorted(names)) + "}"

    extra, missing = inputs.keys() - signature.inputs.keys(), signature.inputs.keys() - inputs.keys()
    if extra or missing:
        raise invalid(
            f"Inputs do not match the signature: expected {named(signature.inputs)}, received {named(inputs)}. "
            f"Sent extra: {named(extra)}. Missing but required: {named(missing)}."
        )
    for position, output in enumerate(output_filter):
        if output not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {output} Outputs expected to be in the set "
                f"{named(signature.outputs)}."
            )
        if output in output_filter[:position]:
            raise invalid(f"duplicate output tensor alias: {output}")
    return sorted(output_filter or signature.outputs)
