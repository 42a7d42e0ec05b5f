"""The server that the conformance suite speaks to: by default a local one, started once.

Another one, such as TF Serving itself, is tested with

    python -m tests.serving.models /absolute/folder
    tensorflow_model_server --port=8500 --rest_api_port=8501 --model_config_file=/absolute/folder/models.config
    pytest tests/serving --serving_target=host:8500 --serving_rest_target=host:8501 --serving_models=/absolute/folder

where the folder is the same for both: the suite writes new versions into it.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


@pytest.fixture(scope="session")
def demo_export(tmp_path_factory) -> Path:
    """An export of a model with masks and attributes of its own."""
    from tests.serving.demo_server import write_export

    return write_export(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def demo_url(demo_export):
    """A server with the demo page and that model."""
    from tests.serving.demo_server import serve

    server = serve(demo_export)
    yield f"http://127.0.0.1:{server.port}"
    server.stop(0)


@pytest.fixture(scope="session")
def crop(tmp_path_factory) -> Path:
    """An image of an aligned crop's size."""
    path = tmp_path_factory.mktemp("photos") / "crop.png"
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    Image.fromarray(pixels).resize((178, 218), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="session")
def astronaut() -> Image.Image:
    """A photograph with a face, 512 x 512."""
    pytest.importorskip("mediapipe")
    return Image.fromarray(pytest.importorskip("skimage.data").astronaut())


@pytest.fixture(scope="session")
def two_faces(astronaut, tmp_path_factory) -> Path:
    """A photograph with two faces, the larger one on the right."""
    face, photo = astronaut.crop((96, 0, 352, 256)), Image.new("RGB", (900, 600), "gray")
    photo.paste(face.resize((260, 260)), (40, 200))
    photo.paste(face.resize((420, 420)), (440, 100))
    path = tmp_path_factory.mktemp("photos") / "two.jpg"
    photo.save(path, quality=95)
    return path
