"""Processes that take turns."""

import io
import os
import pickle
import select
import subprocess
import sys

import pytest

from farkeras.errors import FarkerasError
from speed import sides, worker
from speed.machine import ROOT
from speed.sides import Side, alone, take_turns

TINY = "tests.benchmarks.tiny_sides"


def test_sides_take_turns_and_their_times_are_paired():
    slow, fast = (Side(name, f"{TINY}:sleeper", {"milliseconds": ms}, 2) for name, ms in (("slow", 6), ("fast", 1)))
    measured = take_turns([slow, fast], 3)
    assert list(measured) == ["slow", "fast"]
    assert len(measured["slow"].times) == len(measured["fast"].memory) == 3
    assert all(measured["slow"].times >= 0.006)  # the mean of two calls
    assert all(measured["fast"].times >= 0.001)


@pytest.mark.parametrize("together", [False, True])
def test_a_side_that_fails_says_why(together):
    sides = [Side("old", f"{TINY}:sleeper", {"milliseconds": 1}), Side("new", f"{TINY}:failing", {})]
    with pytest.raises(FarkerasError, match="The side 'new' cannot be measured: ValueError: no such device"):
        take_turns(sides, 1, together)


def test_a_side_ends_with_the_measurement():
    started = (
        "import pickle, sys; sys.path.insert(0, 'benchmarks')\n"
        "from speed.sides import Side, _process\n"
        f"with _process(Side('long', '{TINY}:sleeper', {{'milliseconds': 10}})) as worker:\n"
        "    worker.receive(); pickle.dump(6000, worker.process.stdin); worker.process.stdin.flush()\n"
        "    print(worker.process.pid, flush=True); worker.receive()\n"
    )
    with subprocess.Popen([sys.executable, "-c", started], stdout=subprocess.PIPE, cwd=ROOT) as measurement:
        side = os.pidfd_open(int(measurement.stdout.readline()))
        measurement.kill()
    assert select.select([side], [], [], 10)[0]  # readable when the process has ended
    os.close(side)


class Waiting:
    """A worker that uses `cores` while it waits."""

    def __init__(self, cores):
        self.side, self.used, self.cores = Side("PyTorch", "", {}), 10.0, cores

    def processor_seconds(self):
        self.used += 0.5 * self.cores  # half a second passes between two looks
        return self.used


def test_a_side_that_does_not_sleep_is_an_error(monkeypatch):
    monkeypatch.setattr(sides.time, "sleep", lambda seconds: None)
    sides.check_idle([Waiting(0.05)])
    with pytest.raises(FarkerasError, match=r"The side 'PyTorch' uses 0\.8 cores while it waits for its turn"):
        sides.check_idle([Waiting(0.05), Waiting(0.8)])


def test_a_function_that_returns_a_value_is_called_once_alone():
    assert alone("double", f"{TINY}:double", number=21) == 42


def test_one_call_is_timed_alone_and_several_after_one_more():
    calls = []
    found = worker.turn(lambda: calls.append(1), 1)
    assert len(calls) == 1
    assert found["seconds"] >= 0
    worker.turn(lambda: calls.append(1), 3)
    assert len(calls) == 1 + 4


def test_queued_calls_are_waited_for():
    done = []

    class Queued:
        def __call__(self):
            done.append("call")

        def wait(self):
            done.append("wait")

    worker.turn(Queued(), 2)
    assert done == ["call", "wait", "call", "call", "wait"]


def test_a_side_may_know_its_memory():
    def call():
        return None

    call.memory = 5.0
    assert worker.turn(call, 1)["memory"] == 5


def test_requests_are_answered_until_they_end():
    requests, answers = io.BytesIO(pickle.dumps(1) + pickle.dumps(2)), io.BytesIO()
    worker.answer(requests, answers, lambda: None, 0.0)
    answers.seek(0)
    assert [sorted(pickle.load(answers)) for _ in range(2)] == [["memory", "seconds"]] * 2
