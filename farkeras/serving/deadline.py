"""The time by which a request must be answered."""

import time
from threading import TIMEOUT_MAX
from typing import NamedTuple

from grpc import StatusCode

from farkeras.serving.errors import RequestError


class Deadline(NamedTuple):
    """Moment on the monotonic clock; None means no limit."""

    moment: float | None = None

    @classmethod
    def after(cls, seconds: float | None) -> "Deadline":
        """Returns the deadline in `seconds` from now; None means no limit.

        For a client that sets no limit, gRPC reports 292 billion years, which also become no limit.
        """
        return cls(None if seconds is None or seconds > TIMEOUT_MAX else time.monotonic() + seconds)

    def left(self) -> float | None:
        """Returns the seconds left, at least 0; None without a limit."""
        return None if self.moment is None else max(0.0, self.moment - time.monotonic())

    def passed(self) -> bool:
        return self.moment is not None and time.monotonic() >= self.moment

    @staticmethod
    def exceeded() -> RequestError:
        return RequestError(StatusCode.DEADLINE_EXCEEDED, "The request's deadline passed before the model answered")
