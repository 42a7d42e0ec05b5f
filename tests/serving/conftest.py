"""The server that the conformance suite speaks to: by default a local one, started once.

Another one, such as TF Serving itself, is tested with

    python -m tests.serving.models /absolute/folder
    tensorflow_model_server --port=8500 --rest_api_port=8501 --model_config_file=/absolute/folder/models.config
    pytest tests/serving --serving_target=host:8500 --serving_rest_target=host:8501 --serving_models=/absolute/folder

where the folder is the same for both: the suite writes new versions into it.
"""

import sys
from pathlib import Path

import pytest

from farkeras.testing.server import local_server
from tests.serving.target import Target

sys.path.append(str(Path(__file__).parents[2] / "serving"))  # for `loadtest`, as the scripts there find it


@pytest.fixture(scope="session")
def models(tmp_path_factory, pytestconfig) -> Path:
    """The folder with the models of the suite."""
    from tests.serving.models import write_models

    if folder := pytestconfig.getoption("serving_models"):
        return Path(folder)
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(scope="session")
def serving_target(models, pytestconfig):
    """A server with these models."""
    address, rest_address = (pytestconfig.getoption(f"serving_{name}") for name in ("target", "rest_target"))
    if address or rest_address:
        yield Target(address, rest_address, models)
        return
    with local_server(f"--model_config_file={models / 'models.config'}") as server:
        yield Target(server.address, server.rest_address, models)
