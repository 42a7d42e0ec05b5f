"""Where the mask network of a run starts: at random, from the shipped file, or from another run or file."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from farkeras.data.keypoints import annotate_images, load_keypoints
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.sources.celeba import CelebA
from farkeras.errors import FarkerasError
from farkeras.flagfiles import load_config
from farkeras.metrics.history import read_history
from farkeras.models import load_mask_weights
from farkeras.models.model_file import load_model
from farkeras.synthetic.generate import FaceSettings, draw_faces
from farkeras.training.building import Run, open_data
from farkeras.training.mask_training import evaluate_mask_network, mask_model
from farkeras.training.run import train_and_evaluate
from tests.training.small_run import small_config
from tests.training.test_masks import Interrupt, mask_config

SLIM = {"model": "mgmtn", "mask_widths": (8, 16, 24, 32, 64), "mask_stride": 2, "fusion_width": 16}


def built(config, workdir):
    return Run(config, workdir, open_data(config))


def masks_of(run):
    return [np.array(weight) for weight in run.model.mask_network.get_weights()]


def same(weights, others):
    return all((a == b).all() for a, b in zip(weights, others, strict=True))


@pytest.fixture(scope="module")
def other_run(annotated_dir, tmp_path_factory):
    """The workdir of a run of two steps."""
    workdir = tmp_path_factory.mktemp("other")
    train_and_evaluate(mask_config(annotated_dir, epochs=2 * 16 / 192), workdir)
    return workdir


def test_few_images_start_from_the_shipped_weights_and_none_at_random(annotated_dir, tmp_path):
    run = built(small_config(annotated_dir, **SLIM), tmp_path / "few")
    assert run.mask_weights == "shipped"
    shipped = masks_of(run)
    load_mask_weights(run.model.mask_network, "shipped")
    assert same(masks_of(run), shipped)
    at_random = built(small_config(annotated_dir, mask_weights="none", **SLIM), tmp_path / "none")
    assert at_random.mask_weights == "none"
    assert not same(masks_of(at_random), shipped)
    # Everything else starts the same, so two runs differ by their masks alone.
    masks = {weight.path for weight in run.model.mask_network.weights}
    for one, two in zip(run.model.weights, at_random.model.weights, strict=True):
        assert one.path in masks or np.array_equal(one, two)


def test_the_weights_of_another_run(annotated_dir, other_run, tmp_path):
    run = built(mask_config(annotated_dir, mask_weights=str(other_run)), tmp_path)
    assert run.mask_weights == str(other_run)
    assert same(masks_of(run), load_model(other_run)[0].mask_network.get_weights())


def test_initial_weights_of_a_run_bring_its_masks(annotated_dir, other_run, tmp_path):
    run = built(mask_config(annotated_dir, init_from=str(other_run)), tmp_path / "masks")
    assert run.mask_weights == str(other_run)
    assert same(masks_of(run), load_model(other_run)[0].mask_network.get_weights())
    assert not run.started_anew


def test_a_run_that_does_not_fit_ends_before_its_first_step(annotated_dir, other_run, tmp_path):
    config = mask_config(annotated_dir, mask_weights=str(other_run), mask_widths=(8, 8, 16))
    with pytest.raises(FarkerasError, match=r"has `mask_widths=8,8,8` and .*; expected `mask_widths=8,8,16`"):
        train_and_evaluate(config, tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_run_continues_when_the_file_of_its_masks_is_gone(annotated_dir, other_run, tmp_path):
    masks = tmp_path / "masks.keras"
    shutil.copy(other_run / "model.keras", masks)
    config = mask_config(annotated_dir, epochs=4 * 16 / 192, mask_weights=str(masks), steps_per_loop=1)
    listener = Interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(replace(config, checkpoint_every_steps=1), tmp_path, [listener])
    masks.unlink()
    continued = built(config, tmp_path)
    with continued.strategy.scope():
        continued.state.restore()
    assert int(continued.state.step) == 1
    assert same(masks_of(continued), listener.masks[1])


@pytest.fixture(scope="module")
def found_faces(tmp_path_factory):
    """48 procedural faces of a seed that the shipped weights have not seen, with MediaPipe's keypoints."""
    pytest.importorskip("mediapipe")
    folder = tmp_path_factory.mktemp("found") / "faces"
    draw_faces(FaceSettings(num_images=48, seed=11), folder)
    splits = [CelebA(folder).split(name) for name in ("train", "validation", "test")]
    annotate_images(str(folder), splits, 1)
    return folder, splits[0]


@pytest.mark.parametrize("name", ["demo_mgmtn", "demo_mgmtn_mobile"])
def test_the_shipped_masks_fit_faces_that_they_have_not_seen(found_faces, name):
    folder, examples = found_faces
    config = load_config(name)
    model = mask_model(config)
    load_mask_weights(model.get_layer("aml"), "shipped")
    keypoints = load_keypoints(str(folder), examples.paths)
    metrics = evaluate_mask_network(model, examples, keypoints, Preprocessing(config.image_size), 16)
    assert metrics["mean_mask_iou"] > 0.8


def test_the_first_validation_has_masks(found_faces, tmp_path):
    settings = {"image_size": (112, 96), "batch_size": 8, "epochs": 0.0, "learning_rate": 1e-4, **SLIM}
    train_and_evaluate(small_config(found_faces[0], **settings), tmp_path)  # a single step
    (validation,) = [line["validation"] for line in read_history(tmp_path / "metrics.jsonl") if "validation" in line]
    assert validation["mean_mask_iou"] > 0.7
