"""Versions that come, go and fail, of a model whose loading costs nothing."""

import pytest

from farkeras.serving import model as model_module
from farkeras.serving.errors import RequestError
from farkeras.serving.loaded import ModelSettings
from farkeras.serving.metrics import Metrics
from farkeras.serving.model import MAX_LOAD_RETRIES, SECONDS_BETWEEN_RETRIES, Model
from farkeras.wire.protos.config_pb2 import ModelConfig
from farkeras.wire.protos.serving_pb2 import ModelSpec, ModelVersionStatus


class Loads:
    """Stands for `LoadedVersion`: notes what is loaded and closed; fails for the numbers in `bad`."""

    def __init__(self):
        self.events, self.bad = [], set()

    def __call__(self, name, number, folder, settings, metrics):
        self.events.append(("load", number))
        if number in self.bad:
            raise OSError("half a model")
        return Version(number, self.events)


class Version:
    def __init__(self, number, events):
        self.number, self._events = number, events

    def close(self):
        self._events.append(("close", self.number))


@pytest.fixture
def loads(monkeypatch):
    loads = Loads()
    monkeypatch.setattr(model_module, "LoadedVersion", loads)
    return loads


@pytest.fixture
def model(tmp_path, loads):
    return Model(ModelConfig(name="faces", base_path=str(tmp_path)), ModelSettings(), Metrics())


def publish(model, *numbers):
    for number in numbers:
        (model.base_path / str(number)).mkdir()


def states(model):
    return {number: ModelVersionStatus.State.Name(state) for number, (state, _) in model.statuses().items()}


def test_the_new_version_is_loaded_before_the_old_one_is_dropped(model, loads):
    publish(model, 1)
    model.refresh()
    publish(model, 2)
    model.refresh()
    model.refresh()
    assert loads.events == [("load", 1), ("load", 2), ("close", 1)]
    assert states(model) == {2: "AVAILABLE", 1: "END"}


def test_a_version_in_use_is_dropped_later(model, loads):
    publish(model, 1)
    model.refresh()
    with model.use(ModelSpec()) as version:
        publish(model, 2)
        model.refresh()
        assert version.number == 1
        assert states(model) == {2: "AVAILABLE", 1: "UNLOADING"}
        with model.use(ModelSpec()) as newer:
            assert newer.number == 2
    assert loads.events[-1] == ("close", 1)
    assert states(model) == {2: "AVAILABLE", 1: "END"}


def test_a_version_that_does_not_load_is_tried_again(model, loads, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(model_module.time, "monotonic", lambda: now[0])
    publish(model, 1)
    model.refresh()
    loads.bad.add(2)
    publish(model, 2)
    for _ in range(20):
        model.refresh()
        model.refresh()  # too early for another try
        now[0] += SECONDS_BETWEEN_RETRIES
    assert loads.events == [("load", 1)] + [("load", 2)] * (1 + MAX_LOAD_RETRIES)
    assert model.statuses()[2] == (ModelVersionStatus.END, "OSError: half a model")
    assert model.available() == [1]


def test_a_failed_version_that_is_replaced(model, loads):
    loads.bad.add(1)
    publish(model, 1)
    model.refresh()
    (model.base_path / "1").rmdir()
    model.refresh()
    assert model.statuses() == {}
    loads.bad.clear()
    publish(model, 1)
    model.refresh()
    assert states(model) == {1: "AVAILABLE"}


def test_a_folder_that_is_emptied(model, loads):
    publish(model, 1)
    model.refresh()
    (model.base_path / "1").rmdir()
    model.refresh()
    assert states(model) == {1: "END"}
    with pytest.raises(RequestError, match="any version"), model.use(ModelSpec()):
        pass
