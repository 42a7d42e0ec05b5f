"""Functions that keep the logs of native libraries off the terminal."""

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def silence_native_logs() -> None:
    """Drops what the C++ code of TensorFlow and MediaPipe writes to stderr; Python's `sys.stderr` still works.

    Both libraries log before they read their own log settings, so this function redirects file descriptor 2 to the
    null device and `sys.stderr` to a copy of the old descriptor. This lasts until the process ends and also drops the
    message of a crash in native code, so only commands call it. With `TF_CPP_MIN_LOG_LEVEL=0` it does nothing.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    _point_stderr_at_null()
    if faulthandler.is_enabled():  # absl enables it for descriptor 2
        faulthandler.enable(file=sys.stderr)


@contextmanager
def without_native_logs() -> Iterator[None]:
    """Drops native logs inside the block only, for example during an import. Later logs, as of a crash, are shown."""
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
