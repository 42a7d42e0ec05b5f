"""The first signal asks a run to stop, once it can; before that, and the second time, it ends the process."""

import signal
import subprocess
import sys
import threading

import pytest

from farkeras.cli.signals import stop_on_signals


class Request:
    """A `StopRequest` without TensorFlow."""

    def __init__(self, heeded):
        self.reason, self.heeded, self.made = "", heeded, threading.Event()

    def __call__(self, reason, exit_code):
        self.reason, self.exit_code = reason, exit_code
        self.made.set()


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_in_its_training_is_asked_to_stop(number, exit_code):
    before, stop = signal.getsignal(number), Request(heeded=True)
    with stop_on_signals(stop):
        signal.raise_signal(number)
        assert stop.made.wait(10)
    assert (stop.reason, stop.exit_code) == (number.name, exit_code)
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_before_the_training_a_signal_ends_the_process(number, error):
    stop = Request(heeded=False)
    with pytest.raises(error) as ended, stop_on_signals(stop):
        signal.raise_signal(number)
    assert not stop.made.is_set()
    if error is SystemExit:
        assert ended.value.code == 143


def test_the_second_signal_ends_a_process_that_is_busy_in_native_code():
    program = """
import signal
from farkeras.cli.signals import stop_on_signals
from tests.cli.test_signals import Request
stop = Request(heeded=True)
with stop_on_signals(stop):
    signal.raise_signal(signal.SIGTERM)
    stop.made.wait(10)
    signal.raise_signal(signal.SIGTERM)
    signal.pause()
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 143


def test_in_another_thread_the_handlers_stay():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with stop_on_signals(Request(heeded=True)):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
