"""A client starts quickly and without the packages that train models."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.core

HEAVY = ("tensorflow", "keras", "absl", "mediapipe", "matplotlib", "jax", "h5py", "pyarrow", "sklearn", "scipy", "onnx")
CODE = """
import sys, time
before = time.process_time()  # a busy machine takes longer, but no more processor time
import {module}
print(time.process_time() - before, *sorted(set(sys.modules) & set({heavy})))
"""


@pytest.mark.parametrize(
    ("module", "limit"),
    [
        ("farkeras", 0.1),
        ("farkeras.clients", 0.1),
        ("farkeras.clients.grpc_client", 0.5),
        ("farkeras.clients.rest_client", 0.5),
        ("farkeras.clients.litert", 0.5),
        ("farkeras.clients.openvino", 0.5),
    ],
)
def test_import(module, limit):
    code = CODE.format(module=module, heavy=HEAVY)
    command = [sys.executable, "-c", code]
    seconds, *heavy = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert not heavy
    assert float(seconds) < limit


def test_an_unknown_name():
    from farkeras import clients

    assert clients.RestClient.__name__ == "RestClient"
    with pytest.raises(AttributeError, match="Other"):
        clients.Other  # noqa: B018
