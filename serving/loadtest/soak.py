"""Long load on a local server with hot swaps, hostile requests and signals, and the checks of its behaviour."""

import asyncio
import itertools
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np

from farkeras.clients.grpc_client import PREDICT
from farkeras.files import written_aside
from farkeras.testing.server import LocalServer, local_server
from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_array
from loadtest.findings import Findings
from loadtest.hostile import Hostile, hostile_requests
from loadtest.load import OPTIONS
from loadtest.steps import InProcess, predict_request

MODEL = "farkeras"
CALLERS = 8
"""Number of callers; each sends its next good request when its last one is answered."""
TOLERANCE = 5e-5
PORTS = {"port": 28500, "rest_port": 28501}
"""Ports of the server that is killed and of the server that replaces it."""


class Models:
    """Two models with different answers, published in turn as versions of one model."""

    def __init__(self, exports: Sequence[Path], files: Sequence[bytes], base: Path):
        """Prepares the expected answers.

        Args:
            exports: Two version folders of `write_saved_model`.
            files: Contents of JPEG files.
            base: Folder for the published versions.
        """
        self._exports, self.base, self.files = exports, base, files
        self.expected = [InProcess(export).probabilities(files) for export in exports]
        self.requests = [predict_request([file], MODEL) for file in files]
        if np.abs(self.expected[0] - self.expected[1]).max(axis=1).min() < 10 * TOLERANCE:
            raise ValueError("The answers of the two models are too similar to detect a wrong answer.")

    def publish(self, version: int) -> None:
        """Publishes a version; its folder appears complete or not at all."""
        with written_aside(self.base / str(version)) as aside:
            shutil.copytree(self._exports[version % 2], aside)

    def is_right(self, number: int, answer: bytes) -> tuple[int, bool]:
        """Returns the version that answered request `number`, and whether the answer has its probabilities."""
        response = pb.PredictResponse.FromString(answer)
        version = response.model_spec.version.value
        values = to_array(response.outputs["probabilities"])
        return version, bool(np.allclose(values, self.expected[version % 2][number], atol=TOLERANCE))


def soak(models: Models, num_requests: int, num_hostile: int, swap_seconds: float) -> Findings:
    """Sends good and hostile requests during hot swaps, then tests SIGTERM and SIGKILL under load.

    Args:
        models: Models to serve.
        num_requests: Number of good requests.
        num_hostile: Number of hostile requests, spread over the good ones.
        swap_seconds: Seconds between two new versions.
    """
    findings = Findings()
    models.publish(1)
    with local_server(f"--model_dir={models.base}") as server:
        hostile = hostile_requests(server.address, server.rest_address, MODEL, models.files[0])
        with _every(swap_seconds, lambda: _swap(models, findings)), _every(0.2, lambda: _weigh(server, findings)):
            every = max(1, num_requests // max(1, num_hostile))
            after = {every * n: hostile[n % len(hostile)] for n in range(num_hostile)}
            asyncio.run(_mixed_load(server, models, num_requests, after, findings))
        findings.require(server.process.poll() is None, "the server ended")
        findings.require(not server.process.poll() and _answers(server, models), "the server no longer answers")
    findings.require(findings.good == {"OK": num_requests}, f"good requests: {dict(findings.good)}")
    findings.require(not findings.improper, f"hostile requests: {findings.improper}")
    quarters = findings.quarters_of_memory()
    findings.require(quarters[3] < 1.25 * quarters[1], f"memory grows: {quarters} MiB")
    findings.require(max(findings.memory) < findings.memory[0] + 3072, f"memory: {max(findings.memory):.0f} MiB")
    findings.require(len(findings.versions) > 1 or findings.swaps < 1, "no swap was observed")
    _end_gracefully(models, findings)
    _kill_and_start_again(models, findings)
    return findings


async def _mixed_load(
    server: LocalServer, models: Models, num_requests: int, after: Mapping[int, Hostile], findings: Findings
) -> None:
    """Sends good requests, and after some of them the hostile request that `after` holds for their number."""
    numbers = itertools.count()

    async def caller() -> None:
        async with grpc.aio.insecure_channel(server.address, options=OPTIONS) as channel:
            call = channel.unary_unary(PREDICT)
            while (number := next(numbers)) < num_requests:
                await _good(call, models, number, findings)
                if number in after:
                    await _bad(after[number], findings)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _good(call: grpc.aio.UnaryUnaryMultiCallable, models: Models, number: int, findings: Findings) -> bool:
    """Sends a good request, and returns whether it was answered."""
    begun, image = time.monotonic(), number % len(models.files)
    try:
        answer = await call(models.requests[image], timeout=60)
    except grpc.aio.AioRpcError as error:
        findings.good[error.code().name] += 1
        return False
    findings.latencies.append(time.monotonic() - begun)
    version, right = models.is_right(image, answer)
    findings.versions.add(version)
    findings.good["OK" if right else "WRONG"] += 1
    return True


async def _bad(request: Hostile, findings: Findings) -> None:
    try:
        answer = await request.send()
    except OSError as error:
        answer = type(error).__name__
    findings.hostile[request.name][answer] += 1
    if answer not in request.proper:
        findings.improper.append(f"{request.name}: {answer}")


def _swap(models: Models, findings: Findings) -> None:
    findings.swaps += 1
    models.publish(findings.swaps + 1)
    for path in models.base.iterdir():  # old versions would fill the disk
        if path.name.isdigit() and int(path.name) < findings.swaps - 1:
            shutil.rmtree(path)


def _weigh(server: LocalServer, findings: Findings) -> None:
    resident_pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    findings.memory.append(resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def _end_gracefully(models: Models, findings: Findings) -> None:
    """Checks SIGTERM under load: pending requests are answered, and the exit code is 0."""
    with local_server(f"--model_dir={models.base}") as server:
        codes, seconds = asyncio.run(_until_it_ends(server, models, signal.SIGTERM))
        code = server.process.wait(30)
    findings.notes.append(f"SIGTERM under load: {dict(codes)}, exit code {code} after {seconds:.1f} s")
    findings.require(codes["OK"] > 0 and set(codes) <= {"OK", "UNAVAILABLE"}, f"SIGTERM: {dict(codes)}")
    findings.require(code == 0, f"SIGTERM: exit code {code}")


def _kill_and_start_again(models: Models, findings: Findings) -> None:
    """Checks SIGKILL under load: a new server on the same ports answers soon."""
    with local_server(f"--model_dir={models.base}", **PORTS) as server:
        asyncio.run(_until_it_ends(server, models, signal.SIGKILL))
    begun = time.monotonic()
    with local_server(f"--model_dir={models.base}", **PORTS) as server:
        answers, seconds = _answers(server, models), time.monotonic() - begun
        work = _processor_seconds(server)
    findings.notes.append(
        f"SIGKILL under load: the next server answers {seconds:.1f} s after its start ({work:.1f} s of CPU time)"
    )
    findings.require(answers and seconds < 10, f"SIGKILL: correct answer {answers}, after {seconds:.1f} s")


async def _until_it_ends(server: LocalServer, models: Models, number: int) -> tuple[Counter[str], float]:
    """Sends load, a signal after two seconds, and more load until the server no longer answers.

    Returns:
        Number of answers by code, and the seconds from the signal until the process ended.
    """
    findings, ended = Findings(), asyncio.Event()

    async def caller(first: int) -> None:
        async with grpc.aio.insecure_channel(server.address, options=OPTIONS) as channel:
            call = channel.unary_unary(PREDICT)
            for turn in itertools.count(first):
                if not await _good(call, models, turn, findings) and ended.is_set():
                    return

    async def end() -> float:
        await asyncio.sleep(2)
        server.process.send_signal(number)
        ended.set()
        begun = time.monotonic()
        await asyncio.to_thread(server.process.wait, 60)
        return time.monotonic() - begun

    seconds, _ = await asyncio.gather(end(), asyncio.gather(*map(caller, range(CALLERS))))
    return findings.good, seconds


def _answers(server: LocalServer, models: Models) -> bool:
    with grpc.insecure_channel(server.address) as channel:
        answer = channel.unary_unary(PREDICT)(models.requests[0], timeout=30)
    return models.is_right(0, answer)[1]


def _processor_seconds(server: LocalServer) -> float:
    values = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(seconds):
            action()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
