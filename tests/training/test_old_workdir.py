"""Workdirs that commit a268f02 left with TensorFlow 2.19: their model is read and measured, their run continues.

Both were stopped: `far_amtn` after its first validation, at step 6 of 12, and `mgmtn` at step 8 of 24, of which the
first 12 train the masks alone. To keep them small, the backbones have an alpha of 0.05 and TensorBoard's files are left
out.
"""

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from farkeras.flagfiles import read_flagfile, save_flagfile
from farkeras.inference.forward import predict_examples
from farkeras.metrics.history import read_history
from farkeras.models.model_file import load_model
from farkeras.training.building import open_data
from farkeras.training.reporting import Listener
from farkeras.training.run import train_and_evaluate
from farkeras.training.validation import validation_losses
from tests.training.small_run import GROUPING

pytestmark = pytest.mark.core


@pytest.fixture
def unpacked(tmp_path, annotated_dir):
    """A workdir by its name, with its settings, as if it had been trained on `annotated_dir`."""

    def unpack(name):
        with tarfile.open(Path(__file__).with_name("workdirs_a268f02.tar.xz")) as archive:
            archive.extractall(tmp_path, filter="data")
        flags = tmp_path / name / "flags.txt"
        config = replace(read_flagfile(flags), data_dir=str(annotated_dir), grouping=GROUPING)
        save_flagfile(config, flags)
        return config, tmp_path / name

    return unpack


def test_the_model_file_reaches_the_same_figure(unpacked):
    config, workdir = unpacked("far_amtn")
    model, metadata = load_model(workdir)
    validation = open_data(config).validation
    labels, probabilities, *_ = predict_examples(model, validation, metadata.preprocessing, 16)
    # The faces are drawn anew; between versions of NumPy and Pillow some of them differ in single pixels.
    losses = validation_losses(labels, probabilities, metadata.grouping)
    assert losses["loss"] == pytest.approx(metadata.metrics["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "stopped_at", "end"), [("far_amtn", 6, 12), pytest.param("mgmtn", 8, 24, marks=pytest.mark.long)]
)
def test_the_run_continues_to_its_end(unpacked, name, stopped_at, end):
    config, workdir = unpacked(name)
    before = read_history(workdir / "metrics.jsonl")
    started_at = []

    class Start(Listener):
        def on_start(self, run, step):
            started_at.append(step)

    run = train_and_evaluate(config, workdir, [Start()])
    assert (started_at, int(run.state.step)) == ([stopped_at], end)
    history = read_history(workdir / "metrics.jsonl")
    kept = [record for record in before if record["step"] <= stopped_at]
    assert history[: len(kept)] == kept
    assert [record["step"] for record in history if "validation" in record] == list(range(6, end + 1, 6))
    assert load_model(workdir)[1].metrics["step"] > (0 if name == "far_amtn" else 12)  # masks alone choose no model
