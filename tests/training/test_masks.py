"""Training and evaluation of MGMTN's masks: jointly, first, frozen, continued, on two replicas."""

import numpy as np
import pytest

from farkeras.attributes import REGIONS
from farkeras.errors import FarkerasError
from farkeras.metrics.history import read_history
from farkeras.models.model_file import load_model
from farkeras.training.building import Run, open_data
from farkeras.training.devices import make_strategy
from farkeras.training.evaluation import evaluate_model
from farkeras.training.loop import run_phases
from farkeras.training.reporting import Listener
from farkeras.training.run import train_and_evaluate
from tests.training.small_run import small_config


def mask_config(data_dir, **changes):
    settings = {"model": "mgmtn", "mask_widths": (8, 8, 8), "fusion_width": 16, "learning_rate": 1e-2}
    return small_config(data_dir, **settings | changes)


@pytest.fixture(scope="module")
def joint(annotated_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("joint")
    train_and_evaluate(mask_config(annotated_dir), workdir)
    return workdir


def test_a_joint_run_learns_masks_and_attributes(joint):
    records = read_history(joint / "metrics.jsonl")
    training = [r for r in records if "mask_loss" in r]
    assert all({"loss", "group_loss", "group_weight"} <= r.keys() for r in training)
    assert training[-1]["mask_loss"] < training[0]["mask_loss"]
    validation = [r["validation"] for r in records if "validation" in r]
    assert set(validation[-1]["mask_iou"]) == set(REGIONS)
    assert validation[-1]["mean_mask_iou"] > validation[0]["mean_mask_iou"]


def test_evaluation_has_the_mask_iou_and_a_strip_of_overlays(joint):
    evaluation, metadata, _, overlays = evaluate_model(str(joint), "validation")
    best = metadata.metrics["mask_iou"]
    assert evaluation["mask_iou"] == pytest.approx(best)
    assert evaluation["run"]["masks_annotated"] is True
    assert overlays.startswith(b"\x89PNG")


def test_data_without_keypoints_evaluate_without_mask_iou(joint, faces_dir):
    evaluation, *_, overlays = evaluate_model(str(joint), "test", data_dir=str(faces_dir))
    assert "mask_iou" not in evaluation
    assert evaluation["run"]["masks_annotated"] is False
    assert overlays


def test_training_without_keypoints_says_what_to_do(faces_dir):
    with pytest.raises(FarkerasError, match=r"have no keypoints.*python -m farkeras\.annotate --data_dir="):
        open_data(mask_config(faces_dir))


def weights_of_masks(run):
    return run.model.mask_network.get_weights()


class Interrupt(Listener):
    """Ends a run after some step, as Ctrl-C does, and notes the mask network where it is trained no longer."""

    def __init__(self, stop_after=None):
        self.stop_after, self.masks = stop_after, {}

    def on_train(self, run, record):
        self.masks[record["step"]] = weights_of_masks(run)
        if record["step"] == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def first_config(annotated_dir):
    # 12 steps an epoch: 12 for the masks, then 12 for the rest.
    return mask_config(annotated_dir, epochs=1.0, mask_epochs=1.0, ema_decay=0.5, checkpoint_every_steps=5)


@pytest.fixture(scope="module")
def masks_first(first_config, tmp_path_factory):
    listener = Interrupt()
    workdir = tmp_path_factory.mktemp("first")
    return train_and_evaluate(first_config, workdir, [listener]), listener, workdir


def test_masks_first_then_frozen(masks_first):
    run, listener, workdir = masks_first
    records = read_history(workdir / "metrics.jsonl")
    alone = [r for r in records if r["step"] <= 12 and "validation" not in r]
    rest = [r for r in records if r["step"] > 12 and "validation" not in r]
    assert all("mask_loss" in r and "loss" not in r for r in alone)
    assert all("loss" in r and "mask_loss" not in r for r in rest)
    for before, after in zip(listener.masks[12], listener.masks[24], strict=True):
        np.testing.assert_array_equal(before, after)  # statistics of batch normalisation, too
    assert [r["best"] for r in records if "validation" in r] == [False, True]
    # An optimizer for each phase, which begins with its own first step: Adam corrects for that, warm-up counts it.
    assert {name: int(o.iterations.numpy()) for name, o in run.optimizers.items()} == {
        "mask_optimizer": 12,
        "optimizer": 12,
    }
    rates = [r["learning_rate"] for r in rest]
    assert rates == sorted(rates, reverse=True)
    assert alone[-1]["learning_rate"] == pytest.approx(1e-2)
    assert load_model(workdir)[1].metrics["step"] == 24


@pytest.mark.parametrize("stop_after", [9, 19])
def test_a_run_continues_in_either_phase(masks_first, first_config, tmp_path, stop_after):
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(first_config, tmp_path, [Interrupt(stop_after)])
    continued = train_and_evaluate(first_config, tmp_path)
    for expected, found in zip(masks_first[0].model.get_weights(), continued.model.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, found)


def test_with_mask_gradients_the_masks_train_on_in_bfloat16_too(annotated_dir, tmp_path):
    config = mask_config(annotated_dir, epochs=1 / 3, mask_epochs=1 / 3, mask_gradients=True, precision="bfloat16")
    listener = Interrupt()
    train_and_evaluate(config, tmp_path, [listener])
    assert any((a != b).any() for a, b in zip(listener.masks[4], listener.masks[8], strict=True))
    last = [r for r in read_history(tmp_path / "metrics.jsonl") if "validation" not in r][-1]
    assert {"loss", "mask_loss"} <= last.keys()


def test_two_replicas_equal_one(annotated_dir, tmp_path):
    # Two steps of the mask network, then three of all, in which the attributes train the masks, too.
    phases = {"mask_epochs": 2 * 16 / 192, "epochs": 3 * 16 / 192, "mask_gradients": True}
    config = mask_config(annotated_dir, precision="float64", sync_batch_norm=True, **phases)
    runs = []
    for replicas in (1, 2):
        run = Run(config, tmp_path / str(replicas), open_data(config), make_strategy(replicas))
        # Faces that were not found fall unevenly on the replicas; only a global count makes the others weigh the same.
        run.data.train_keypoints.found[::3] = False
        run_phases(run)
        runs.append(run)
    for one, two in zip(*(run.model.get_weights() for run in runs), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-10)
