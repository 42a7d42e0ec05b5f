"""Two processes on this machine train as one does, and survive SIGKILL of either and SIGTERM.

The processes start slowly, so one run goes through everything: the chief is killed, then the other worker, then one
gets SIGTERM, and at the end the run equals that of one process.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from farkeras.data.service import start_server
from farkeras.flagfiles import save_flagfile
from farkeras.metrics.history import read_history
from farkeras.models.model_file import load_model
from farkeras.training.run import train_and_evaluate
from tests.training.small_run import small_config
from tests.training.test_resume import figures, num_lines, state


@pytest.fixture(scope="module")
def faces(faces_dir, tmp_path_factory):
    """The faces, of which one cannot be decoded: the batches then depend on what every worker leaves out."""
    folder = tmp_path_factory.mktemp("damaged") / "faces"
    shutil.copytree(faces_dir, folder)
    (folder / "img_align_celeba/000009.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def config(faces):
    return small_config(
        faces,
        precision="float64",
        sync_batch_norm=True,
        epochs=1.5,
        augment_shift=0.1,
        eval_every_epochs=0.5,
        checkpoint_every_steps=2,
        steps_per_loop=2,
    )


class Pair:
    """Two workers with the same command, as on two machines. Only the chief's workdir is used."""

    def __init__(self, folder, workdirs):
        self.names = []
        with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as two:
            self.names = [f"localhost:{server.getsockname()[1]}" for server in (one, two)]
        self.processes = []
        for index, workdir in enumerate(workdirs):
            place = {"cluster": {"worker": self.names}, "task": {"type": "worker", "index": index}}
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "farkeras.train", f"--flagfile={folder}/flags", f"--workdir={workdir}"],
                    env=os.environ | {"TF_CONFIG": json.dumps(place)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )

    def wait_for_line(self, metrics, number):
        while num_lines(metrics) < number and self.processes[0].poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.processes[0].wait(timeout=0.02)

    def ends(self):
        """The exit codes and outputs."""
        outputs = [process.communicate()[0] for process in self.processes]
        return [process.returncode for process in self.processes], outputs


@pytest.mark.core
def test_two_workers_end_as_one_process(config, tmp_path):
    save_flagfile(config, tmp_path / "flags")
    workdirs = tmp_path / "chief", tmp_path / "other"
    metrics = workdirs[0] / "metrics.jsonl"
    dice = random.Random()
    lines = sorted(dice.sample(range(1, 6), 2))
    for killed, line in enumerate(lines):
        pair = Pair(tmp_path, workdirs)
        pair.wait_for_line(metrics, line)
        pair.processes[killed].kill()
        began = time.monotonic()
        codes, outputs = pair.ends()
        assert codes[killed] == -signal.SIGKILL, outputs[killed]
        assert codes[1 - killed] == 75, outputs[1 - killed]
        assert time.monotonic() - began < 60
        assert outputs[1 - killed].splitlines()[-1] == (
            f"error: Worker {killed} ({pair.names[killed]}) was lost (its process ended). Start the same command for "
            "every worker again; it continues from the last checkpoint."
        )

    pair = Pair(tmp_path, workdirs)
    pair.wait_for_line(metrics, lines[1] + 1)
    pair.processes[1].send_signal(signal.SIGTERM)
    codes, outputs = pair.ends()
    assert codes == [143, 143], outputs
    step = read_history(metrics)[-1]["step"]
    for output in outputs:
        assert output.splitlines()[-1] == (
            f"The run was stopped (SIGTERM of worker 1 ({pair.names[1]})). The same command continues it from its "
            f"checkpoint of step {step} of 18."
        )

    codes, outputs = Pair(tmp_path, workdirs).ends()
    assert codes == [0, 0], outputs
    assert not workdirs[1].exists(), "only the chief writes"

    one = tmp_path / "one"
    train_and_evaluate(config, one)
    found, expected = state(workdirs[0]), state(one)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-10, err_msg=f"{name}, killed at lines {lines}")
    for a, b in zip(*(load_model(folder)[0].get_weights() for folder in (workdirs[0], one)), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
    left_out = [[path for r in figures(folder) for path in r.get("undecodable", ())] for folder in (workdirs[0], one)]
    assert left_out[0] == left_out[1] != []
    validations = [[r["validation"] for r in figures(folder) if "validation" in r] for folder in (workdirs[0], one)]
    for found, expected in zip(*validations, strict=True):
        assert found["mean_balanced_accuracy"] == expected["mean_balanced_accuracy"]
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)


def test_two_workers_with_masks_and_an_input_machine_end_as_one_process(annotated_dir, tmp_path):
    config = small_config(
        annotated_dir,
        model="mgmtn",
        mask_widths=(4, 4, 8),
        precision="float64",
        sync_batch_norm=True,
        epochs=0.5,
        augment_flip=True,
        eval_every_epochs=0.5,
    )
    server = start_server()
    save_flagfile(replace(config, data_service=(server.address,)), tmp_path / "flags")
    codes, outputs = Pair(tmp_path, [tmp_path / "two"] * 2).ends()
    assert codes == [0, 0], outputs
    train_and_evaluate(config, tmp_path / "one")
    found, expected = state(tmp_path / "two"), state(tmp_path / "one")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-10, err_msg=name)
