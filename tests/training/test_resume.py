"""A run that is killed at any moment and started again ends as the run that was never killed, bit for bit."""

import contextlib
import json
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from farkeras.flagfiles import save_flagfile
from farkeras.models.model_file import load_model
from farkeras.training.reporting import MetricsFile
from tests.training.small_run import small_config

pytestmark = pytest.mark.core

CLOCK = {"steps_per_second", "images_per_second", "data_wait"}


KILLED_IN_SAVE = """
import os, runpy, signal
from tensorflow.python.checkpoint import checkpoint_management
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)
checkpoint_management.update_checkpoint_state_internal = die
runpy.run_module("farkeras.train", run_name="__main__")
"""
"""Dies when a checkpoint's data are written and the folder does not yet name it as the latest."""


def start(folder, workdir, code='import runpy; runpy.run_module("farkeras.train", run_name="__main__")'):
    return subprocess.Popen(
        [sys.executable, "-c", code, f"--flagfile={folder}/flags", f"--workdir={workdir}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def kill(process):
    process.kill()
    process.communicate()


def finish(process):
    output, _ = process.communicate()
    assert process.returncode == 0, output.decode()


def num_lines(path):
    return path.read_text().count("\n") if path.exists() else 0


def state(workdir):
    """All numbers of the last checkpoint, by name."""
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if name.endswith("VARIABLE_VALUE")]
    return {name: reader.get_tensor(name) for name in names if not name.startswith("save_counter")}


def figures(workdir):
    records = MetricsFile(workdir / "metrics.jsonl").read()
    return [{key: value for key, value in record.items() if key not in CLOCK} for record in records]


@pytest.mark.long
def test_sigkill_at_random_moments(faces_dir, tmp_path):
    config = small_config(
        faces_dir,
        frozen_epochs=1.0,  # the kills fall into either phase
        epochs=3.0,
        backbone_lr_multiplier=0.5,
        patience=9,
        dropout=0.2,
        ema_decay=0.9,
        augment_shift=0.1,
        augment_brightness=0.2,
        eval_every_epochs=1.0,
        steps_per_loop=2,
        checkpoint_every_steps=5,
    )
    save_flagfile(config, tmp_path / "flags")
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    reference = start(tmp_path, untouched)

    metrics = killed / "metrics.jsonl"
    dice = random.Random()
    moments = sorted(dice.sample(range(1, 24), 2))
    for moment in moments:
        process = start(tmp_path, killed)
        while num_lines(metrics) < moment and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=dice.uniform(0, 0.05))
        kill(process)
    assert start(tmp_path, killed, KILLED_IN_SAVE).wait() == -signal.SIGKILL
    # While it starts or restores.
    process = start(tmp_path, killed)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=dice.uniform(0, 8))
    kill(process)
    finish(start(tmp_path, killed))
    finish(reference)

    expected, found = state(untouched), state(killed)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=f"{name}, killed at lines {moments}")
    # Host trips may be cut differently, so training records are compared where both have one for the same step.
    by_step = {json.dumps([r["step"], "validation" in r]): r for r in figures(untouched)}
    for record in figures(killed):
        if "validation" in record:
            assert record == by_step[json.dumps([record["step"], True])]
    steps = [record["step"] for record in figures(killed)]
    assert steps == sorted(steps)
    best = [load_model(folder)[0].get_weights() for folder in (untouched, killed)]
    for a, b in zip(*best, strict=True):
        np.testing.assert_array_equal(a, b)
