"""`python -m farkeras.check_data --shortcuts` as a user runs it: the table, and a model beside the linear one."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from farkeras.attributes import CELEBA_ATTRIBUTES, Grouping, load_grouping
from farkeras.data.shortcuts import balanced_accuracy
from farkeras.data.sources.celeba import CelebA
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.synthetic.generate import FaceSettings, draw_faces


def run(*arguments):
    command = [sys.executable, "-m", "farkeras.check_data", "--shortcuts", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """120 drawn faces, 12 of them in the test split."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    draw_faces(FaceSettings(num_images=120, seed=1), folder, 2)
    return folder


def evaluated_model(workdir, data, split="test"):
    """A workdir with the evaluation of a model that knows no hair and is wrong in the first image."""
    examples = CelebA(data).split(split)
    grouping = Grouping({"all": CELEBA_ATTRIBUTES}).without(load_grouping("mgmtn8").groups["Hair"])
    labels = examples.select(grouping.attributes).labels
    probabilities = labels.astype(np.float32)
    probabilities[0] = 1 - probabilities[0]
    workdir.mkdir()
    run = {"model": "model.keras", "data_dir": str(data), "split": split}
    evaluation = {"run": run, **evaluate_attributes(labels, probabilities, grouping)}
    (workdir / "evaluation.json").write_text(json.dumps(evaluation))
    return dict(zip(grouping.attributes, map(balanced_accuracy, labels.T, (probabilities > 0.5).T), strict=True))


def test_a_model_beside_the_linear_one(data, tmp_path):
    expected = evaluated_model(tmp_path / "run", data)
    done = run(f"--data_dir={data}", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith("balanced accuracy")]
    header, *rows, means, gap = lines[start:]
    assert header.split() == ["balanced", "accuracy", "32x32", "model", "border", "file", "size"]
    cells = [row.replace("± ", "").split() for row in rows]  # name, then value and error of each column
    assert tuple(row[0] for row in cells) == CELEBA_ATTRIBUTES
    for name, _, _, value, error, *_ in cells:
        score = expected.get(name, (np.nan, np.nan))
        assert (value, error) == (f"{score[0]:.3f}", f"{score[1]:.3f}")
    linear, model = (np.array([float(row[column]) for row in cells]) for column in (1, 3))
    assert float(means.split()[2]) == pytest.approx(np.nanmean(model), abs=1e-3)
    both = np.isfinite(linear) & np.isfinite(model)
    assert 5 <= both.sum() < 30
    points = 100 * (model[both].mean() - linear[both].mean())
    said, count = re.fullmatch(r"model - 32x32: ([+-].+) points, mean of (\d+) attributes", gap).groups()
    assert float(said) == pytest.approx(points, abs=0.11)
    assert int(count) == both.sum()


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (None, "error: {0}/evaluation.json does not exist. Write it with: python -m farkeras.evaluate --workdir={0} "),
        (
            "validation",
            "error: {0}/evaluation.json evaluates the split 'validation'; expected 'test'. Write it again with: ",
        ),
    ],
)
def test_an_evaluation_that_does_not_serve(data, tmp_path, split, message):
    if split:
        evaluated_model(tmp_path / "run", data, split)
    done = run(f"--data_dir={data}", f"--workdir={tmp_path / 'run'}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(message.format(tmp_path / "run"))
