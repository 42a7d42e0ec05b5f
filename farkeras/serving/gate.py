"""How many requests are worked on at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from farkeras.serving.deadline import Deadline

LARGE_BYTES = 2**22
"""Requests above this size are worked on one at a time: each takes its size several times, as JSON ten times."""


class Gate:
    """Lets few requests in at a time, whichever way they came; others wait. More gain nothing and need memory."""

    def __init__(self, num_requests: int):
        self._free, self._large = threading.BoundedSemaphore(num_requests), threading.BoundedSemaphore(1)

    @contextmanager
    def passed(self, size: int, deadline: Deadline) -> Iterator[None]:
        """Waits to be let in, and is in until the block ends.

        Args:
            size: Bytes of the request.
            deadline: Of the request.

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
