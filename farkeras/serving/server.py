"""The local server: models, gRPC and REST in one process."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import NamedTuple

from farkeras.serving.answers import Answers
from farkeras.serving.gate import Gate
from farkeras.serving.grpc_server import GrpcServer
from farkeras.serving.http_server import HttpServer
from farkeras.serving.loaded import ModelSettings
from farkeras.serving.metrics import Metrics
from farkeras.serving.models import Models
from farkeras.serving.rest import Rest
from farkeras.wire.protos.config_pb2 import ModelConfig


class ServerSettings(NamedTuple):
    """Models and addresses of a server.

    Attributes:
        models: Configurations of the models: at least one, with unique names.
        host: Host name or IP address to listen on.
        port: Port of gRPC; 0 chooses a free port.
        rest_port: Port of REST; 0 chooses a free port.
        runs: Batching and threads of the models.
        poll_seconds: Seconds between two searches for new versions in the models' folders.
        grace_seconds: Seconds that pending requests may still take after the signal to stop.
    """

    models: Sequence[ModelConfig]
    host: str = "127.0.0.1"
    port: int = 8500
    rest_port: int = 8501
    runs: ModelSettings = ModelSettings()
    poll_seconds: float = 1.0
    grace_seconds: float = 30.0


async def run_server(settings: ServerSettings, ready: Callable[[Models, int, int], None]) -> None:
    """Serves until SIGTERM or Ctrl-C, then answers the pending requests and returns.

    No port opens before all models are loaded. After the function returns, the gRPC port stays open and refuses
    requests, so the caller must end the process immediately with `os._exit`.

    Args:
        settings: Models and addresses of the server.
        ready: Called once the server answers requests, with its models, the gRPC port and the REST port.

    Raises:
        FarkerasError: A model fails to load, or a port is not free.
    """
    metrics, stop = Metrics(), _stopped_by_signals()
    models = await asyncio.to_thread(Models, settings.models, settings.runs, metrics, settings.poll_seconds)
    answers = Answers(models, metrics)
    batching, num_requests = settings.runs.batching, 2 * (os.cpu_count() or 1)
    if batching:  # two full batches of one-image requests for each batch thread
        num_requests = min(256, 2 * batching.max_batch_size * batching.num_batch_threads)
    gate = Gate(num_requests)
    grpc_server = GrpcServer(answers, settings.host, settings.port, gate)
    http_server = HttpServer(Rest(answers, metrics, gate), settings.host, settings.rest_port)
    grpc_server.start()
    http_server.start()
    ready(models, grpc_server.port, http_server.port)
    await stop.wait()
    await asyncio.gather(
        asyncio.to_thread(grpc_server.drain, settings.grace_seconds),
        asyncio.to_thread(http_server.stop, settings.grace_seconds),
    )


def _stopped_by_signals() -> asyncio.Event:
    """Returns an event that the first SIGTERM or Ctrl-C sets; the second signal ends the process as usual."""
    loop, stop, numbers = asyncio.get_running_loop(), asyncio.Event(), (signal.SIGTERM, signal.SIGINT)

    def first() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, first)
    return stop
