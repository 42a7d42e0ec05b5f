"""C++ logs vanish, Python's stderr stays: in a process of its own, since it holds to its end."""

import os
import subprocess
import sys

SCRIPT = """
import os, sys
from farkeras.native_logs import silence_native_logs
silence_native_logs()
os.write(2, b"native noise")
print("python error", file=sys.stderr)
"""


def stderr(**environment):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stderr


def test_only_the_noise_is_dropped():
    assert stderr(TF_CPP_MIN_LOG_LEVEL="2") == "python error\n"


def test_logs_on_request():
    assert stderr(TF_CPP_MIN_LOG_LEVEL="0") == "native noisepython error\n"
