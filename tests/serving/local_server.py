"""`python -m farkeras.serve` in its own process."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_SERVING = re.compile(r"Serving: gRPC at (\S+), REST at http://(\S+)\n")


class LocalServer(NamedTuple):
    """A server that answers."""

    process: subprocess.Popen
    address: str
    rest_address: str
    started: str
    """What it had printed by then."""


def start_process(*flags: str, port: int = 0, rest_port: int = 0) -> subprocess.Popen:
    command = [sys.executable, "-m", "farkeras.serve", f"--port={port}", f"--rest_api_port={rest_port}"]
    command += ["--file_system_poll_wait_seconds=0.1", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@contextmanager
def local_server(*flags: str, **ports: int) -> Iterator[LocalServer]:
    """A server from the moment it answers to the end of the block."""
    process, printed = start_process(*flags, **ports), ""
    try:
        for line in process.stdout:
            printed += line
            if match := _SERVING.fullmatch(line):
                yield LocalServer(process, match[1], match[2], printed)
                return
        raise AssertionError(f"the server ended: {printed}")
    finally:
        process.kill()
        process.communicate()
