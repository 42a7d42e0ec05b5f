"""Keeps the screen of a command to what the command says."""

import faulthandler
import os
import sys


def silence_native_logs() -> None:
    """Drops what TensorFlow's and MediaPipe's C++ code writes to stderr; Python's stderr remains.

    Parts of both log before any setting of theirs is read, so the process's file descriptor 2 goes
    to the null device and `sys.stderr` to a copy of the old one. For entry points only: it holds to
    the end of the process. Does nothing where the user asks for logs with `TF_CPP_MIN_LOG_LEVEL=0`.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    if faulthandler.is_enabled():  # absl's, which would write to descriptor 2
        faulthandler.enable(file=sys.stderr)
