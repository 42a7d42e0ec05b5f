"""What `python -m farkeras.serve` is beside TF Serving's contract."""

import gzip
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from farkeras.testing.server import local_server
from tests.serving.target import PREDICTION, Target, code_of, eventually

X = np.ones((1, 3), np.float32)


@pytest.fixture(scope="session")
def shared(serving_target, pytestconfig):
    """The server of the conformance suite, where it is a local one."""
    if pytestconfig.getoption("serving_target") or pytestconfig.getoption("serving_rest_target"):
        pytest.skip("speaks of the local server only")
    return serving_target


def test_batches_and_a_graceful_end(models, tmp_path):
    parameters = tmp_path / "batching.config"
    parameters.write_text(
        "max_batch_size { value: 4 } batch_timeout_micros { value: 50000 } num_batch_threads { value: 2 }"
    )
    parallelism = "--tensorflow_intra_op_parallelism=1", "--tensorflow_inter_op_parallelism=2"
    flags = f"--model_dir={models / 'numbers'}", "--model_name=m", f"--batching_parameters_file={parameters}"
    with local_server(*flags, *parallelism) as server:
        target = Target(server.address, server.rest_address, models)
        with ThreadPoolExecutor(8) as threads:
            sent = [float(number) * X for number in range(32)]
            answers = list(threads.map(lambda x: target.values("m", {"x": x})["y"], sent))
            np.testing.assert_array_equal(answers, [3 * x for x in sent])
            assert batches(target) < 32, "none was merged"
            many = np.ones((5, 3), np.float32)
            assert code_of(lambda: target.predict("m", {"x": many})) == "INVALID_ARGUMENT"

            # SIGTERM: what is under way is answered, over gRPC and REST.
            before, steps = batches(target), [300] * 4  # a full batch, which does not wait
            slow = threads.submit(target.values, "m", {"steps": np.array(steps, np.int32)}, signature="slow")
            rest = threads.submit(target.rest, "/v1/models/m:predict", {"signature_name": "slow", "inputs": steps})
            eventually(lambda: batches(target) == before + 2)
            server.process.send_signal(signal.SIGTERM)
            assert slow.result()["done"].tolist() == steps
            assert rest.result() == (200, {"outputs": steps})
        assert server.process.wait(30) == 0
        printed = server.output.read_text()
    assert "Model m, version 3: http://127.0.0.1:" in printed
    assert "For development and tests. In production use TF Serving, with the recipes in serving/.\n" in printed
    assert code_of(lambda: target.predict("m", {"x": X}, 5)) == "UNAVAILABLE"


def test_slow_clients_hold_up_nobody(shared):
    begun, go_on = [], threading.Event()
    connections = [socket.create_connection(address(shared.rest_address)) for _ in range(50)]
    try:
        for connection in connections:
            connection.sendall(b"POST /v1/models/latest:predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{")
        for _ in range(50):  # calls whose message does not come
            begun.append(shared.channel.stream_unary(PREDICTION + "Predict").future(iter(go_on.wait, True)))
        assert shared.rest("/v1/models/latest:predict", {"instances": X.tolist()})[0] == 200
        assert code_of(lambda: shared.predict("latest", {"x": X})) == "OK"
    finally:
        for call in begun:
            call.cancel()
        go_on.set()
        for connection in connections:
            connection.close()


def test_names_of_attributes(shared):
    status, values = shared.rest("/v1/models/faces/farkeras.json")
    assert (status, values["attributes"]) == (200, ["a", "b", "c"])
    assert shared.rest("/v1/models/faces/versions/1/farkeras.json") == (200, values)
    assert shared.rest("/v1/models/latest/farkeras.json")[0] == 404


def test_metrics(shared):
    def count(status):
        text = metrics(shared)
        found = re.search(rf'request_count{{model_name="all",status="{status}"}} (\d+)', text)
        return int(found[1]) if found else 0

    before = count("OK"), count("INVALID_ARGUMENT")
    shared.predict("all", {"x": X})
    shared.rest("/v1/models/all:predict", {"instances": X.tolist()})
    code_of(lambda: shared.predict("all", {}))
    assert (count("OK"), count("INVALID_ARGUMENT")) == (before[0] + 2, before[1] + 1)
    assert "missing" not in metrics(shared), "a name that a caller made up"


def test_health(shared):
    check = "/grpc.health.v1.Health/Check"
    assert shared.raw(check, b"") == b"\x08\x01"
    name = b"tensorflow.serving.PredictionService"
    assert shared.raw(check, b"\n" + bytes([len(name)]) + name) == b"\x08\x01"
    assert code_of(lambda: shared.raw(check, b"\n\x05other")) == "NOT_FOUND"


PREDICT = "POST /v1/models/all:predict HTTP/1.1\r\n"


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_content_in_chunks_and_as_gzip(shared, zipped, chunked):
    content = json.dumps({"instances": X.tolist()}).encode()
    content = gzip.compress(content) if zipped else content
    connection = http.client.HTTPConnection(*address(shared.rest_address))
    for _ in range(2):  # the connection is kept
        parts = iter([content[:5], content[5:]]) if chunked else content
        headers = {"Content-Encoding": "gzip"} if zipped else {}
        connection.request("POST", "/v1/models/all:predict", parts, headers)
        answer = connection.getresponse()
        expected = shared.rest("/v1/models/all:predict", {"instances": X.tolist()})
        assert (answer.status, json.loads(answer.read())) == expected
    connection.close()


def test_head(shared):
    connection = http.client.HTTPConnection(*address(shared.rest_address))
    lengths = []
    for method in ("HEAD", "GET"):
        connection.request(method, "/v1/models/all/metadata")
        answer = connection.getresponse()
        lengths.append((answer.status, answer.headers["Content-Length"]))
        assert bool(answer.read()) == (method == "GET")
    assert lengths[0] == lengths[1]
    connection.close()


@pytest.mark.parametrize(
    ("status", "request_text"),
    [
        (411, PREDICT + "\r\n"),
        (415, PREDICT + "Content-Length: 9\r\nContent-Encoding: br\r\n\r\n"),
        (400, PREDICT + "Content-Length: 3\r\nContent-Encoding: gzip\r\n\r\n{}\n"),
        (400, PREDICT + "Transfer-Encoding: chunked\r\n\r\nno length\r\n"),
        (400, PREDICT + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n"),
        (413, PREDICT + "Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n"),
        (501, "BREW / HTTP/1.1\r\n\r\n"),
        (400, "nonsense\r\n\r\n"),
        (404, "GET /elsewhere HTTP/1.1\r\nConnection: close\r\n\r\n"),
    ],
)
def test_http_that_is_not_spoken(shared, status, request_text):
    with socket.create_connection(address(shared.rest_address)) as connection:
        connection.sendall(request_text.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert list(json.loads(body)) == ["error"]


def test_a_connection_is_kept(shared):
    with socket.create_connection(address(shared.rest_address)) as connection:
        reader = connection.makefile("rb")
        for _ in range(2):
            connection.sendall(b"GET /v1/models/latest HTTP/1.1\r\n\r\n")
            assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
            length = next(int(line.split(b":")[1]) for line in reader if line.lower().startswith(b"content-length"))
            while reader.readline() != b"\r\n":
                pass
            reader.read(length)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Give either --model_dir=FOLDER or --model_config_file=FILE."),
        (["--model_dir=a", "--model_config_file=b"], "Give either --model_dir=FOLDER or --model_config_file=FILE."),
        (["--model_dir=a", "surplus"], "Unexpected argument 'surplus'. Give settings as --name=value."),
    ],
)
def test_wrong_command(flags, message):
    done = subprocess.run([sys.executable, "-m", "farkeras.serve", *flags], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {message}\n")


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def metrics(target):
    with urllib.request.urlopen(f"http://{target.rest_address}/monitoring/prometheus/metrics") as response:
        return response.read().decode()


def batches(target):
    return int(re.search(r"processed_batch_size_count{.*} (\d+)", metrics(target))[1])
