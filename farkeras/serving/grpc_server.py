"""TF Serving's gRPC services, with one thread per call."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from farkeras.errors import FarkerasError
from farkeras.serving.answers import Answers
from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError
from farkeras.serving.gate import Gate
from farkeras.wire.protos import serving_pb2 as pb

RECEIVE_SECONDS = 30.0
"""Seconds after which a call is cancelled if its request has not arrived."""

MAX_WAITING = 1000
"""Limit of requests that wait or are being answered; one more request is UNAVAILABLE."""

MAX_CALLS = 2 * MAX_WAITING
"""Limit of calls, including calls whose request has not arrived; one more call is RESOURCE_EXHAUSTED."""

_SECONDS_TO_SEND = 0.2  # time to send the last answers

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # as in TF Serving
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # otherwise two servers could share a port, and each would answer some of the calls
)

_Request = TypeVar("_Request", bound=Message)
_Call = Callable[[Iterator[bytes], grpc.ServicerContext], bytes]
_PREDICTION, _MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"


class GrpcServer:
    """gRPC server that listens from `start` until the process ends.

    Attributes:
        port: Port that the server listens on, after `start`.
    """

    def __init__(self, answers: Answers, host: str, port: int, gate: Gate):
        self._answers, self._host, self.port, self._gate = answers, host, port, gate
        self._lock, self._waiting, self._closing = threading.Lock(), 0, False
        self._receiving: dict[grpc.ServicerContext, float] = {}  # start times of calls whose request has not arrived
        self._health = HealthServicer()  # for the server as a whole (""), and for each service
        for service in (_PREDICTION, _MODEL):
            self._health.set(service, HealthCheckResponse.SERVING)

    def start(self) -> None:
        """Opens the port; 0 chooses a free port. Raises `FarkerasError` if the port is not free."""
        threads = ThreadPoolExecutor(MAX_CALLS, "grpc")  # starts a thread only if none is idle
        self._server = grpc.server(threads, options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
        answers = self._answers
        predict = self._method("Predict", pb.PredictRequest, answers.predict)
        metadata = self._method("GetModelMetadata", pb.GetModelMetadataRequest, lambda r, _: answers.metadata(r))
        status = self._method("GetModelStatus", pb.GetModelStatusRequest, lambda r, _: answers.status(r))
        self._server.add_generic_rpc_handlers(
            (
                _service(_PREDICTION, Predict=predict, GetModelMetadata=metadata),
                _service(_MODEL, GetModelStatus=status),
                # Watch is left out, because each watching client would hold one of the MAX_CALLS permanently.
                _service("grpc.health.v1.Health", Check=self._check_health),
            )
        )
        try:
            self.port = self._server.add_insecure_port(f"{self._host}:{self.port}")
        except RuntimeError:
            raise FarkerasError(
                f"Cannot listen on {self._host}:{self.port}; expected a free port. Choose another port with `port`."
            ) from None
        self._server.start()
        threading.Thread(target=self._cancel_silent_calls, daemon=True).start()

    def drain(self, grace_seconds: float) -> None:
        """Refuses new requests as UNAVAILABLE, and waits up to `grace_seconds` until the pending ones are answered.

        The port stays open until the process ends, because gRPC's own stop would cancel requests that just arrived.
        """
        self._health.enter_graceful_shutdown()
        self._closing, deadline = True, Deadline.after(grace_seconds)
        while self._waiting and not deadline.passed():
            time.sleep(0.05)
        time.sleep(_SECONDS_TO_SEND)

    def _method(
        self, api: str, request_class: type[_Request], answer: Callable[[_Request, Deadline], Message]
    ) -> _Call:
        """Returns a handler from bytes to bytes, so that the gate also limits how many requests are parsed."""

        def work(content: bytes, deadline: Deadline) -> bytes | tuple[StatusCode, str]:
            request = request_class()

            def answer_in_turn() -> bytes:
                with self._gate.passed(len(content), deadline):
                    _parse(request, content)
                    return answer(request, deadline).SerializeToString()

            try:
                return self._answers.counted(lambda: request.model_spec.name, api, "GRPC", answer_in_turn)
            except RequestError as error:
                return error.code, error.message  # the exception itself would keep the request in memory

        def call(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            content = self._receive(requests, context)
            self._enter(context)
            try:
                done = work(content, Deadline.after(context.time_remaining()))
            finally:
                with self._lock:
                    self._waiting -= 1
            if isinstance(done, bytes):
                return done
            del content
            return context.abort(*done)

        return call

    def _enter(self, context: grpc.ServicerContext) -> None:
        with self._lock:
            if not self._closing and self._waiting < MAX_WAITING:
                self._waiting += 1
                return
        reason = "The server is stopping" if self._closing else "Too many requests are waiting at this server"
        context.abort(StatusCode.UNAVAILABLE, reason)

    def _check_health(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        request = HealthCheckRequest()
        try:
            _parse(request, self._receive(requests, context))
        except RequestError as error:
            context.abort(error.code, error.message)
        return self._health.Check(request, context).SerializeToString()

    def _receive(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Returns the only message of a call; only handlers of streams start before this message has arrived."""
        with self._lock:
            self._receiving[context] = time.monotonic()
        try:
            return next(requests)
        except StopIteration:
            return context.abort(StatusCode.INTERNAL, "The call ended without a request")
        finally:
            with self._lock:
                del self._receiving[context]

    def _cancel_silent_calls(self) -> None:
        while True:
            time.sleep(RECEIVE_SECONDS / 30)
            limit = time.monotonic() - RECEIVE_SECONDS
            with self._lock:
                silent = [context for context, begun in self._receiving.items() if begun < limit]
            for context in silent:
                context.cancel()


def _parse(message: Message, content: bytes) -> None:
    try:
        message.ParseFromString(content)
    except DecodeError:
        raise RequestError(StatusCode.INTERNAL, f"The request is not a {message.DESCRIPTOR.name} message") from None


def _service(name: str, **methods: _Call) -> grpc.GenericRpcHandler:
    handlers = {method: grpc.stream_unary_rpc_method_handler(function) for method, function in methods.items()}
    return grpc.method_handlers_generic_handler(name, handlers)
