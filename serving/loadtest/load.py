"""Load on a server from callers that wait for each answer (closed loop), or at given times (open loop)."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np

from farkeras.clients.grpc_client import PREDICT

OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # one connection per caller
)
TIMEOUT = 60.0
"""Seconds that a request may take."""


@dataclass
class Load:
    """Answers to a load.

    Attributes:
        seconds: Duration of the load in seconds.
        latencies: Seconds until each OK answer; in an open loop, from the time at which the request was due.
        codes: Number of answers with each code.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def throughput(self) -> float:
        """OK answers per second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, percentile: float) -> float:
        """Returns a percentile of the latencies in milliseconds; NaN without an OK answer."""
        return 1e3 * float(np.percentile(self.latencies, percentile)) if self.latencies else float("nan")

    def add(self, other: "Load") -> None:
        """Adds another part of the same load."""
        self.seconds += other.seconds
        self.latencies += other.latencies
        self.codes += other.codes


Caller = AbstractContextManager[Callable[[int], str]]
"""Context with a function that sends the request of a given number, waits for the answer and returns its code."""


def closed_loop(caller: Callable[[], Caller], callers: int, seconds: float) -> Load:
    """Runs callers, each of which sends its next request when its last one is answered.

    Args:
        caller: Creates a caller; each caller runs in its own thread.
        callers: Number of callers.
        seconds: Seconds after which no request is sent.
    """
    load, start = Load(), time.monotonic()

    def work(number: int) -> Load:
        part = Load()
        with caller() as send:
            while (begun := time.monotonic()) < start + seconds:
                code = send(number)
                part.codes[code] += 1
                if code == "OK":
                    part.latencies.append(time.monotonic() - begun)
                number += callers
        return part

    with ThreadPoolExecutor(callers) as threads:
        for part in threads.map(work, range(callers)):
            load.add(part)
    load.seconds = time.monotonic() - start
    return load


@contextmanager
def grpc_caller(address: str, requests: Sequence[bytes]) -> Iterator[Callable[[int], str]]:
    """Creates a caller with its own connection to host:port; it sends the serialised requests in turn."""
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        call = channel.unary_unary(PREDICT)

        def send(number: int) -> str:
            try:
                call(requests[number % len(requests)], timeout=TIMEOUT)
            except grpc.RpcError as error:
                return error.code().name
            return "OK"

        yield send


async def open_loop(address: str, requests: Sequence[bytes], rate: float, seconds: float) -> Load:
    """Sends requests at random times (a Poisson process), whether or not the server keeps up.

    Args:
        address: Address of the gRPC server, as host:port.
        requests: Serialised `PredictRequest` messages, sent in turn.
        rate: Requests per second.
        seconds: Seconds after which no request is sent.
    """
    gaps = np.random.default_rng(0).exponential(1 / rate, int(2 * rate * seconds) + 100)
    load, start, sent = Load(), time.monotonic(), []

    async def send(answer: Awaitable[object], due: float) -> None:
        code = await code_of(answer)
        load.codes[code] += 1
        if code == "OK":
            load.latencies.append(time.monotonic() - due)

    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        call = channel.unary_unary(PREDICT)
        for turn, due in enumerate(start + np.cumsum(gaps)):
            if due > start + seconds:
                break
            await asyncio.sleep(due - time.monotonic())
            answer = call(requests[turn % len(requests)], timeout=TIMEOUT)
            sent.append(asyncio.create_task(send(answer, due)))
        await asyncio.gather(*sent)
    load.seconds = time.monotonic() - start
    return load


async def code_of(answer: Awaitable[object]) -> str:
    """Returns the code with which a call of `grpc.aio` ends."""
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"
