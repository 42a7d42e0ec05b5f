"""TF Serving over gRPC: the quicker of its two interfaces, for images go as the bytes they are."""

import json
import os

import grpc
import numpy as np

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


class GrpcClient(Client):
    """Asks TF Serving, or `python -m farkeras.serve`, over gRPC.

    Args:
        address: Host and port, 8500 by default: "localhost:8500".
        metadata: The export that is served, as the folder of its versions, of one of them, or its `farkeras.json`:
            the server itself does not know the names of the attributes.
        **settings: The fields of `Settings`.

    Raises:
        FarkerasError: No names there, or a setting out of range.

    Example:

    >>> with GrpcClient("localhost:8500", "runs/demo/export/saved_model") as client:  # doctest: +SKIP
    ...     client.recognize(["crop.jpg"])[0]["Smiling"]
    0.93
    """

    def __init__(self, address: str, metadata: str | os.PathLike, **settings):
        self.address, self.settings, self.names = address, Settings(**settings), read_names(metadata)
        self._channel = _channel(grpc, address, self.settings)
        self._predict, self._status = _methods(self._channel)

    def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        request = _predict_request(self.settings, inputs, signature)
        return _outputs(self._call(self._predict, request))

    def status(self) -> list[VersionStatus]:
        return _versions(self._call(self._status, pb.GetModelStatusRequest(model_spec=_spec(self.settings))))

    def close(self) -> None:
        self._channel.close()

    def _call(self, method, request):
        try:
            return method(request, **_with_each(self.settings))
        except grpc.RpcError as error:
            raise ServingError(self.address, error.code().name, error.details() or "no details") from None


class AsyncGrpcClient(AsyncClient):
    """As `GrpcClient`, for asyncio."""

    def __init__(self, address: str, metadata: str | os.PathLike, **settings):
        self.address, self.settings, self.names = address, Settings(**settings), read_names(metadata)
        self._channel = _channel(grpc.aio, address, self.settings)
        self._predict, self._status = _methods(self._channel)

    async def read_names(self) -> Names:
        return self.names

    async def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        request = _predict_request(self.settings, inputs, signature)
        return _outputs(await self._call(self._predict, request))

    async def status(self) -> list[VersionStatus]:
        return _versions(await self._call(self._status, pb.GetModelStatusRequest(model_spec=_spec(self.settings))))

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, method, request):
        try:
            return await method(request, **_with_each(self.settings))
        except grpc.RpcError as error:
            raise ServingError(self.address, error.code().name, error.details() or "no details") from None


def _channel(api, address: str, settings: Settings):
    """A channel of `grpc` or `grpc.aio`, which repeats requests to PredictionService by itself."""
    service_config = {"loadBalancingConfig": [{"round_robin": {}}]}  # among the addresses that the name has
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
        # Else a server that was gone for a minute is not looked for in the next two.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if settings.tls is None:
        return api.insecure_channel(address, options)
    ca, key, certificate = (settings.tls.read(name) for name in ("ca", "key", "certificate"))
    return api.secure_channel(address, grpc.ssl_channel_credentials(ca, key, certificate), options)


def _methods(channel):
    def method(path, request, response):
        return channel.unary_unary(path, request.SerializeToString, response.FromString)

    return (
        method(PREDICT, pb.PredictRequest, pb.PredictResponse),
        method(STATUS, pb.GetModelStatusRequest, pb.GetModelStatusResponse),
    )


def _with_each(settings: Settings) -> dict:
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
