"""Answers of TF Serving's methods, for gRPC and REST."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from grpc import StatusCode

from farkeras.errors import FarkerasError
from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError, invalid
from farkeras.serving.metrics import Metrics
from farkeras.serving.models import Models
from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_array, to_proto

_Answer = TypeVar("_Answer")


class Answers:
    """Methods of PredictionService and ModelService, from message to message.

    Every method raises `RequestError` for a request that fails. Threads may share an instance.
    """

    def __init__(self, models: Models, metrics: Metrics):
        self.models, self._metrics = models, metrics

    def counted(self, model: Callable[[], str], api: str, entrypoint: str, answer: Callable[[], _Answer]) -> _Answer:
        """Calls `answer`, counts the request, and turns errors other than `RequestError` into INTERNAL.

        `model` returns the model's name. It is called after `answer`, because only `answer` may parse the request.
        """
        start, status = time.monotonic(), "OK"
        try:
            return answer()
        except Exception as error:
            if not isinstance(error, RequestError):
                error = RequestError(StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
            status = error.code.name
            raise error from None
        finally:
            self._metrics.answered(self.models.label(model()), api, entrypoint, status, time.monotonic() - start)

    def predict(self, request: pb.PredictRequest, deadline: Deadline) -> pb.PredictResponse:
        """Answers PredictionService.Predict."""
        spec = request.model_spec
        with self.models.use(spec) as version:
            name, _ = version.signature(spec.signature_name)
            outputs = version.predict(name, _arrays(request.inputs), request.output_filter, deadline)
        response = pb.PredictResponse(model_spec=_model_spec(spec.name, version.number, name))
        for output, array in outputs.items():
            response.outputs[output].CopyFrom(to_proto(array, packed=False))
        return response

    def metadata(self, request: pb.GetModelMetadataRequest) -> pb.GetModelMetadataResponse:
        """Answers PredictionService.GetModelMetadata."""
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"MetadataField {field} is not supported")
        spec, signatures = self.signatures(request.model_spec)
        response = pb.GetModelMetadataResponse(model_spec=spec)
        signature_def = response.metadata["signature_def"]
        signature_def.type_url = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        signature_def.value = signatures.SerializeToString()
        return response

    def signatures(self, spec: pb.ModelSpec) -> tuple[pb.ModelSpec, pb.SignatureDefMap]:
        """Returns the version that `spec` asks for, and its signatures."""
        signatures = pb.SignatureDefMap()
        with self.models.use(spec) as version:
            for name, signature in version.signatures.items():
                signatures.signature_def[name].ParseFromString(signature.SerializeToString())
        return _model_spec(spec.name, version.number), signatures

    def status(self, request: pb.GetModelStatusRequest) -> pb.GetModelStatusResponse:
        """Answers ModelService.GetModelStatus with the versions, the highest first."""
        spec = request.model_spec
        statuses = self.models.model(spec.name).statuses()
        if spec.HasField("version"):
            number = spec.version.value
            if number not in statuses:
                raise RequestError(StatusCode.NOT_FOUND, f"Could not find version {number} of model {spec.name}")
            statuses = {number: statuses[number]}
        response = pb.GetModelStatusResponse()
        for number, (state, error) in statuses.items():
            code = pb.UNKNOWN if error else pb.OK
            status = pb.StatusProto(error_code=code, error_message=error)
            response.model_version_status.add(version=number, state=state, status=status)
        return response


def _model_spec(name: str, version: int, signature_name: str = "") -> pb.ModelSpec:
    spec = pb.ModelSpec(name=name, signature_name=signature_name)
    spec.version.value = version
    return spec


def _arrays(inputs: Mapping[str, pb.TensorProto]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, tensor in inputs.items():
        try:
            arrays[name] = to_array(tensor)
        except FarkerasError as error:
            raise invalid(f"tensor parsing error: {name}: {error}") from None
    return arrays
