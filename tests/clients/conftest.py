"""Every client against a server without a model, and a model for the runners of exported files."""

import asyncio
import inspect
import json

import pytest

from farkeras import clients
from tests.clients.fake_server import NAMES, FakeModel, serve


@pytest.fixture
def model():
    return FakeModel()


@pytest.fixture(scope="session")
def metadata(tmp_path_factory):
    """A `farkeras.json` with the names of the model."""
    path = tmp_path_factory.mktemp("export") / "farkeras.json"
    path.write_text(json.dumps(NAMES))
    return path


@pytest.fixture(scope="session")
def workdir(tmp_path_factory):
    """A small FAR-AMTN with random weights, for the runners of exported files."""
    import keras

    from farkeras.attributes import Grouping
    from farkeras.data.preprocessing import Preprocessing
    from farkeras.models import FARAMTN
    from farkeras.models.model_file import ModelMetadata, save_model

    folder = tmp_path_factory.mktemp("run")
    grouping = Grouping({"Eyes": ("Eyeglasses",), "Mouth": ("Smiling",)}, ("Smiling", "Eyeglasses"))
    keras.utils.set_random_seed(0)
    model = FARAMTN(grouping, "ResNetTiny", (64, 48), backbone_alpha=0.25)
    save_model(model, ModelMetadata(grouping, Preprocessing((64, 48))), folder / "model.keras")
    return folder


@pytest.fixture(params=["GrpcClient", "AsyncGrpcClient", "RestClient", "AsyncRestClient"])
def client_class(request):
    return getattr(clients, request.param)


@pytest.fixture
def interface(client_class):
    """What the client speaks: "grpc" or "rest"."""
    return "grpc" if "Grpc" in client_class.__name__ else "rest"


@pytest.fixture
def address(interface, model):
    with serve(interface, model) as address:
        yield address


@pytest.fixture
def ask(client_class, metadata):
    """`ask(address, "recognize", photos, timeout=2)`: the answer, waited for or awaited."""

    def call(address, method, *arguments, metadata=metadata, **settings):
        async def awaited():
            async with client_class(address, metadata, **settings) as client:
                return await getattr(client, method)(*arguments)

        if inspect.iscoroutinefunction(client_class.recognize):
            return asyncio.run(awaited())
        with client_class(address, metadata, **settings) as client:
            return getattr(client, method)(*arguments)

    return call
