"""`python -m farkeras.serve` in another process."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_SERVING = re.compile(r"^Serving: gRPC at (\S+), REST at http://(\S+)$", re.MULTILINE)


class LocalServer(NamedTuple):
    """A server that answers.

    Attributes:
        process: Process of the server.
        address: host:port of gRPC.
        rest_address: host:port of REST.
        output: The file that it prints to.
    """

    process: subprocess.Popen
    address: str
    rest_address: str
    output: Path


@contextmanager
def local_server(*flags: str, port: int = 0, rest_port: int = 0, seconds: float = 120.0) -> Iterator[LocalServer]:
    """A local server from the moment it answers to the end of the block.

    Args:
        *flags: Flags of the command, such as "--model_dir=...".
        port: Port of gRPC; 0 for a free one.
        rest_port: Port of REST; 0 for a free one.
        seconds: Time within which the server must answer.

    Raises:
        RuntimeError: The server ended, or does not answer in time; the message holds its output.
    """
    command = [sys.executable, "-m", "farkeras.serve", f"--port={port}", f"--rest_api_port={rest_port}"]
    command += ["--file_system_poll_wait_seconds=0.1", *flags]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output.txt"
        with output.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            end = time.monotonic() + seconds
            while not (match := _SERVING.search(output.read_text())):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"The server does not answer: {output.read_text()}")
                time.sleep(0.02)
            yield LocalServer(process, match[1], match[2], output)
        finally:
            process.kill()
            process.wait()
