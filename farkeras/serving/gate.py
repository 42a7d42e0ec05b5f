"""A limit of the requests that are answered concurrently."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from farkeras.serving.deadline import Deadline

LARGE_BYTES = 2**22
"""Larger requests are answered one at a time: each needs several times its size in memory, as JSON ten times."""


class Gate:
    """Admits few gRPC and REST requests at a time; others wait. More would gain no throughput and need memory."""

    def __init__(self, num_requests: int):
        self._free, self._large = threading.BoundedSemaphore(num_requests), threading.BoundedSemaphore(1)

    @contextmanager
    def passed(self, size: int, deadline: Deadline) -> Iterator[None]:
        """Waits to be admitted until the block ends, a request of `size` bytes.

        Raises:
            RequestError: DEADLINE_EXCEEDED.
        """
        turn = self._large if size > LARGE_BYTES else self._free
        if deadline.passed() or not turn.acquire(timeout=deadline.left()):
            raise Deadline.exceeded()
        try:
            yield
        finally:
            turn.release()
