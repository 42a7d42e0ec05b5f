"""`python -m farkeras.serve_data` as a user runs it."""

import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from farkeras.data.augmentation import Augmentation
from farkeras.data.pipeline import training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.sources.opening import open_source


@pytest.fixture
def port():
    """A port that is free, as is the next one."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("", 0))
        number = first.getsockname()[1]
        second.bind(("", number + 1))
    return number


def serve(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "farkeras.serve_data", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, of which the tests may be one, ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_serves_until_ctrl_c(faces_dir, port):
    process = serve("--host=localhost", f"--port={port}")
    try:
        address = f"grpc://localhost:{port}"
        assert process.stdout.readline() == f"Serving: train with --data_service={address}\n"
        examples = open_source("celeba", str(faces_dir)).split("train")
        shown = [
            list(
                training_dataset(
                    examples, Preprocessing((16, 12)), Augmentation(), 8, 0, 0, 40, servers=servers
                ).as_numpy_iterator()
            )
            for servers in ((), (address,))
        ]
        assert len(shown[0]) == 5
        for here, served in zip(*shown, strict=True):
            np.testing.assert_array_equal(here["image"], served["image"])
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        _, errors = process.communicate()
    assert errors == "stopped\n"


def test_wrong_command():
    process = serve("surplus")
    output, errors = process.communicate()
    message = "error: Unexpected argument 'surplus'. Give settings as --name=value.\n"
    assert (process.returncode, output, errors) == (1, "", message)
