"""Clients for TF Serving over REST, which passes every proxy. Base64 makes the images a third larger."""

import asyncio
import base64
import json
import os
import ssl
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import numpy as np
import urllib3

from farkeras.clients.answers import Outputs, VersionStatus
from farkeras.clients.async_base import AsyncClient
from farkeras.clients.base import Client
from farkeras.clients.errors import ServingError
from farkeras.clients.names import Names, read_names
from farkeras.clients.settings import Settings, Tls
from farkeras.errors import FarkerasError

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_CONNECTIONS = 16  # connections kept alive for threads that share a client


class RestClient(Client):
    """Asks TF Serving, or `python -m farkeras.serve`, over REST.

    Args:
        address: Host and port, such as "localhost:8501"; 8501 is the server's default. A URL if the server is below a
            path.
        metadata: The export that is served, as in `GrpcClient`. None asks the server for the names of the attributes,
            which only `python -m farkeras.serve` knows.
        **settings: The fields of `Settings`.

    Raises:
        FarkerasError: `metadata` has no names, or a setting is out of range.
    """

    def __init__(self, address: str, metadata: str | os.PathLike | None = None, **settings: Any):
        self.address, self.settings = address, Settings(**settings)
        if metadata is not None:
            self.names = read_names(metadata)
        tls = self.settings.tls
        url = address if "://" in address else f"{'https' if tls else 'http'}://{address}"
        self._model_url = f"{url.rstrip('/')}/v1/models/{quote(self.settings.model, safe='')}"
        context = _ssl_context(tls) if tls else None
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, retries=False, ssl_context=context)

    def read_names(self) -> Names:
        """Asks the server for the attributes of the model and their groups.

        Raises:
            FarkerasError: The server does not know them; TF Serving never does.
        """
        try:
            values = self._request("GET", self._version() + "/farkeras.json")
        except ServingError as error:
            if error.code == "UNAVAILABLE":
                raise
            raise FarkerasError(
                f"{self.address} does not name the attributes of {self.settings.model}; TF Serving never does. Set "
                "`metadata` to the export that is served."
            ) from None
        return Names.from_json(json.dumps(values), self.address)

    def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        """Sends one request; see `Client.predict`. REST omits the name of a single output; it is called "output"."""
        columns = {name: _jsonable(array.tolist()) for name, array in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        outputs = self._request("POST", self._version() + ":predict", body, self.settings.delays()).get("outputs")
        columns = outputs if isinstance(outputs, dict) else {"output": outputs}
        return Outputs({name: _array(values) for name, values in columns.items()})

    def status(self) -> list[VersionStatus]:
        versions = self._request("GET", self._version()).get("model_version_status", [])
        return [VersionStatus(int(v["version"]), v["state"], v["status"].get("error_message", "")) for v in versions]

    def close(self) -> None:
        self._pool.clear()

    def _version(self) -> str:
        if self.settings.version is not None:
            return f"/versions/{self.settings.version}"
        return f"/labels/{quote(self.settings.label, safe='')}" if self.settings.label is not None else ""

    def _request(
        self, method: str, path: str, body: bytes | None = None, delays: Iterable[float] = ()
    ) -> dict[str, Any]:
        """Sends a request and returns the JSON object. It is repeated after each delay if the server is UNAVAILABLE."""
        deadline, waits = time.monotonic() + self.settings.timeout, iter(delays)
        while True:
            try:
                return self._attempt(method, path, body, deadline - time.monotonic())
            except ServingError as error:
                delay = next(waits, None)
                if error.code != "UNAVAILABLE" or delay is None or time.monotonic() + delay >= deadline:
                    raise
            time.sleep(delay)

    def _attempt(self, method: str, path: str, body: bytes | None, seconds: float) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} | dict(self.settings.headers)
        try:
            response = self._pool.request(
                method, self._model_url + path, body=body, headers=headers, timeout=urllib3.Timeout(total=seconds)
            )
        except urllib3.exceptions.NewConnectionError as error:  # first, because it is a subclass of TimeoutError
            raise ServingError(self.address, "UNAVAILABLE", str(error)) from None
        except urllib3.exceptions.TimeoutError:
            raise ServingError(self.address, "DEADLINE_EXCEEDED", f"no answer in {self.settings.timeout:g} s") from None
        except urllib3.exceptions.HTTPError as error:  # the connection was lost, or is not trusted
            raise ServingError(self.address, "UNAVAILABLE", str(error)) from None
        try:
            values = json.loads(response.data)
        except ValueError:
            values = None
        if response.status == 200 and isinstance(values, dict):
            return values
        details = values.get("error") if isinstance(values, dict) else None
        code = _CODES.get(response.status, "UNKNOWN")
        raise ServingError(self.address, code, str(details or f"HTTP {response.status} without TF Serving's JSON"))


class AsyncRestClient(AsyncClient):
    """Asyncio version of `RestClient`, with the same arguments. Its requests wait in threads."""

    def __init__(self, address: str, metadata: str | os.PathLike | None = None, **settings: Any):
        self._client = RestClient(address, metadata, **settings)
        self.address, self.settings = self._client.address, self._client.settings

    async def read_names(self) -> Names:
        return await asyncio.to_thread(lambda: self._client.names)

    async def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        return await asyncio.to_thread(self._client.predict, inputs, signature)

    async def status(self) -> list[VersionStatus]:
        return await asyncio.to_thread(self._client.status)

    async def close(self) -> None:
        self._client.close()


def _ssl_context(tls: Tls) -> ssl.SSLContext:
    ca = tls.read("ca")
    try:
        context = ssl.create_default_context(cadata=ca and ca.decode("ascii"))
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ValueError) as error:
        raise FarkerasError(f"Cannot use the TLS files {tls.ca}, {tls.certificate}, {tls.key}: {error}.") from None
    return context


def _jsonable(value: object) -> object:
    """Converts bytes to the form that TF Serving expects in JSON."""
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _array(values: object) -> np.ndarray:
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype == np.float64 else array
