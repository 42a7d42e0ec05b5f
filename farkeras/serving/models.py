"""The models of a server, and the thread that looks for their new versions."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

from grpc import StatusCode

from farkeras.errors import FarkerasError
from farkeras.serving.errors import RequestError, invalid
from farkeras.serving.loaded import LoadedVersion, ModelSettings
from farkeras.serving.metrics import Metrics
from farkeras.serving.model import Model
from farkeras.wire.protos.config_pb2 import ModelConfig
from farkeras.wire.protos.serving_pb2 import ModelSpec


class Models:
    """All models of a server. A thread follows their folders until the process ends."""

    def __init__(self, configs: Sequence[ModelConfig], settings: ModelSettings, metrics: Metrics, poll_seconds: float):
        """Loads models with unique names, then looks for new versions every `poll_seconds`.

        Raises:
            FarkerasError: A model has no version that can be served, or a label names a version that is not served.
        """
        self._models = {config.name: Model(config, settings, metrics) for config in configs}
        for config in configs:
            self._models[config.name].refresh()
            _require_served(self._models[config.name], config)
        threading.Thread(target=self._poll, args=(poll_seconds,), daemon=True).start()

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def model(self, name: str) -> Model:
        """Returns a model by name.

        Raises:
            RequestError: INVALID_ARGUMENT for an empty name, NOT_FOUND for an unknown name.
        """
        if not name:
            raise invalid("ModelSpec has no name specified.")
        if name not in self._models:
            raise RequestError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
        return self._models[name]

    def use(self, spec: ModelSpec) -> AbstractContextManager[LoadedVersion]:
        """Calls `Model.use` of the model that the request names; raises the errors of both `model` and `Model.use`."""
        return self.model(spec.name).use(spec)

    def label(self, name: str) -> str:
        """Returns the name that metrics use; "" for a model that is not served."""
        return name if name in self._models else ""

    def _poll(self, seconds: float) -> None:
        while True:
            time.sleep(seconds)
            for model in self:
                try:
                    model.refresh()
                except Exception:  # of any class, because other models and later versions must still load
                    logging.getLogger(__name__).exception("Failed to look for new versions of %s", model.name)


def _require_served(model: Model, config: ModelConfig) -> None:
    available = model.available()
    if not available:
        errors = [f"version {number}: {error}" for number, (_, error) in model.statuses().items() if error]
        reason = "; ".join(errors) or "the folder holds no version that the model_version_policy asks for"
        raise FarkerasError(f"Cannot serve '{config.name}' from {config.base_path}: {reason}.")
    for label, number in sorted(config.version_labels.items()):
        if number not in available:
            raise FarkerasError(
                f"Label '{label}' of model '{config.name}' names version {number}, which is not served. "
                f"Expected one of the versions {', '.join(map(str, available))}."
            )
