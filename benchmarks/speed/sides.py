"""Processes that take turns, so that other load on the machine affects all sides of a comparison alike."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np

from farkeras.errors import FarkerasError

_PAUSE = 0.03  # seconds before a turn; the threads of the side before it stop waiting for work in this time
_IDLE = 0.5  # seconds in which sides that wait must not use the processor
_MOST_IDLE_USE = 0.1  # cores


class Side(NamedTuple):
    """What a process of a comparison measures.

    Attributes:
        name: Its name in the comparison.
        factory: The function `module:name` that builds it, see `speed.worker`.
        arguments: Keyword arguments of the function, JSON-ready.
        calls: Number of timed calls in a turn.
    """

    name: str
    factory: str
    arguments: Mapping[str, Any]
    calls: int = 1


@dataclass
class Measured:
    """The measurements of a side, one for each round.

    Attributes:
        seconds: Mean time of a call in seconds.
        memory: Peak memory of the process beyond that of its imports, in bytes.
    """

    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def times(self) -> np.ndarray:
        """`seconds` as an array."""
        return np.array(self.seconds)


def take_turns(sides: Sequence[Side], rounds: int, together: bool = False) -> dict[str, Measured]:
    """Measures all sides in turns, each in its own process.

    The sides are built before the first round. The order of the turns is reversed in every other round, so that no side
    always follows the same other one.

    Args:
        sides: The sides, with different names.
        rounds: Number of turns of each side.
        together: Whether all sides are built at the same time, not one after the other.

    Returns:
        The measurements by the name of the side.

    Raises:
        FarkerasError: A process ended, or used the processor while it waited for its turn.
    """
    measured = {side.name: Measured() for side in sides}
    with ExitStack() as stack:
        workers = []
        for side in sides:
            workers.append((side, stack.enter_context(_process(side))))
            if not together:
                workers[-1][1].receive()
        if together:
            for _, worker in workers:
                worker.receive()
        check_idle([worker for _, worker in workers])
        for number in range(rounds):
            for side, worker in workers[:: -1 if number % 2 else 1]:
                time.sleep(_PAUSE)
                found = worker.ask(side.calls)
                measured[side.name].seconds.append(found["seconds"])
                measured[side.name].memory.append(found["memory"])
    return measured


def alone(name: str, factory: str, **arguments: Any) -> Any:
    """Calls a function `module:name` once, in a process of its own, and returns its result.

    Args:
        name: What it does, for the message of an error.
        factory: The function.
        **arguments: Its keyword arguments, JSON-ready.

    Raises:
        FarkerasError: The function raised an error.
    """
    with _process(Side(name, factory, arguments)) as worker:
        return worker.receive()


@dataclass
class Worker:
    """The process of a side."""

    side: Side
    process: subprocess.Popen
    log: IO[bytes]

    def receive(self) -> Any:
        """Waits for the next answer; the first comes when the process has built its side."""
        try:
            return pickle.load(cast(IO[bytes], self.process.stdout))
        except (EOFError, pickle.UnpicklingError, OSError):
            self.process.wait()
            self.log.seek(0)
            lines = [line for line in self.log.read().decode(errors="replace").splitlines() if line.strip()]
            reason = lines[-1].strip() if lines else "its process ended without a message"
            reason = reason.removeprefix("farkeras.errors.FarkerasError: ")
            raise FarkerasError(f"The side '{self.side.name}' cannot be measured: {reason}") from None

    def ask(self, calls: int) -> Any:
        requests = cast(IO[bytes], self.process.stdin)
        try:
            pickle.dump(calls, requests)
            requests.flush()
        except OSError:  # the process has ended, and `receive` says why
            pass
        return self.receive()

    def processor_seconds(self) -> float:
        """Returns the processor time that the process has used; 0 where the system does not say."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _process(side: Side) -> Iterator[Worker]:
    command = [sys.executable, "-m", "speed.worker", side.factory, json.dumps(dict(side.arguments))]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Threads of Intel's OpenMP would wait for the next call with the processor in use.
    environment = {**os.environ, "PYTHONPATH": paths, "KMP_BLOCKTIME": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Some systems set them for old builds of OpenBLAS; they slow a current one.
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        environment.pop(name, None)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment)
        worker = Worker(side, process, log)
        try:
            yield worker
        finally:
            process.kill()
            process.communicate()


def check_idle(workers: Sequence[Worker]) -> None:
    """Raises `FarkerasError` if a process that waits for its turn uses the processor."""
    time.sleep(_IDLE)
    before = [worker.processor_seconds() for worker in workers]
    time.sleep(_IDLE)
    for worker, used in zip(workers, before, strict=True):
        share = (worker.processor_seconds() - used) / _IDLE
        if share > _MOST_IDLE_USE:
            raise FarkerasError(
                f"The side '{worker.side.name}' uses {share:.1f} cores while it waits for its turn, which would slow "
                "the others. Repeat the command; if it happens again, its threads need a setting that lets them sleep."
            )
