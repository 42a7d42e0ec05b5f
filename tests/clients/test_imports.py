"""A client starts quickly and without the packages that train models."""

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "absl", "mediapipe", "matplotlib", "jax", "h5py")
CODE = """
import sys, time
before = time.process_time()  # a busy machine takes longer, but no more processor time
import {module}
print(time.process_time() - before, *sorted(set(sys.modules) & set({heavy})))
"""


@pytest.mark.parametrize("module", ["grpc_client", "rest_client"])
def test_import(module):
    code = CODE.format(module=f"farkeras.clients.{module}", heavy=HEAVY)
    command = [sys.executable, "-c", code]
    seconds, *heavy = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert not heavy
    assert float(seconds) < 0.5


def test_an_unknown_name():
    from farkeras import clients

    assert clients.RestClient.__name__ == "RestClient"
    with pytest.raises(AttributeError, match="'Other'"):
        clients.Other  # noqa: B018
