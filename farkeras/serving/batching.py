"""Merges concurrent requests into one run of the model, as TF Serving does with `--enable_batching`."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from grpc import StatusCode

from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError, invalid

Run = Callable[[str, Mapping[str, np.ndarray], Sequence[str]], list[np.ndarray]]
"""Type of `Servable.run`."""


class BatchSettings(NamedTuple):
    """Fields and defaults of TF Serving's `BatchingParameters`.

    Attributes:
        max_batch_size: Largest number of rows in a merged batch.
        batch_timeout_micros: Microseconds for which a batch waits to become full.
        max_enqueued_batches: Number of batches that may wait in one queue; a request beyond them is UNAVAILABLE.
        num_batch_threads: Number of batches that run concurrently.
        allowed_batch_sizes: Ascending sizes that end with `max_batch_size`; a batch is padded to the next size. Empty
            allows any size.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()


_Key = tuple[str, tuple[str, ...], tuple[tuple[str, str, tuple[int, ...]], ...]]  # signature, outputs, inputs


class _Task(NamedTuple):
    inputs: Mapping[str, np.ndarray]
    size: int
    deadline: Deadline
    done: Future[list[np.ndarray]]


@dataclass
class _Batch:
    name: str
    outputs: tuple[str, ...]
    opened: float = field(default_factory=time.monotonic)
    tasks: list[_Task] = field(default_factory=list)
    size: int = 0


class Batcher:
    """Queues of one model version, and the threads that run their batches.

    Requests are merged if they have the same signature and outputs, and inputs of the same types and shapes except for
    the first dimension.
    """

    def __init__(self, run: Run, settings: BatchSettings, observe_size: Callable[[int], None] = lambda size: None):
        """Starts the threads; `observe_size` is called with the number of rows of each batch that runs."""
        self._run, self._settings, self._observe_size = run, settings, observe_size
        self._changed, self._closed = threading.Condition(), False
        self._queues: dict[_Key, deque[_Batch]] = {}
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(settings.num_batch_threads)]
        for thread in self._threads:
            thread.start()

    def run(
        self, name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str], deadline: Deadline
    ) -> list[np.ndarray]:
        """Runs a request as part of a batch; see `Servable.run` for the arguments and the result.

        Raises:
            RequestError: INVALID_ARGUMENT if the inputs have no common first dimension or too many rows; UNAVAILABLE if
                the queue is full; DEADLINE_EXCEEDED after `deadline`; any error of the batch.
        """
        task = _Task(inputs, self._rows(inputs), deadline, Future())
        shapes = tuple((key, array.dtype.str, array.shape[1:]) for key, array in sorted(inputs.items()))
        self._enqueue((name, tuple(outputs), shapes), task)
        try:
            return task.done.result(deadline.left())
        except TimeoutError:
            task.done.cancel()
            raise Deadline.exceeded() from None

    def close(self) -> None:
        """Runs the waiting batches, then ends the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _rows(self, inputs: Mapping[str, np.ndarray]) -> int:
        sizes = {array.shape[:1] for array in inputs.values()}
        if len(sizes) != 1 or () in sizes:
            raise invalid("Batching requires inputs with a common first dimension.")
        ((size,),) = sizes
        if size > self._settings.max_batch_size:
            raise invalid(f"Task size {size} is larger than maximum input batch size {self._settings.max_batch_size}")
        return size

    def _enqueue(self, key: _Key, task: _Task) -> None:
        with self._changed:
            queue = self._queues.setdefault(key, deque())
            if not queue or queue[-1].size + task.size > self._settings.max_batch_size:
                if len(queue) >= self._settings.max_enqueued_batches:
                    raise RequestError(StatusCode.UNAVAILABLE, "The batch scheduling queue is full")
                queue.append(_Batch(*key[:2]))
            queue[-1].tasks.append(task)
            queue[-1].size += task.size
            self._changed.notify()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            tasks = []
            for task in batch.tasks:
                if not task.done.set_running_or_notify_cancel():
                    continue
                if task.deadline.passed():
                    task.done.set_exception(Deadline.exceeded())
                else:
                    tasks.append(task)
            if tasks:
                self._process(batch, tasks)

    def _next(self) -> _Batch | None:
        """Waits for the oldest batch that is full or has waited long enough, and returns it; None after `close`."""
        with self._changed:
            while True:
                due_in = None
                for key, queue in sorted(self._queues.items(), key=lambda item: item[1][0].opened):
                    left = queue[0].opened + self._settings.batch_timeout_micros / 1e6 - time.monotonic()
                    full = len(queue) > 1 or queue[0].size >= self._settings.max_batch_size
                    if full or left <= 0 or self._closed:
                        batch = queue.popleft()
                        if not queue:
                            del self._queues[key]
                        return batch
                    due_in = left if due_in is None else min(due_in, left)
                if self._closed:
                    return None
                self._changed.wait(due_in)

    def _process(self, batch: _Batch, tasks: list[_Task]) -> None:
        try:
            size = sum(task.size for task in tasks)
            padded = next((s for s in self._settings.allowed_batch_sizes if s >= size), size)
            self._observe_size(padded)
            inputs = {name: _merged([task.inputs[name] for task in tasks], padded - size) for name in tasks[0].inputs}
            values = self._run(batch.name, inputs, batch.outputs)
            for output, value in zip(batch.outputs, values, strict=True):
                if value.shape[:1] != (padded,):
                    raise RequestError(
                        StatusCode.FAILED_PRECONDITION,
                        f"Batched output {output} has shape {list(value.shape)}; expected {padded} rows.",
                    )
        except BaseException as error:
            for task in tasks:
                task.done.set_exception(error)
            return
        start = 0
        for task in tasks:
            task.done.set_result([value[start : start + task.size] for value in values])
            start += task.size


def _merged(arrays: list[np.ndarray], padding: int) -> np.ndarray:
    """Joins the rows of all arrays and `padding` copies of the first row, which is known to be valid."""
    if padding:
        first = next(array for array in arrays if len(array))
        arrays = [*arrays, np.repeat(first[:1], padding, axis=0)]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
