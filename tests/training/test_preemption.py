"""A run that is asked to stop saves a checkpoint at once; continued, it ends as the run that was never stopped."""

import contextlib
import signal
import subprocess

import numpy as np
import pytest

from farkeras.errors import Stopped
from farkeras.flagfiles import save_flagfile
from farkeras.metrics.history import read_history
from farkeras.training.preemption import StopRequest
from farkeras.training.reporting import Listener
from farkeras.training.run import train_and_evaluate
from tests.training.small_run import small_config
from tests.training.test_resume import figures, finish, num_lines, start, state

pytestmark = pytest.mark.core

SETTINGS = {"frozen_epochs": 0.5, "epochs": 0.75, "eval_every_epochs": 0.5, "patience": 9, "ema_decay": 0.9}
"""Steps 1 to 6 with a frozen backbone, 7 to 15 without; validations at steps 6, 12 and 15."""


@pytest.fixture(scope="module")
def untouched(faces_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("untouched")
    train_and_evaluate(small_config(faces_dir, **SETTINGS), workdir)
    return workdir


class StopAt(Listener):
    def __init__(self, step, stop):
        self.step, self.stop = step, stop

    def on_train(self, run, record):
        if record["step"] == self.step:
            self.stop("the test", 77)


def assert_same_end(workdir, untouched):
    expected, found = state(untouched), state(workdir)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)
    validations = [[r for r in figures(folder) if "validation" in r] for folder in (untouched, workdir)]
    assert validations[0] == validations[1]


@pytest.mark.long
def test_a_stopped_run_continues_even_if_a_validation_was_broken_off(faces_dir, untouched, tmp_path):
    """The requests come before the first step, within a phase, and during the validations of steps 6 and 15."""
    config = small_config(faces_dir, **SETTINGS)
    message = r"^The run was stopped \(the test\)\. The same command continues it from its "
    stop = StopRequest()
    stop("the test", 77)
    with pytest.raises(Stopped, match=message + r"start\.$"):
        train_and_evaluate(config, tmp_path, stop=stop)
    for step in (4, 6, 15):
        stop = StopRequest()
        with pytest.raises(Stopped, match=message + rf"checkpoint of step {step} of 15\.$") as stopped:
            train_and_evaluate(config, tmp_path, [StopAt(step, stop)], stop=stop)
        assert stopped.value.exit_code == 77
        last = read_history(tmp_path / "metrics.jsonl")[-1]
        assert last["step"] == step
        assert "validation" not in last
        assert state(tmp_path)["step/.ATTRIBUTES/VARIABLE_VALUE"] == step
    run = train_and_evaluate(config, tmp_path, stop=StopRequest())
    assert run.finished
    assert_same_end(tmp_path, untouched)


@pytest.mark.long
def test_the_compiled_loop_ends_after_the_current_step(faces_dir, untouched, tmp_path):
    config = small_config(faces_dir, **SETTINGS, steps_per_loop=6)
    stop = StopRequest()

    class Late(Listener):
        def on_start(self, run, step):
            flag = stop.flag()
            flag.assign(True)  # as during the first call of the compiled loop
            stop.flag = lambda: flag
            self.steps = []

        def on_train(self, run, record):
            self.steps.append(record["steps"])
            stop("the test")

    late = Late()
    with pytest.raises(Stopped, match="step 1 of 15"):
        train_and_evaluate(config, tmp_path, [late], stop=stop)
    assert late.steps == [1]
    train_and_evaluate(config, tmp_path)
    assert_same_end(tmp_path, untouched)


def test_sigterm_stops_the_command(faces_dir, untouched, tmp_path):
    save_flagfile(small_config(faces_dir, **SETTINGS), tmp_path / "flags")
    workdir = tmp_path / "run"
    process = start(tmp_path, workdir)
    while not num_lines(workdir / "metrics.jsonl") and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    process.send_signal(signal.SIGTERM)
    output = process.communicate()[0].decode()
    assert process.returncode == 143, output
    step = int(state(workdir)["step/.ATTRIBUTES/VARIABLE_VALUE"])
    said = f"The run was stopped (SIGTERM). The same command continues it from its checkpoint of step {step} of 15."
    assert output.splitlines()[-1] == said
    finish(start(tmp_path, workdir))
    assert_same_end(workdir, untouched)
