"""Several models under one recipe: real runs of a step, the spread by hand, who is measured beside whom."""

import keras
import numpy as np
import pytest

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.models.model_file import load_model
from farkeras.training import comparison
from farkeras.training.comparison import compare_models, run_name, spread
from tests.training.small_run import small_config


def test_spread_by_hand():
    assert spread([0.5, 0.7, 0.9]) == {"mean": pytest.approx(0.7), "std": pytest.approx(0.2), "values": [0.5, 0.7, 0.9]}
    assert spread([0.5]) == {"mean": 0.5, "std": None, "values": [0.5]}
    assert spread([None, None]) is None


@pytest.fixture(scope="module")
def compared(annotated_dir, tmp_path_factory):
    config = small_config(annotated_dir, epochs=0.1, mask_widths=(8, 8, 8), fusion_width=16)
    workdir = tmp_path_factory.mktemp("compared")
    return compare_models(config, ["mgmtn"], [3], workdir), workdir


def test_a_model_has_its_run_and_its_row(compared):
    figures, workdir = compared
    assert [path.name for path in workdir.iterdir()] == ["mgmtn_seed3"]
    (row,) = figures["models"].values()
    assert 0 <= row["mean_mask_iou"]["mean"] <= 1
    assert row["mean_accuracy"]["values"] == [row["mean_accuracy"]["mean"]]
    model, _ = load_model(workdir / "mgmtn_seed3")
    assert row["parameters"] == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert 0 < row["backbone_parameters"] < row["parameters"]
    assert 0.5 < figures["majority_accuracy"] < 1


def test_wrong_settings_end_before_the_first_run(tmp_path):
    with pytest.raises(
        FarkerasError, match=r"`model` must be one of far_amtn, mgmtn, shared_trunk\. Received: resnet\."
    ):
        compare_models(Config(), ["shared_trunk", "resnet"], [0], tmp_path)
    assert not list(tmp_path.iterdir())


def test_data_that_stop_a_later_model_end_before_the_first_run(faces_dir, tmp_path):
    with pytest.raises(FarkerasError, match=r"keypoints, .*python -m farkeras\.annotate"):
        compare_models(small_config(faces_dir), ["shared_trunk", "mgmtn"], [0], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("models", "seeds", "error"),
    [
        ([], [0], r"`models` must be a non-empty list without duplicates\. Received: \."),
        (["mgmtn", "mgmtn"], [0], r"`models` must be a non-empty list without duplicates\. Received: mgmtn,mgmtn\."),
        (["mgmtn"], [1, 2, 1], r"`seeds` must be a non-empty list without duplicates\. Received: 1,2,1\."),
    ],
)
def test_nothing_to_compare_and_things_named_twice(models, seeds, error, tmp_path):
    with pytest.raises(FarkerasError, match=error):
        compare_models(Config(), models, seeds, tmp_path)


def test_forward_time_is_relative_to_the_backbone(monkeypatch):
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(4, 3)(inputs)
    backbone = keras.Model(inputs, features)
    models = {name: keras.Model(inputs, {"logits": features}) for name in ("far_amtn", "mgmtn")}
    # A clock on which the backbone takes 1 s, the models 1.1 s and 3 s; in the first two of six rounds 9 s.
    durations = [9, 9, 9] * 2 + [1, 1.1, 3] * 4
    clock = iter(np.cumsum([x for duration in durations for x in (0, duration)]))
    monkeypatch.setattr(comparison.time, "perf_counter", lambda: next(clock))
    times = comparison.forward_times(backbone, models, batch_size=2, rounds=4)
    assert times == {"far_amtn": pytest.approx(1.1), "mgmtn": pytest.approx(3)}


def test_names_of_runs():
    assert run_name("mgmtn", 2) == "mgmtn_seed2"
