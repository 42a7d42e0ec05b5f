"""A served model, which loads and unloads versions according to its folder and its policy."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from grpc import StatusCode

from farkeras.serving.configuration import versions_on_disk, wanted_versions
from farkeras.serving.errors import RequestError, invalid
from farkeras.serving.loaded import LoadedVersion, ModelSettings
from farkeras.serving.metrics import Metrics
from farkeras.wire.protos.config_pb2 import ModelConfig
from farkeras.wire.protos.serving_pb2 import ModelSpec, ModelVersionStatus

MAX_LOAD_RETRIES = 5
SECONDS_BETWEEN_RETRIES = 60.0
"""TF Serving's defaults for a version that fails to load."""

_State = ModelVersionStatus.State


@dataclass
class _Version:
    """State of a version, kept after the version is unloaded.

    Attributes:
        state: State of `ModelVersionStatus`.
        error: Reason of the last failed load; "" if the load did not fail.
        failures: Number of failed loads.
        next_try: Time on the monotonic clock before which the version is not loaded again.
        loaded: The loaded version, from AVAILABLE until the end of UNLOADING.
        users: Number of requests that use the version; it is closed only when they are answered.
    """

    state: int = _State.START
    error: str = ""
    failures: int = 0
    next_try: float = 0.0
    loaded: LoadedVersion | None = None
    users: int = 0

    @property
    def available(self) -> bool:
        return self.state == _State.AVAILABLE


class Model:
    """One model of the configuration. Only one thread may call `refresh`; all threads may call the other methods."""

    def __init__(self, config: ModelConfig, settings: ModelSettings, metrics: Metrics):
        self.name, self.base_path = config.name, Path(config.base_path)
        self._config, self._settings, self._metrics = config, settings, metrics
        self._lock = threading.Lock()
        self._versions: dict[int, _Version] = {}

    def refresh(self) -> None:
        """Loads new versions in the folder, then unloads the versions that are no longer wanted.

        A version that fails to load does not affect the others. Its load is repeated up to `MAX_LOAD_RETRIES` times.
        """
        found = versions_on_disk(self.base_path)
        wanted = wanted_versions(self._config.model_version_policy, set(found))
        with self._lock:
            for number in [n for n, v in self._versions.items() if v.failures and n not in found]:
                del self._versions[number]  # a later folder with this number is a new version
        for number in sorted(wanted):
            version = self._versions.get(number, _Version())
            is_out = version.state in (_State.START, _State.END)
            if is_out and version.failures <= MAX_LOAD_RETRIES and time.monotonic() >= version.next_try:
                self._load(number, found[number])
        available = set(self.available())
        if available & wanted or not wanted:
            for number in available - wanted:  # no new request gets it, and its last request closes it
                version = self._versions[number]
                with self._lock:
                    version.state = _State.UNLOADING
                self._close_unused(version)

    @contextmanager
    def use(self, spec: ModelSpec) -> Iterator[LoadedVersion]:
        """Gives the version that a request asks for; the version stays loaded inside the block.

        Raises:
            RequestError: NOT_FOUND if the version is not served, INVALID_ARGUMENT for an unknown label.
        """
        with self._lock:
            number = self._number(spec)
            version = self._versions.get(number) if number is not None else None
            if version is None or version.loaded is None or not version.available:
                which = f"version {number}" if number is not None else "any version"
                raise RequestError(StatusCode.NOT_FOUND, f"Servable not found for request: {self.name}, {which}")
            loaded, version.users = version.loaded, version.users + 1
        try:
            yield loaded
        finally:
            with self._lock:
                version.users -= 1
            self._close_unused(version)

    def available(self) -> list[int]:
        """Returns the numbers of the versions that answer requests, ascending."""
        with self._lock:
            return sorted(number for number, version in self._versions.items() if version.available)

    def statuses(self) -> dict[int, tuple[int, str]]:
        """Returns the state and error of each known version, highest first; unloaded versions are included."""
        with self._lock:
            return {n: (v.state, v.error) for n, v in sorted(self._versions.items(), reverse=True)}

    def _number(self, spec: ModelSpec) -> int | None:
        if spec.version_label:
            if spec.version_label not in self._config.version_labels:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            return self._config.version_labels[spec.version_label]
        if spec.HasField("version"):
            return spec.version.value
        return max((number for number, version in self._versions.items() if version.available), default=None)

    def _load(self, number: int, folder: Path) -> None:
        version = self._versions.get(number) or _Version()
        with self._lock:
            self._versions[number] = version
            version.state, version.error = _State.LOADING, ""
        try:
            loaded = LoadedVersion(self.name, number, folder, self._settings, self._metrics)
        except Exception as error:  # of any class; a version that fails to load must not end the server
            message = " ".join(str(error).split())[:500]
            with self._lock:
                version.failures += 1
                version.next_try = time.monotonic() + SECONDS_BETWEEN_RETRIES
                version.state, version.error = _State.END, f"{type(error).__name__}: {message}"
            self._metrics.loaded(self.name, False)
            logging.getLogger(__name__).warning("%s version %d failed to load: %s", self.name, number, version.error)
            return
        with self._lock:
            version.loaded, version.state, version.failures = loaded, _State.AVAILABLE, 0
        self._metrics.loaded(self.name, True)
        logging.getLogger(__name__).info("%s version %d loaded from %s", self.name, number, folder)

    def _close_unused(self, version: _Version) -> None:
        with self._lock:
            if version.state != _State.UNLOADING or version.users or version.loaded is None:
                return
            loaded, version.loaded = version.loaded, None
        loaded.close()
        with self._lock:
            version.state = _State.END
        logging.getLogger(__name__).info("%s version %d unloaded", self.name, loaded.number)
