"""A server at its two ports, as the suite speaks to it: plain messages and plain HTTP."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_array, to_proto

PREDICTION = "/tensorflow.serving.PredictionService/"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"


class Target:
    """A server that has the models of `tests.serving.models`.

    Attributes:
        channel: gRPC.
        models: The folder with the models.
    """

    def __init__(self, address: str, rest_address: str, models: Path):
        self.address, self.rest_address, self.models = address, rest_address, models
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])

    def raw(self, path: str, content: bytes, timeout: float = 30.0) -> bytes:
        return self.channel.unary_unary(path)(content, timeout=timeout)

    def predict(self, model: str, inputs: Mapping[str, Any], timeout: float = 30.0, **spec) -> pb.PredictResponse:
        request = predict_request(model, inputs, **spec)
        return pb.PredictResponse.FromString(self.raw(PREDICTION + "Predict", request.SerializeToString(), timeout))

    def values(self, model: str, inputs: Mapping[str, Any], **spec) -> dict[str, np.ndarray]:
        return {name: to_array(tensor) for name, tensor in self.predict(model, inputs, **spec).outputs.items()}

    def metadata(self, model: str, fields: Sequence[str] = ("signature_def",), **spec) -> pb.GetModelMetadataResponse:
        request = pb.GetModelMetadataRequest(model_spec=model_spec(model, **spec), metadata_field=fields)
        content = self.raw(PREDICTION + "GetModelMetadata", request.SerializeToString())
        return pb.GetModelMetadataResponse.FromString(content)

    def statuses(self, model: str, **spec) -> list[pb.ModelVersionStatus]:
        request = pb.GetModelStatusRequest(model_spec=model_spec(model, **spec))
        content = self.raw(STATUS, request.SerializeToString())
        return list(pb.GetModelStatusResponse.FromString(content).model_version_status)

    def states(self, model: str, **spec) -> dict[int, str]:
        name = pb.ModelVersionStatus.State.Name
        return {status.version: name(status.state) for status in self.statuses(model, **spec)}

    def rest(self, path: str, body=None) -> tuple[int, Any]:
        """GET, or POST where there is a body: bytes as they are, else as JSON. The status, and the answer's JSON."""
        content = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        try:
            with urllib.request.urlopen(f"http://{self.rest_address}{path}", content, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def model_spec(model: str, version: int | None = None, label: str = "", signature: str = "") -> pb.ModelSpec:
    spec = pb.ModelSpec(name=model, signature_name=signature)
    if label:
        spec.version_label = label
    elif version is not None:
        spec.version.value = version
    return spec


def predict_request(model: str, inputs: Mapping[str, Any], outputs: Sequence[str] = (), **spec) -> pb.PredictRequest:
    """Inputs are arrays, or tensors as they are."""
    request = pb.PredictRequest(model_spec=model_spec(model, **spec), output_filter=outputs)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(value if isinstance(value, pb.TensorProto) else to_proto(value))
    return request


def code_of(call: Callable[[], Any]) -> str:
    """The code that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
