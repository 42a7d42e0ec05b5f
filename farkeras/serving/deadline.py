"""The time that a request may still take."""

import time
from threading import TIMEOUT_MAX
from typing import NamedTuple

from grpc import StatusCode

from farkeras.serving.errors import RequestError


class Deadline(NamedTuple):
    """A moment on the monotonic clock; None for no limit."""

    moment: float | None = None

    @classmethod
    def after(cls, seconds: float | None) -> "Deadline":
        """So many seconds from now. Without a limit of the client gRPC gives 292 billion years, which become None."""
        return cls(None if seconds is None or seconds > TIMEOUT_MAX else time.monotonic() + seconds)

    def left(self) -> float | None:
        """Seconds left, at least 0; None where there is no limit."""
        return None if self.moment is None else max(0.0, self.moment - time.monotonic())

    def passed(self) -> bool:
        return self.moment is not None and time.monotonic() >= self.moment

    @staticmethod
    def exceeded() -> RequestError:
        return RequestError(StatusCode.DEADLINE_EXCEEDED, "The request's deadline passed before the model had run")
