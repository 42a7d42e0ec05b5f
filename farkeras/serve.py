"""Serves an exported model on this machine: `python -m farkeras.serve --model_dir=runs/demo/export/saved_model`.

This server, for development and tests, has TF Serving's gRPC and REST interfaces, versions and hot swap, labels,
batching, warm-up and Prometheus metrics, in Python. In production use TF Serving itself, with the recipes in serving/;
clients, requests and configuration files are the same. As in TF Serving, TensorFlow's SavedModel loader and a Session
run the model. The address of REST also has a demo page for photographs.

The server loads a new version in --model_dir when it appears, and serves the old version until the new one is ready.
SIGTERM and Ctrl-C stop the server after its current requests. The server has no encryption and no authentication.
"""

import asyncio
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs

if TYPE_CHECKING:
    from farkeras.serving.models import Models


def define(flags: Flags) -> None:
    flags.path("model_dir", "Folder with the versions of one model, as the SavedModel export writes it.")
    flags.text("model_name", "farkeras", "Name of the model in --model_dir.")
    flags.path(
        "model_config_file",
        "Text file of TF Serving with models, version policies and labels, in place of --model_dir.",
    )
    flags.path(
        "batching_parameters_file",
        "Text file of TF Serving with batch sizes and timeouts. Empty: requests are not batched.",
    )
    flags.integer(
        "tensorflow_intra_op_parallelism",
        0,
        "Threads per operation, as in TF Serving. 0: TensorFlow decides. 1 gives small models the highest throughput.",
        0,
    )
    flags.integer(
        "tensorflow_inter_op_parallelism",
        0,
        "Operations that run concurrently, as in TF Serving. 0: TensorFlow decides.",
        0,
    )
    flags.text("host", "127.0.0.1", "Address to listen on. 0.0.0.0 accepts other machines.")
    flags.integer("port", 8500, "Port of gRPC. 0: any free port.", 0, 65535)
    flags.integer("rest_api_port", 8501, "Port of REST. 0: any free port.", 0, 65535)
    flags.number("file_system_poll_wait_seconds", 1.0, "Seconds between searches for new versions.", 0.01)


def main(options: Flags) -> None:
    """Serves until the process is stopped."""
    if bool(options.model_dir) == bool(options.model_config_file):
        raise FarkerasError("Give either --model_dir=FOLDER or --model_config_file=FILE.")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    silence_native_logs()
    try:
        import grpc  # noqa: F401
        import grpc_health  # noqa: F401
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise FarkerasError(
            f"Serving needs the package {error.name}. Install it with: pip install 'farkeras[serving]'"
        ) from None
    from farkeras.serving.configuration import one_model, read_batching, read_models
    from farkeras.serving.loaded import ModelSettings
    from farkeras.serving.server import ServerSettings, run_server

    _log_to_stdout()
    runs = ModelSettings(
        read_batching(options.batching_parameters_file) if options.batching_parameters_file else None,
        options.tensorflow_intra_op_parallelism,
        options.tensorflow_inter_op_parallelism,
    )
    settings = ServerSettings(
        read_models(options.model_config_file)
        if options.model_config_file
        else [one_model(options.model_name, options.model_dir)],
        options.host,
        options.port,
        options.rest_api_port,
        runs,
        options.file_system_poll_wait_seconds,
    )

    async def serve_and_end() -> None:
        await run_server(settings, partial(_announce, settings.host))
        print("Ended.", flush=True)
        os._exit(0)  # see `run_server`

    asyncio.run(serve_and_end())


def _log_to_stdout() -> None:
    """Logs the server to stdout, without the source position that absl's handler adds to each line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("farkeras")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _announce(host: str, models: "Models", port: int, rest_port: int) -> None:
    for model in models:
        versions = ", ".join(map(str, model.available()))
        print(f"Model {model.name}, version {versions}: http://{host}:{rest_port}/v1/models/{model.name}")
    print(f"Demo page: http://{host}:{rest_port}/")
    print(f"Serving: gRPC at {host}:{port}, REST at http://{host}:{rest_port}")
    print("For development and tests. In production use TF Serving, with the recipes in serving/.", flush=True)


if __name__ == "__main__":
    run_command(define, main)
