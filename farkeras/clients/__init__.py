"""What runs an exported model elsewhere: without TensorFlow, Keras or the rest of this package's requirements.

`GrpcClient`, `RestClient` and their twins for asyncio speak to TF Serving and to `python -m farkeras.serve`.
"""

from importlib import import_module

_HOMES = {
    "Answer": "answers",
    "AsyncGrpcClient": "grpc_client",
    "AsyncRestClient": "rest_client",
    "GrpcClient": "grpc_client",
    "RestClient": "rest_client",
    "ServingError": "errors",
    "Settings": "settings",
    "Tls": "settings",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'farkeras.clients' has no attribute {name!r}")
    return getattr(import_module(f"farkeras.clients.{_HOMES[name]}"), name)  # each needs packages of its own
