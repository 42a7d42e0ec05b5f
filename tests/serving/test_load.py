"""Load and hostile requests, a little of each; `make soak` has much."""

import asyncio
import json

import numpy as np
import pytest
import tensorflow as tf

from loadtest.hostile import hostile_requests
from loadtest.load import closed_loop, grpc_caller, open_loop
from loadtest.steps import InProcess, closed_step, in_process_comparison, open_step, predict_requests, write
from tests.serving.target import code_of


@pytest.fixture(scope="module")
def photo(models) -> bytes:
    return (models / "faces" / "face.jpg").read_bytes()


@pytest.fixture(scope="module")
def version(models):
    return models / "faces" / "1"


def test_closed_loop(serving_target, photo):
    requests, _ = predict_requests([photo] * 3, 2, "faces")
    load = closed_loop(lambda: grpc_caller(serving_target.address, requests), 3, 0.3)
    assert load.codes == {"OK": len(load.latencies)}
    assert len(load.latencies) >= 3, "each caller has at least one"
    assert 0.3 <= load.seconds < 10
    assert load.milliseconds(50) <= load.milliseconds(99)


def test_open_loop(serving_target, photo):
    requests, _ = predict_requests([photo], 1, "faces")
    load = asyncio.run(open_loop(serving_target.address, requests, 50, 0.4))
    sent = np.cumsum(np.random.default_rng(0).exponential(1 / 50, 100)) <= 0.4
    assert load.codes == {"OK": sent.sum()}, "the times are given by the seed"


def test_errors_are_counted_by_code(serving_target, photo):
    requests, _ = predict_requests([photo], 1, "missing")
    load = closed_loop(lambda: grpc_caller(serving_target.address, requests), 1, 0.01)
    assert set(load.codes) == {"NOT_FOUND"}
    assert np.isnan(load.milliseconds(50))


def test_steps(serving_target, photo, version, tmp_path):
    requests, parts = predict_requests([photo], 1, "faces")
    steps = [
        closed_step(serving_target.address, requests, 2, 0.3, in_process_comparison(version, parts)),
        open_step(serving_target.address, requests, 50, 0.1),
    ]
    write(steps, tmp_path)
    closed, opened = json.loads((tmp_path / "load.json").read_text())
    assert (closed["step"], opened["step"], opened["ratio"]) == ("2 callers", "50 requests/s", None)
    assert closed["ratio"] > 0
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def test_in_process_numbers_are_the_servers(serving_target, photo, version):
    served = serving_target.values("faces", {"bytes": np.array([photo], object)})["probabilities"]
    np.testing.assert_allclose(InProcess(version).probabilities([photo]), served, atol=1e-6)


def test_threads_of_the_session(version, monkeypatch):
    configs, session = [], tf.compat.v1.Session
    monkeypatch.setattr(tf.compat.v1, "Session", lambda graph, config: configs.append(config) or session(graph=graph))
    InProcess(version)
    InProcess(version, intra_op=3, inter_op=2)
    threads = [(config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) for config in configs]
    assert threads == [(0, 0), (3, 2)]


def test_hostile_requests_get_their_codes(serving_target, photo):
    for request in hostile_requests(serving_target.address, serving_target.rest_address, "faces", photo, 2**23):
        assert asyncio.run(request.send()) in request.proper, request.name
    assert code_of(lambda: serving_target.values("faces", {"bytes": np.array([photo], object)})) == "OK"
