"""A study in small: real runs of a few steps, and what is measured of them."""

import keras
import numpy as np
import pytest

from farkeras.config import Config
from farkeras.errors import Diverged
from farkeras.metrics.convergence import running_mean
from farkeras.models.model_file import load_model
from farkeras.studies import running
from farkeras.studies.page import Study, generated
from farkeras.studies.plan import DataSet, Trial
from farkeras.studies.plan_file import read_plan
from farkeras.studies.results import learning_curves, read_results
from tests.training.small_run import small_config

PLAN = """
[data.own]
[data.drawn]
data_dir = "{drawn}"
faces = {{ num_images = 40, seed = 3 }}
split = "train"

[conditions.own]
data = "own"
test = "drawn"

[arms.trunk]
settings = {{ model = "shared_trunk" }}
[arms.far]
settings = {{ model = "far_amtn" }}

[questions.models]
title = "Which model?"
pairs = ["far - trunk"]
conditions = ["own"]

[stages.screen]
seeds = [5]
epochs_share = 0.5
questions = ["models"]
"""


@pytest.fixture(scope="module")
def studied(faces_dir, tmp_path_factory):
    """A study of two trials of six steps, in two calls. The second call keeps the run."""
    folder = tmp_path_factory.mktemp("study")
    path = folder / "plan.toml"
    path.write_text(PLAN.format(drawn=folder / "drawn"))
    recipe = small_config(faces_dir, epochs=1.0)
    named = []

    def listeners(name):
        named.append(name)
        return []

    calls = {"plan": path, "config": recipe, "results": folder / "results", "workdir": folder / "runs"}
    first = list(running.run_study(**calls, max_runs=1, listeners=listeners))
    second = list(running.run_study(**calls, keep_runs=True, listeners=listeners))
    return folder, read_plan(path, recipe), recipe, [*first, *second], named


def test_each_trial_has_its_result(studied):
    folder, _, _, results, named = studied
    assert named == ["screen/trunk-own-lr0.002-seed5", "screen/far-own-lr0.002-seed5"]
    assert [result.trial.name for result in results] == named
    assert list(read_results(folder / "results")) == sorted(named)


def test_what_a_result_holds(studied, faces_dir):
    folder, _, _, (trunk, far), _ = studied
    assert far.settings["model"] == "far_amtn"
    assert "steps_per_loop" not in far.settings  # it has no effect
    assert far.settings["epochs"] == 0.5
    assert far.settings["data_dir"] == faces_dir.name
    assert (trunk.settings["seed"], trunk.settings["model"]) == (5, "shared_trunk")
    assert far.tested_on == {"data": "drawn", "split": "train", "images": 32}
    for metrics in (far.validation, far.test):
        assert 0 < metrics["mean_balanced_accuracy"] < 1
        assert set(metrics["groups"]) == {"Hair", "Mouth", "Face"}
        assert 0 < metrics["groups"]["Hair"]["accuracy"] < 1
    assert far.curves["step"][-1] == 6
    assert set(far.curves["group_loss"]) == {"Hair", "Mouth", "Face"}
    model, _ = load_model(folder / "runs" / far.trial.name)
    assert far.parameters == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert far.parameters > trunk.parameters > trunk.backbone_parameters > 0
    assert far.forward_time > 0
    assert trunk.fusion is None
    assert far.fusion["groups"] == ["Hair", "Mouth", "Face"]
    assert np.shape(far.fusion["matrix"]) == (3, 3)
    assert set(far.test["attributes"]) >= {"Bald", "Smiling"}
    assert far.images_per_second == pytest.approx(96 / far.seconds)
    assert set(far.made) == {"date", "commit", "versions", "machine"}


def test_the_folder_of_a_finished_run_goes_unless_it_is_kept(studied):
    folder, _, _, (trunk, far), _ = studied
    assert not (folder / "runs" / trunk.trial.name).exists()
    assert (folder / "runs" / far.trial.name / "model.keras").exists()


def test_the_page(studied):
    folder, plan, recipe, _, _ = studied
    text = generated(Study(plan, recipe, read_results(folder / "results")), {})
    assert text.startswith(
        "2 of 2 runs are measured. Procedural faces: these metrics say nothing about CelebA or LFWA."
    )
    assert "| far − trunk | " in text
    assert "needs two seeds" in text


def test_faces_are_drawn_once_and_annotated_for_masks(tmp_path, monkeypatch):
    annotated = []
    monkeypatch.setattr(running, "annotate_images", lambda folder, splits, workers: annotated.append(folder))
    data = DataSet("drawn", str(tmp_path / "drawn"), {"num_images": 3, "seed": 3})
    running.prepare(data, Config(model="far_amtn"))
    drawn = (tmp_path / "drawn" / "list_attr_celeba.txt").stat().st_mtime_ns
    running.prepare(data, Config(model="mgmtn"))
    assert (tmp_path / "drawn" / "list_attr_celeba.txt").stat().st_mtime_ns == drawn
    assert annotated == [tmp_path / "drawn"]
    running.prepare(DataSet("own", str(tmp_path / "none")), Config(model="mgmtn"))
    assert not (tmp_path / "none").exists()


def test_a_run_that_diverges_has_a_result_that_says_so(studied, monkeypatch, tmp_path):
    _, plan, recipe, (trunk, _), _ = studied

    def diverge(*_, **__):
        raise Diverged("The loss is not finite at step 3.")

    monkeypatch.setattr(running, "train_and_evaluate", diverge)
    result = running.run_trial(plan, recipe, trunk.trial, tmp_path)
    assert result.failed == "The loss is not finite at step 3."
    assert result.settings == trunk.settings
    study = Study(plan, recipe, {result.trial.name: result})
    assert study.runs(plan.stages["screen"], "trunk", "own") == {}
    assert "`screen/trunk-own-lr0.002-seed5` failed: The loss is not finite at step 3." in generated(study, {})


def test_learning_curves_are_smooth_losses_by_group():
    losses = [1.0, 0.5, 0.3]
    history = [{"step": 20 * n, "loss": 1.0, "group_loss": {"Hair": loss}} for n, loss in enumerate(losses, 1)]
    curves = learning_curves([*history, {"step": 60, "validation": {}}])
    assert curves["step"] == [20, 40, 60]
    assert curves["group_loss"]["Hair"] == pytest.approx(running_mean(losses).tolist())
    assert learning_curves([]) == {"step": [], "group_loss": {}}


def test_forward_time_is_relative_to_the_backbone(monkeypatch):
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(4, 3)(inputs)
    backbone = keras.Model(inputs, features)
    models = {name: keras.Model(inputs, {"logits": features}) for name in ("far_amtn", "mgmtn")}
    # A clock on which the backbone takes 1 s, the models 1.1 s and 3 s; in the first two of six rounds 9 s.
    durations = [9, 9, 9] * 2 + [1, 1.1, 3] * 4
    clock = iter(np.cumsum([x for duration in durations for x in (0, duration)]))
    monkeypatch.setattr(running.time, "perf_counter", lambda: next(clock))
    times = running.forward_times(backbone, models, batch_size=2, rounds=4)
    assert times == {"far_amtn": pytest.approx(1.1), "mgmtn": pytest.approx(3)}


def test_names_of_trials():
    assert Trial("screen", "far", "own", 2, 2e-3).name == "screen/far-own-lr0.002-seed2"
    assert Trial("screen", "far", "own", 2, None).name == "screen/far-own-lr?-seed2"
