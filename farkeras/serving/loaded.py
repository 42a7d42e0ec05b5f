"""A version that answers requests: the SavedModel, how its runs are scheduled, and who uses it."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from farkeras.clients.protos.serving_pb2 import PredictRequest
from farkeras.clients.tensors import to_array
from farkeras.serving.batching import Batcher, BatchSettings
from farkeras.serving.deadline import Deadline
from farkeras.serving.metrics import Metrics
from farkeras.serving.servable import Servable, checked_outputs
from farkeras.serving.warmup import replay_warmup


class Settings(NamedTuple):
    """How models run.

    Attributes:
        batching: None: each request runs by itself.
        max_runs: Requests that run at a time without batching, others wait: more gain nothing and need memory.
    """

    batching: BatchSettings | None = None
    max_runs: int = 2 * (os.cpu_count() or 1)


class LoadedVersion:
    """One version, warmed up and ready.

    Attributes:
        number: The version.
        folder: Where it lies.
        users: Who must have been answered before `close`.
    """

    def __init__(self, name: str, number: int, folder: Path, settings: Settings, metrics: Metrics):
        """Loads; raises what TensorFlow and the warm-up raise, of many classes."""
        self.number, self.folder, self.users = number, folder, Users()
        self._servable = Servable(folder)
        self.signatures, self.signature = self._servable.signatures, self._servable.signature
        if settings.batching is None:
            self._runner = _OneByOne(self._servable.run, settings.max_runs)
        else:
            self._runner = Batcher(self._servable.run, settings.batching, lambda rows: metrics.batch(name, rows))
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
            deadline: Of the request.

        Returns:
            Outputs by name.

        Raises:
            RequestError: Whatever is wrong.
        """
        name, signature = self.signature(signature_name)
        outputs = checked_outputs(signature, inputs, output_filter)
        values = self._runner.run(name, inputs, outputs, deadline)
        if deadline.passed():
            raise Deadline.exceeded()
        return dict(zip(outputs, values, strict=True))

    def close(self) -> None:
        """Frees the model."""
        self._runner.close()
        self._servable.close()

    def _warm_up(self, request: PredictRequest) -> None:
        inputs = {name: to_array(tensor) for name, tensor in request.inputs.items()}
        self.predict(request.model_spec.signature_name, inputs, request.output_filter, Deadline())


class Users:
    """Counts those who use a thing, and calls back when it is retired and the last one has left."""

    def __init__(self):
        self._lock, self._count, self._end = threading.Lock(), 0, None

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
        """Calls `end` once nobody is left, at once if so. Nobody may enter any more."""
        with self._lock:
            self._end, none_left = end, self._count == 0
        if none_left:
            end()


class _OneByOne:
    """Runs each request by itself, some at a time."""

    def __init__(self, run, max_runs: int):
        self._run, self._free = run, threading.BoundedSemaphore(max_runs)

    def run(self, name, inputs, outputs, deadline):
        if not self._free.acquire(timeout=deadline.left()):
            raise Deadline.exceeded()
        try:
            return self._run(name, inputs, outputs)
        finally:
            self._free.release()

    def close(self) -> None:
        """Nothing of its own to end."""
