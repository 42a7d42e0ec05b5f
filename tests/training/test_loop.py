"""A whole run on a few faces: what it writes, what it refuses, what it starts from."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from farkeras.attributes import load_grouping
from farkeras.cli.training_report import ConsoleReport
from farkeras.data import pipeline
from farkeras.errors import FarkerasError
from farkeras.files import alone_in
from farkeras.flagfiles import read_flagfile
from farkeras.inference.forward import predict_examples
from farkeras.models.model_file import load_model, read_metadata
from farkeras.training import building
from farkeras.training.building import Run, open_data
from farkeras.training.calibration import described, fit_calibration
from farkeras.training.identity import check_workdir, identity_of, write_identity
from farkeras.training.reporting import Listener
from farkeras.training.run import train_and_evaluate
from farkeras.training.step import check_finite
from farkeras.training.validation import validation_losses
from tests.training.small_run import GROUPING, small_config

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def finished(faces_dir, tmp_path_factory):
    """The workdir of a run of 24 steps with 2 validations."""
    workdir = tmp_path_factory.mktemp("finished")
    train_and_evaluate(small_config(faces_dir), workdir)
    return workdir


def last_weights(workdir):
    """The model's weights in the last checkpoint."""
    run = Run(read_flagfile(workdir / "flags.txt"), workdir, open_data(read_flagfile(workdir / "flags.txt")))
    run.state.restore()
    return run.model.get_weights()


def records(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_what_a_run_writes(finished, faces_dir):
    written = {path.name for path in finished.iterdir()}
    names = ".lock flags.txt grouping.json identity.json metrics.jsonl checkpoints tensorboard model.keras"
    assert written == set(names.split())
    assert read_flagfile(finished / "flags.txt") == small_config(faces_dir)
    assert load_grouping(str(finished / "grouping.json")) == load_grouping(GROUPING)
    training = [r for r in records(finished) if "loss" in r]
    assert [r["step"] for r in training] == [4, 8, 12, 16, 20, 24]
    assert set(training[0]["group_loss"]) == set(load_grouping(GROUPING).names)
    assert sum(training[-1]["group_weight"].values()) == pytest.approx(3, abs=1e-4)
    assert 0 <= training[0]["data_wait"] <= 1
    validations = [r for r in records(finished) if "validation" in r]
    assert [r["step"] for r in validations] == [12, 24]


def test_the_model_file_is_the_best_validation(finished, faces_dir):
    model, metadata = load_model(finished, calibrate="none")
    validations = [r for r in records(finished) if "validation" in r]
    best = max(validations, key=lambda r: r["validation"]["mean_balanced_accuracy"])
    assert metadata.metrics["step"] == best["step"]
    validation = open_data(small_config(faces_dir)).validation
    labels, probabilities, *_ = predict_examples(model, validation, metadata.preprocessing, 16)
    loss = validation_losses(labels, probabilities, metadata.grouping)["loss"]
    assert loss == pytest.approx(best["validation"]["loss"])
    fitted = read_metadata(finished).calibration
    assert fitted.fitted_on == {**described("celeba", faces_dir, "validation"), "images": len(labels)}
    assert fitted == fit_calibration(labels, probabilities, metadata.grouping, fitted.fitted_on)


def test_a_finished_run_does_nothing_again(finished, faces_dir):
    before = (finished / "metrics.jsonl").read_text(), (finished / "model.keras").read_bytes()
    train_and_evaluate(small_config(faces_dir), finished)
    assert before == ((finished / "metrics.jsonl").read_text(), (finished / "model.keras").read_bytes())


def test_changed_settings_are_refused_by_name(finished, faces_dir):
    changed = small_config(faces_dir, learning_rate=1.0, dropout=0.5, steps_per_loop=7)
    expected = r"`dropout` \(was 0.0, now 0.5\), `learning_rate` \(was 0.002, now 1.0\)\. Use another `workdir`"
    with pytest.raises(FarkerasError, match=expected):
        train_and_evaluate(changed, finished)


@pytest.mark.long
def test_the_saved_flags_repeat_the_run(finished, tmp_path):
    """Nearly always bit for bit; on a busy machine, a run rarely rounds differently (docs/results.md)."""
    repeated = train_and_evaluate(read_flagfile(finished / "flags.txt"), tmp_path)
    first_losses = [next(r["loss"] for r in records(workdir) if "loss" in r) for workdir in (finished, tmp_path)]
    assert first_losses[0] == pytest.approx(first_losses[1], rel=1e-5)
    for a, b in zip(repeated.final_model.get_weights(), last_weights(finished), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=0.02)


def test_changed_groups_of_the_same_name_are_refused(faces_dir, tmp_path):
    groups = {name: list(members) for name, members in load_grouping("mgmtn8").groups.items()}
    file, workdir = tmp_path / "groups.json", tmp_path / "run"
    file.write_text(json.dumps(groups))
    config = small_config(faces_dir, grouping=str(file))
    identity = identity_of(open_data(config), 1)
    check_workdir(workdir, config, load_grouping(str(file)), identity)  # a new workdir takes anything
    write_identity(workdir, config, load_grouping(str(file)), identity)
    file = file.rename(tmp_path / "renamed.json")  # the same groups
    config = replace(config, grouping=str(file))
    check_workdir(workdir, config, load_grouping(str(file)), identity)
    groups["Eyes"].reverse()
    file.write_text(json.dumps(groups))
    with pytest.raises(FarkerasError, match=r"was started with other groups than `grouping=.*renamed\.json` gives now"):
        train_and_evaluate(config, workdir)


def test_a_second_run_in_a_workdir_is_refused(finished, faces_dir):
    message = r"finished.* is in use by process \d+ on .* Wait until it ends, or name another folder with `workdir`\."
    with alone_in(finished, "workdir"), pytest.raises(FarkerasError, match=message):
        train_and_evaluate(small_config(faces_dir), finished)


def test_a_workdir_that_cannot_be_written(faces_dir, tmp_path):
    (tmp_path / "file").touch()
    message = r"Cannot write .*file/run \(Not a directory\); remove the file .*, or name another with `workdir`\."
    with pytest.raises(FarkerasError, match=message):
        train_and_evaluate(small_config(faces_dir), tmp_path / "file" / "run")


def test_a_run_continues_where_data_and_workdir_were_moved(finished, faces_dir, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "moved run")
    shutil.copytree(faces_dir, tmp_path / "moved faces")
    monkeypatch.chdir(tmp_path)
    run = train_and_evaluate(small_config("moved faces"), "moved run")
    assert int(run.state.step) == run.total_steps == 24
    assert read_flagfile(tmp_path / "moved run" / "flags.txt").data_dir == str(tmp_path / "moved faces")
    model_file = tmp_path / "moved run" / "model.keras"
    assert model_file.read_bytes() == (finished / "model.keras").read_bytes()
    assert read_metadata(model_file).config["data_dir"] == str(tmp_path / "moved faces")  # what evaluation opens


@pytest.mark.long
def test_a_run_continues_when_what_it_started_from_is_gone(finished, faces_dir, tmp_path):
    source, workdir = tmp_path / "source", tmp_path / "run"
    shutil.copytree(finished, source)
    config = small_config(faces_dir, init_from=str(source), epochs=0.5)
    run = train_and_evaluate(config, workdir)
    assert run.started_anew == []  # the same heads
    shutil.rmtree(source)
    for a, b in zip(train_and_evaluate(config, workdir).model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(FarkerasError, match="No model at"):
        train_and_evaluate(config, tmp_path / "new")
    other = small_config(faces_dir, init_from=str(finished), backbone_alpha=0.5)
    with pytest.raises(
        FarkerasError, match=r"differ.*It has `model=far_amtn`, `backbone=ResNetTiny`, `backbone_alpha=0.25`"
    ):
        train_and_evaluate(other, tmp_path / "new")


@pytest.mark.long
def test_other_heads_other_precision_two_replicas_from_another_run(finished, faces_dir, tmp_path):
    config = small_config(
        faces_dir,
        init_from=str(finished),
        grouping="mcnn9",
        exclude_attributes=("subjective",),
        precision="bfloat16",
        replicas=2,
        dropout=0.3,
        positive_weights="balanced",
        focal_gamma=2.0,
        weighting="dwa",
        optimizer="sgd",
        ema_decay=0.9,
        epochs=0.4,
    )
    seen = {}

    class FirstWeights(Listener):
        def on_start(self, run, step):
            seen["trunk"] = run.model.get_layer("trunk").get_weights()
            seen["started_anew"] = run.started_anew

    train_and_evaluate(config, tmp_path, [FirstWeights()])
    source, _ = load_model(finished)
    for a, b in zip(seen["trunk"], source.get_layer("trunk").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any("head_" in path for path in seen["started_anew"])
    model, metadata = load_model(tmp_path)
    assert len(metadata.grouping.attributes) == 31
    assert model.dtype_policy.name == "float32"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.long
def test_undecodable_images_are_left_out_counted_and_listed(faces_dir, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "faces"
    shutil.copytree(faces_dir, folder)
    config = small_config(folder, epochs=1.0)
    data = open_data(config)
    (first, second, third), in_validation = data.train.paths[[3, 50, 99]], data.validation.paths[0]
    for path in (first, in_validation):
        Path(path).write_bytes(b"no image")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "MAX_UNDECODABLE", 0.05)  # one of the 24 validation images may fail
        run = train_and_evaluate(config, tmp_path / "run", [ConsoleReport()])
    assert (run.undecodable, run.undecodable_validation) == ({first}, [in_validation])
    assert [path for r in records(tmp_path / "run") for path in r.get("undecodable", ())] == [first]
    shown = capsys.readouterr().out.replace("\n", "")
    for split, path in (("training", first), ("validation", in_validation)):
        assert f"1 undecodable {split} images were left out:  {path}" in shown
    Path(in_validation).write_bytes(Path(data.validation.paths[1]).read_bytes())
    for path in (second, third):
        Path(path).write_bytes(b"no image")
    with pytest.raises(FarkerasError, match=r"of 192 images cannot be decoded, more than the allowed 1%"):
        train_and_evaluate(config, tmp_path / "other")


def test_a_loss_that_is_not_finite_names_step_and_group():
    figures = {"loss": np.array([1.0, np.nan]), "group_loss": np.array([[1.0, 2.0], [1.0, np.inf]])}
    with pytest.raises(FarkerasError, match=r"not finite at step 12 \(Eyes\)\. Lower `learning_rate`"):
        check_finite(figures, ["Hair", "Eyes"], 10)


def test_a_run_that_diverges_stops(faces_dir, tmp_path):
    config = small_config(faces_dir, optimizer="sgd", learning_rate=1e30, warmup_epochs=0.0)
    with pytest.raises(FarkerasError, match="The loss is not finite at step"):
        train_and_evaluate(config, tmp_path)
    assert not (tmp_path / "model.keras").exists()


def test_a_disk_without_room_is_refused_before_the_first_step(finished, faces_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(building.shutil, "disk_usage", lambda folder: SimpleNamespace(free=900_000))
    needed = r"need \d MB in .*/run, and the disk has 1 MB left\. Make room, or choose another `workdir`\."
    with pytest.raises(FarkerasError, match=needed):
        train_and_evaluate(small_config(faces_dir), tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
    (finding,) = building.start_findings(small_config(faces_dir), tmp_path / "run")
    assert (finding.kind, finding.training_fails) == ("room", True)
    assert re.search(needed, finding.summary)
    train_and_evaluate(small_config(faces_dir), finished)  # needs no more room
    assert building.start_findings(small_config(faces_dir), finished) == []


def test_a_batch_that_does_not_divide(faces_dir, tmp_path):
    config = small_config(faces_dir, batch_size=15, replicas=2)
    with pytest.raises(FarkerasError, match=r"`batch_size` must be a multiple of the 2 replicas\. Received: 15\."):
        Run(config, tmp_path, open_data(config))


def test_too_few_images(faces_dir):
    with pytest.raises(FarkerasError, match=re.escape("has 192 images, fewer than `batch_size=500`")):
        open_data(small_config(faces_dir, batch_size=500))
