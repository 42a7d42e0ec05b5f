"""Clients for TF Serving over gRPC, the faster of its two interfaces, because images are sent as plain bytes."""

import json
import os
from types import ModuleType
from typing import Any, TypeVar

import grpc
import numpy as np
from google.protobuf.message import Message

from farkeras.clients.answers import Outputs, VersionStatus
from farkeras.clients.async_base import AsyncClient
from farkeras.clients.base import Client
from farkeras.clients.errors import ServingError
from farkeras.clients.names import Names, read_names
from farkeras.clients.settings import DELAY_FACTOR, FIRST_DELAY, LONGEST_DELAY, MAX_MESSAGE_BYTES, Settings
from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_array, to_proto

PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

_Response = TypeVar("_Response", bound=Message)


class GrpcClient(Client):
    """Asks TF Serving, or `python -m farkeras.serve`, over gRPC.

    Args:
        address: Host and port, such as "localhost:8500"; 8500 is the server's default.
        metadata: The export that is served: the folder of its versions, the folder of one version, or its
            `farkeras.json`. It names the attributes, which the server does not know.
        **settings: The fields of `Settings`.

    Raises:
        FarkerasError: `metadata` has no names, or a setting is out of range.

    Examples:
        >>> with GrpcClient("localhost:8500", "runs/demo/export/saved_model") as client:  # doctest: +SKIP
        ...     client.recognize(["crop.jpg"])[0]["Smiling"]
        0.93
    """

    def __init__(self, address: str, metadata: str | os.PathLike, **settings: Any):
        self.address, self.settings, self._names = address, Settings(**settings), read_names(metadata)
        self._channel = _channel(grpc, address, self.settings)

    def read_names(self) -> Names:
        return self._names

    def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        request = _predict_request(self.settings, inputs, signature)
        return _outputs(self._call(PREDICT, request, pb.PredictResponse))

    def status(self) -> list[VersionStatus]:
        request = pb.GetModelStatusRequest(model_spec=_spec(self.settings))
        return _versions(self._call(STATUS, request, pb.GetModelStatusResponse))

    def close(self) -> None:
        self._channel.close()

    def _call(self, path: str, request: Message, response: type[_Response]) -> _Response:
        method = self._channel.unary_unary(path, type(request).SerializeToString, response.FromString)
        try:
            return method(request, **_with_each(self.settings))
        except grpc.RpcError as error:
            raise ServingError(self.address, error.code().name, error.details() or "no details") from None


class AsyncGrpcClient(AsyncClient):
    """Asyncio version of `GrpcClient`, with the same arguments."""

    def __init__(self, address: str, metadata: str | os.PathLike, **settings: Any):
        self.address, self.settings, self._names = address, Settings(**settings), read_names(metadata)
        self._channel = _channel(grpc.aio, address, self.settings)

    async def read_names(self) -> Names:
        return self._names

    async def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        request = _predict_request(self.settings, inputs, signature)
        return _outputs(await self._call(PREDICT, request, pb.PredictResponse))

    async def status(self) -> list[VersionStatus]:
        request = pb.GetModelStatusRequest(model_spec=_spec(self.settings))
        return _versions(await self._call(STATUS, request, pb.GetModelStatusResponse))

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, path: str, request: Message, response: type[_Response]) -> _Response:
        method = self._channel.unary_unary(path, type(request).SerializeToString, response.FromString)
        try:
            return await method(request, **_with_each(self.settings))
        except grpc.RpcError as error:
            raise ServingError(self.address, error.code().name, error.details() or "no details") from None


def _channel(api: ModuleType, address: str, settings: Settings) -> grpc.Channel:
    """Opens a channel of `grpc` or `grpc.aio`, which repeats requests to PredictionService by itself."""
    service_config: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}  # all addresses of the host
    if settings.attempts > 1:
        policy = {
            "maxAttempts": settings.attempts,
            "initialBackoff": f"{FIRST_DELAY}s",
            "maxBackoff": f"{LONGEST_DELAY}s",
            "backoffMultiplier": DELAY_FACTOR,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        service = {"service": "tensorflow.serving.PredictionService"}
        service_config["methodConfig"] = [{"name": [service], "retryPolicy": policy}]
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.service_config", json.dumps(service_config)),
        # With gRPC's defaults, a server that was unreachable for one minute is not tried again for two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if settings.tls is None:
        return api.insecure_channel(address, options)
    ca, key, certificate = (settings.tls.read(name) for name in ("ca", "key", "certificate"))
    return api.secure_channel(address, grpc.ssl_channel_credentials(ca, key, certificate), options)


def _with_each(settings: Settings) -> dict[str, object]:
    metadata = [(name.lower(), value) for name, value in settings.headers.items()]
    return {"timeout": settings.timeout, "metadata": metadata}


def _spec(settings: Settings, signature: str = "") -> pb.ModelSpec:
    spec = pb.ModelSpec(name=settings.model, signature_name=signature)
    if settings.version is not None:
        spec.version.value = settings.version
    if settings.label is not None:
        spec.version_label = settings.label
    return spec


def _predict_request(settings: Settings, inputs: dict[str, np.ndarray], signature: str) -> pb.PredictRequest:
    tensors = {name: to_proto(array) for name, array in inputs.items()}
    return pb.PredictRequest(model_spec=_spec(settings, signature), inputs=tensors)


def _outputs(response: pb.PredictResponse) -> Outputs:
    tensors = {name: to_array(tensor) for name, tensor in response.outputs.items()}
    return Outputs(tensors, response.model_spec.version.value)


def _versions(response: pb.GetModelStatusResponse) -> list[VersionStatus]:
    return [
        VersionStatus(v.version, pb.ModelVersionStatus.State.Name(v.state), v.status.error_message)
        for v in response.model_version_status
    ]
