"""TF Serving's gRPC services, on asyncio: a client that sends slowly holds no thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode

from farkeras.clients.protos import serving_pb2 as pb
from farkeras.errors import FarkerasError
from farkeras.serving.answers import Answers
from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError

RECEIVE_SECONDS = 30.0
"""Within which a request must have arrived, once it has begun."""

MAX_WAITING = 1000
"""Requests that are being answered or wait for it; one more is UNAVAILABLE."""

_SECONDS_TO_SEND = 0.2  # the last answers

LARGE_BYTES = 2**22
"""Requests above this size are worked on one at a time: on its way to the model one takes its size several times."""

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # as TF Serving
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # or two servers would share a port, each answering some of the calls
)

# grpc.health.v1: the requests for the server and for its services, and the answers SERVING and NOT_SERVING, field 1.
_SERVICES = ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
_HEALTH_REQUESTS = {b"\n" + bytes([len(name)]) + name.encode() if name else b"" for name in _SERVICES}
_HEALTHY, _UNHEALTHY = b"\x08\x01", b"\x08\x02"


class GrpcServer:
    """Listens from `start` to the end of the process.

    Attributes:
        port: Where it listens, after `start`.
    """

    def __init__(self, answers: Answers, host: str, port: int, num_threads: int):
        self._answers, self._host, self.port = answers, host, port
        self._threads = ThreadPoolExecutor(num_threads, "grpc")
        self._waiting, self._large = 0, asyncio.Semaphore(1)
        self._server: grpc.aio.Server | None = None
        self._closing = False

    async def start(self) -> None:
        """Opens the port.

        Raises:
            FarkerasError: It cannot be had.
        """
        self._server = grpc.aio.server(options=_OPTIONS)
        answers = self._answers
        self._server.add_generic_rpc_handlers(
            (
                _service(
                    "tensorflow.serving.PredictionService",
                    Predict=self._method("Predict", pb.PredictRequest, answers.predict),
                    GetModelMetadata=self._method(
                        "GetModelMetadata", pb.GetModelMetadataRequest, lambda request, _: answers.metadata(request)
                    ),
                ),
                _service(
                    "tensorflow.serving.ModelService",
                    GetModelStatus=self._method(
                        "GetModelStatus", pb.GetModelStatusRequest, lambda request, _: answers.status(request)
                    ),
                ),
                _service("grpc.health.v1.Health", Check=self._health),
            )
        )
        try:
            self.port = self._server.add_insecure_port(f"{self._host}:{self.port}")
        except RuntimeError:
            raise FarkerasError(
                f"Cannot listen at {self._host}:{self.port}; expected a free port. Name another one with --port."
            ) from None
        await self._server.start()

    async def drain(self, grace_seconds: float) -> None:
        """Refuses new requests as UNAVAILABLE and answers those that are here, as far as the time allows.

        The port is left to the end of the process, for gRPC's own end would cancel requests that have just come.
        """
        self._closing, deadline = True, Deadline.after(grace_seconds)
        while self._waiting and not deadline.passed():
            await asyncio.sleep(0.05)
        await asyncio.sleep(_SECONDS_TO_SEND)

    def _method(self, api: str, request_class: type[Message], answer: Callable[[Message, Deadline], Message]):
        """A handler: bytes to bytes, so that parsing, too, is done in a thread and by few at a time."""

        def work(content: bytes, deadline: Deadline) -> bytes | tuple[StatusCode, str]:
            try:
                request = request_class.FromString(content)
            except DecodeError:
                return StatusCode.INTERNAL, f"The request is no {request_class.DESCRIPTOR.name}"
            model = request.model_spec.name
            try:
                response = self._answers.counted(model, api, "GRPC", lambda: answer(request, deadline))
            except RequestError as error:
                return error.code, error.message  # the exception itself would keep the request alive
            return response.SerializeToString()

        async def call(requests, context) -> bytes:
            content = await _receive(requests, context)
            if self._closing:
                await context.abort(StatusCode.UNAVAILABLE, "The server is about to end")
            if self._waiting >= MAX_WAITING:
                await context.abort(StatusCode.UNAVAILABLE, "Too many requests wait at this server")
            self._waiting += 1
            try:
                deadline = Deadline.after(context.time_remaining())
                async with self._large if len(content) > LARGE_BYTES else nullcontext():
                    done = await asyncio.get_running_loop().run_in_executor(self._threads, work, content, deadline)
            finally:
                self._waiting -= 1
            if isinstance(done, tuple):
                del content
                await context.abort(*done)
            return done

        return call

    async def _health(self, requests, context) -> bytes:
        if await _receive(requests, context) not in _HEALTH_REQUESTS:
            await context.abort(StatusCode.NOT_FOUND, "Unknown service")
        return _UNHEALTHY if self._closing else _HEALTHY


async def _receive(requests, context) -> bytes:
    """The one message of a call. The handlers are those of streams, which alone can stop waiting for a message."""
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            content = await anext(requests, None)
    except TimeoutError:
        await context.abort(StatusCode.DEADLINE_EXCEEDED, f"No request arrived in {RECEIVE_SECONDS:g} s")
    if content is None:
        await context.abort(StatusCode.INTERNAL, "The call ended without a request")
    return content


def _service(name: str, **methods) -> grpc.GenericRpcHandler:
    handlers = {method: grpc.stream_unary_rpc_method_handler(function) for method, function in methods.items()}
    return grpc.method_handlers_generic_handler(name, handlers)
