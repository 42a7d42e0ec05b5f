"""`python -m farkeras.serve` as a separate process."""

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
    """A running server.

    Attributes:
        process: The process of the server.
        address: `host:port` of gRPC.
        rest_address: `host:port` of REST.
        output: The file with the server's output.
    """

    process: subprocess.Popen
    address: str
    rest_address: str
    output: Path


@contextmanager
def local_server(*flags: str, port: int = 0, rest_port: int = 0, seconds: float = 120.0) -> Iterator[LocalServer]:
    """Runs a local server until the end of the block, which starts when the server is ready.

    Args:
        *flags: Flags of the command, such as `"--model_dir=..."`.
        port: gRPC port; 0 means a free port.
        rest_port: REST port; 0 means a free port.
        seconds: Time limit for the start of the server, in seconds.

    Yields:
        A `LocalServer`.

    Raises:
        RuntimeError: The server ended or is not ready in time. The message contains its output.
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
                    raise RuntimeError(f"The server is not ready. Its output: {output.read_text()}")
                time.sleep(0.02)
            yield LocalServer(process, match[1], match[2], output)
        finally:
            process.kill()
            process.wait()
