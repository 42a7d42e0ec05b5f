"""Keeps the screen of a command to what the command says."""

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def silence_native_logs() -> None:
    """Drops what TensorFlow's and MediaPipe's C++ code writes to stderr; Python's stderr remains.

    Parts of both log before any setting of theirs is read, so the process's file descriptor 2 goes to the null device
    and `sys.stderr` to a copy of the old one. For entry points only: it holds to the end of the process, a crash inside
    native code included. Does nothing where the user asks for logs with `TF_CPP_MIN_LOG_LEVEL=0`.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    _point_stderr_at_null()
    if faulthandler.is_enabled():  # absl's, which would write to descriptor 2
        faulthandler.enable(file=sys.stderr)


@contextmanager
def without_native_logs() -> Iterator[None]:
    """Drops native logs while a library is imported or started; later ones, such as a crash's last words, are shown."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    sys.stderr.flush()
    before = os.dup(2)
    _point_stderr_at_null()
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _point_stderr_at_null() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
