"""Calls that wait at the local server's gRPC: for their request, for their turn, for the end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from farkeras.clients.grpc_client import PREDICT
from farkeras.serving import grpc_server
from farkeras.serving.answers import Answers
from farkeras.serving.gate import Gate
from farkeras.serving.metrics import Metrics
from farkeras.wire.protos import serving_pb2 as pb
from tests.serving.target import code_of, eventually


class NoModels:
    """In place of `Models`, where none is to run."""

    def label(self, name):
        return name


class Held(Answers):
    """Answers when it may."""

    def __init__(self):
        super().__init__(NoModels(), Metrics())
        self.begun, self.go_on = 0, threading.Event()

    def predict(self, request, deadline):
        self.begun += 1
        self.go_on.wait(30)
        return pb.PredictResponse(model_spec=request.model_spec)


@pytest.fixture
def answers():
    held = Held()
    yield held
    held.go_on.set()


@pytest.fixture
def server(answers):
    """One that lets in one request at a time; not yet started."""
    return grpc_server.GrpcServer(answers, "127.0.0.1", 0, Gate(1))


@contextmanager
def channel_to(server):
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


def health(channel):
    return channel.unary_unary("/grpc.health.v1.Health/Check")(b"", 5)


def predict(channel, timeout=30):
    return channel.unary_unary(PREDICT)(pb.PredictRequest(model_spec={"name": "m"}).SerializeToString(), timeout)


def test_a_call_whose_request_does_not_come_is_cancelled(server, answers, monkeypatch, caplog):
    monkeypatch.setattr(grpc_server, "RECEIVE_SECONDS", 0.1)
    with channel_to(server) as channel:
        never = threading.Event()
        assert code_of(lambda: channel.stream_unary(PREDICT)(iter(never.wait, True), 30)) == "CANCELLED"
        never.set()
        answers.go_on.set()
        assert pb.PredictResponse.FromString(predict(channel)).model_spec.name == "m"
    assert not caplog.records


@pytest.mark.parametrize("seconds", [None, 1e9])
def test_a_deadline_far_away_and_none_at_all(server, answers, seconds):
    with channel_to(server) as channel, ThreadPoolExecutor(2) as threads:
        sent = [threads.submit(code_of, lambda: predict(channel, seconds)) for _ in range(2)]
        eventually(lambda: answers.begun == 1)
        answers.go_on.set()
        assert [one.result() for one in sent] == ["OK", "OK"]


def test_a_call_that_ends_without_a_request(server):
    with channel_to(server) as channel:
        assert code_of(lambda: channel.stream_unary(PREDICT)(iter(()), 30)) == "INTERNAL"


def test_too_many_requests(server, answers, monkeypatch):
    monkeypatch.setattr(grpc_server, "MAX_WAITING", 1)
    with channel_to(server) as channel, ThreadPoolExecutor(1) as threads:
        first = threads.submit(predict, channel)
        eventually(lambda: answers.begun == 1)
        assert code_of(lambda: predict(channel)) == "UNAVAILABLE"
        answers.go_on.set()
        first.result()
        assert code_of(lambda: predict(channel)) == "OK"


def test_a_deadline_passes_before_the_turn_comes(server, answers):
    with channel_to(server) as channel, ThreadPoolExecutor(1) as threads:
        first = threads.submit(predict, channel)
        eventually(lambda: answers.begun == 1)
        assert code_of(lambda: predict(channel, 0.2)) == "DEADLINE_EXCEEDED"
        eventually(lambda: server._waiting == 1)  # the deadline has passed for the server, too
        answers.go_on.set()
        first.result()
    assert answers.begun == 1, "nobody waits for the second answer: it is not worked on"


def test_what_has_come_is_answered_and_the_rest_refused(server, answers):
    with channel_to(server) as channel, ThreadPoolExecutor(2) as threads:
        first = threads.submit(predict, channel)
        eventually(lambda: answers.begun == 1)
        assert health(channel) == b"\x08\x01", "SERVING"
        drained = threads.submit(server.drain, 30)
        eventually(lambda: code_of(lambda: predict(channel, 5)) == "UNAVAILABLE")
        assert health(channel) == b"\x08\x02", "NOT_SERVING"
        answers.go_on.set()
        assert pb.PredictResponse.FromString(first.result()).model_spec.name == "m"
        drained.result()


def test_draining_ends_when_the_time_is_over(server, answers):
    with channel_to(server) as channel, ThreadPoolExecutor(1) as threads:
        threads.submit(predict, channel)
        eventually(lambda: answers.begun == 1)
        begun = time.monotonic()
        server.drain(0.1)
        assert time.monotonic() - begun < 10
        answers.go_on.set()
