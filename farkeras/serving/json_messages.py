"""Status and metadata in JSON, as in TF Serving's REST interface: every field, 64-bit numbers as text."""

from collections.abc import Mapping

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from farkeras.wire.protos import serving_pb2 as pb

_Json = dict[str, object]


def status_json(response: pb.GetModelStatusResponse) -> _Json:
    """A `GetModelStatusResponse`."""
    return {
        "model_version_status": [
            {
                "version": str(status.version),
                "state": pb.ModelVersionStatus.State.Name(status.state),
                "status": {
                    "error_code": pb.Code.Name(status.status.error_code),
                    "error_message": status.status.error_message,
                },
            }
            for status in response.model_version_status
        ]
    }


def metadata_json(name: str, version: int, signatures: Mapping[str, meta_graph_pb2.SignatureDef]) -> _Json:
    """A `GetModelMetadataResponse` with the signatures."""
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": {key: _signature(s) for key, s in signatures.items()}}},
    }


def _signature(signature: meta_graph_pb2.SignatureDef) -> _Json:
    return {
        "inputs": {name: _tensor(info) for name, info in signature.inputs.items()},
        "outputs": {name: _tensor(info) for name, info in signature.outputs.items()},
        "method_name": signature.method_name,
    }


def _tensor(info: meta_graph_pb2.TensorInfo) -> _Json:
    return {
        "dtype": types_pb2.DataType.Name(info.dtype),
        "tensor_shape": {
            "dim": [{"size": str(dim.size), "name": dim.name} for dim in info.tensor_shape.dim],
            "unknown_rank": info.tensor_shape.unknown_rank,
        },
        "name": info.name,
    }
