"""The table of a comparison, and what the command refuses."""

import subprocess
import sys

import pytest

from farkeras.compare import markdown

ROW = {
    "mean_accuracy": {"mean": 0.9, "std": 0.01, "values": [0.89, 0.9, 0.91]},
    "mean_balanced_accuracy": {"mean": 0.8, "std": None, "values": [0.8]},
    "mean_mask_iou": None,
    "parameters": 1234,
    "backbone_parameters": 1000,
    "forward_time": 1.256,
}


def test_the_table():
    lines = markdown(
        {"majority_accuracy": 0.75, "device": "2 CPU cores", "models": {"far_amtn": ROW}}, 3, True
    ).splitlines()
    assert lines[2] == "| far_amtn | 90.00 ± 1.00 | 80.00 | – | 1,234 | 1.26 |"
    assert "over 3 seeds. Majority baseline (always predicting the more frequent label): 75.00." in lines[4]
    assert "16 images on 2 CPU cores, relative to the bare backbone with pooling, which has 1,000" in lines[4]
    assert lines[-1] == "Procedural faces: these metrics say nothing about CelebA or LFWA."


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "--workdir is missing. Folder of the runs and of the results."),
        (["--workdir=x", "--seeds=0,one"], "--seeds must be whole numbers, separated by commas. Received: 0,one."),
        (["--workdir=x", "mgmtn"], "Unexpected argument 'mgmtn'. Give settings as --name=value."),
    ],
)
def test_errors(arguments, error, tmp_path):
    command = [sys.executable, "-m", "farkeras.compare", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"error: {error}\n")
