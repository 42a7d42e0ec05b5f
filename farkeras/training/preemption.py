"""Requests to stop a run before its end, such as the SIGTERM of a scheduler."""

from collections.abc import Callable

import tensorflow as tf

from farkeras.errors import Stopped


class StopRequest:
    """A request to stop a run, which any thread may make at any time.

    The run takes its current training step to the end, saves a checkpoint and raises `farkeras.errors.Stopped`. The
    same call continues it. A validation is broken off, and the continued run repeats it first.

    Attributes:
        reason: The reason of the request, such as "SIGTERM"; "" as long as there is none.
        exit_code: The exit code for the reason.
        heeded: Whether a run is in its training, so that it acts on a request.
    """

    def __init__(self) -> None:
        self.reason, self.exit_code, self.heeded = "", 1, False
        self._flag: tf.Variable | None = None

    def __call__(self, reason: str, exit_code: int = 1) -> None:
        """Makes the request; only the first one counts."""
        if not self.reason:
            self.exit_code, self.reason = exit_code, reason
        if self._flag is not None:
            with tf.init_scope():
                self._flag.assign(True)

    def flag(self) -> tf.Variable:
        """Returns a bool variable that becomes True with the request, for the compiled loop."""
        if self._flag is None:  # not earlier, because the first variable starts TensorFlow
            with tf.device("CPU"):
                self._flag = tf.Variable(False, trainable=False)
        if self.reason:
            self._flag.assign(True)
        return self._flag

    def stopped(self, step: int, total_steps: int) -> Stopped:
        """Returns the exception for a run that is stopped after `step` with a checkpoint."""
        state = f"its checkpoint of step {step:,} of {total_steps:,}" if step else "its start"
        return Stopped(
            f"The run was stopped ({self.reason}). The same command continues it from {state}.", self.exit_code
        )

    def breaking_off(self, function: Callable) -> Callable:
        """Returns a function that raises `BrokenOff` instead of calling `function` once there is a request."""

        def checked(*arguments: object) -> object:
            if self.reason:
                raise BrokenOff
            return function(*arguments)

        return checked


class BrokenOff(Exception):
    """A validation was broken off by a request to stop."""
