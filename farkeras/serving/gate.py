"""Limit of the requests that are answered concurrently."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from farkeras.serving.deadline import Deadline

LARGE_BYTES = 2**22
"""Requests above this size are answered one at a time: each needs several times its size in memory, JSON ten times."""


class Gate:
    """Admits `num_requests` gRPC and REST requests and one large request at a time; others wait.

    Admitting more would need more memory without raising throughput.
    """

    def __init__(self, num_requests: int):
        self._free, self._large = threading.BoundedSemaphore(num_requests), threading.BoundedSemaphore(1)

    @contextmanager
    def passed(self, size: int, deadline: Deadline) -> Iterator[None]:
        """Waits until a request of `size` bytes is admitted; it counts as admitted until the block ends.

        Raises:
            RequestError: DEADLINE_EXCEEDED if `deadline` passes first.
        """
        turn = self._large if size > LARGE_BYTES else self._free
        if deadline.passed() or not turn.acquire(timeout=deadline.left()):
            raise Deadline.exceeded()
        try:
            yield
        finally:
            turn.release()
