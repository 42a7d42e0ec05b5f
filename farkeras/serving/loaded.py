"""A version that answers requests: the SavedModel, the schedule of its runs, and its users."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from farkeras.serving.batching import Batcher, BatchSettings
from farkeras.serving.deadline import Deadline
from farkeras.serving.metrics import Metrics
from farkeras.serving.servable import AUTOMATIC, Parallelism, Servable, checked_outputs
from farkeras.serving.warmup import replay_warmup
from farkeras.wire.protos.serving_pb2 import PredictRequest
from farkeras.wire.tensors import to_array


class ModelSettings(NamedTuple):
    """How models run.

    Attributes:
        batching: How requests are merged; None runs each request by itself.
        parallelism: Threads of the models' Sessions.
    """

    batching: BatchSettings | None = None
    parallelism: Parallelism = AUTOMATIC


class LoadedVersion:
    """One version, warmed up and ready.

    Attributes:
        number: The version.
        folder: Its folder.
        users: Requests that must be answered before `close`.
    """

    def __init__(self, name: str, number: int, folder: Path, settings: ModelSettings, metrics: Metrics):
        """Loads the version; raises the errors of TensorFlow and of the warm-up, of many classes."""
        self.number, self.folder, self.users = number, folder, Users()
        self._servable = Servable(folder, settings.parallelism)
        self.signatures, self.signature = self._servable.signatures, self._servable.signature
        run, batching = self._servable.run, settings.batching
        self._batcher = None if batching is None else Batcher(run, batching, lambda rows: metrics.batch(name, rows))
        try:
            replay_warmup(folder, self._warm_up)
        except BaseException:
            self.close()
            raise

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str], deadline: Deadline
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature_name: "" for serving_default.
            inputs: Its inputs by name; strings are object arrays of bytes.
            output_filter: The outputs wanted; none for all.
            deadline: Deadline of the request.

        Returns:
            Outputs by name.

        Raises:
            RequestError: Any error of the request.
        """
        name, signature = self.signature(signature_name)
        outputs = checked_outputs(signature, inputs, output_filter)
        if self._batcher is None:
            values = self._servable.run(name, inputs, outputs)
        else:
            values = self._batcher.run(name, inputs, outputs, deadline)
        if deadline.passed():
            raise Deadline.exceeded()
        return dict(zip(outputs, values, strict=True))

    def close(self) -> None:
        """Frees the model."""
        if self._batcher is not None:
            self._batcher.close()
        self._servable.close()

    def _warm_up(self, request: PredictRequest) -> None:
        inputs = {name: to_array(tensor) for name, tensor in request.inputs.items()}
        self.predict(request.model_spec.signature_name, inputs, request.output_filter, Deadline())


class Users:
    """Counts the users of an object, and calls back when it is retired and the last user has left."""

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0
        self._end: Callable[[], None] | None = None

    def enter(self) -> None:
        with self._lock:
            self._count += 1

    def leave(self) -> None:
        with self._lock:
            self._count -= 1
            end = self._end if self._count == 0 else None
        if end is not None:
            end()

    def when_none(self, end: Callable[[], None]) -> None:
        """Calls `end` when no user is left, which may be at once. Nobody may enter any more."""
        with self._lock:
            self._end, none_left = end, self._count == 0
        if none_left:
            end()
