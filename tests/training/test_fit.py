"""`fit` and our own loop share losses and weightings: from the same batches they make the same model."""

import numpy as np
import pytest
from keras import ops

from farkeras.losses import MaskedBinaryCrossentropy, RegionMaskLoss, balanced_positive_weights
from farkeras.models import suit_batch_norms
from farkeras.training.building import Run, build_model, open_data
from farkeras.training.datasets import inputs_and_labels
from farkeras.training.devices import make_strategy, precision
from farkeras.training.loop import run_phases
from farkeras.training.optimizers import make_optimizer
from farkeras.weighting import make_weighting
from tests.training.small_run import small_config

EPOCH = 192 / 16  # steps
WARMUP_STEPS = 10


def compiled_as(run):
    """A model with the first weights of a run, compiled as the run trains it."""
    config, labels = run.config, run.data.train.labels
    model = build_model(config, run.data.grouping)
    suit_batch_norms(model, run.total_steps)
    model.set_weights(run.model.get_weights())
    losses = {"logits": MaskedBinaryCrossentropy(balanced_positive_weights(labels), config.focal_gamma)}
    if model.has_masks:
        losses["mask_logits"] = RegionMaskLoss()
    loss_weights = {"logits": 1.0, "mask_logits": config.mask_loss_weight}
    loss_weights = {name: loss_weights[name] for name in losses}
    weighting = make_weighting(config, run.steps_per_epoch)
    model.compile("sgd", losses, loss_weights, weighting=weighting)
    shares = model.backbone_multipliers(config.backbone_lr_multiplier)
    model.optimizer = make_optimizer(config, model.trainable_variables, run.total_steps, run.steps_per_epoch, shares)
    return model, weighting


@pytest.mark.parametrize(
    "changes",
    [
        {"weighting": "dws"},
        {"weighting": "uncertainty", "backbone_lr_multiplier": 0.1},
        {"weighting": "dwa"},
        {"model": "mgmtn", "mask_epochs": 0.0},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_fit_is_our_loop(annotated_dir, tmp_path, changes):
    """Unknown labels, weights of positives, the focal term, weight decay and key points of a face not found."""
    steps = WARMUP_STEPS + (20 if changes.get("weighting") != "dwa" else 24)  # DWA is uniform for two epochs
    config = small_config(
        annotated_dir,
        precision="float64",
        epochs=steps / EPOCH,
        weighting_warmup_epochs=WARMUP_STEPS / EPOCH,
        positive_weights="balanced",
        focal_gamma=1.5,
        weight_decay=0.05,
        mask_widths=(4, 8),
        **changes,
    )
    data = open_data(config)
    random = np.random.default_rng(0)
    data.train.labels[random.random(data.train.labels.shape) < 0.3] = -1
    run = Run(config, tmp_path, data, make_strategy(1))
    assert run.total_steps == steps
    with precision("float64"):
        model, weighting = compiled_as(run)
    run_phases(run)
    model.fit(run.training_dataset(0).map(inputs_and_labels), steps_per_epoch=steps, verbose=0)
    moved = 0
    for ours, by_fit in zip(run.model.variables, model.variables, strict=True):
        np.testing.assert_allclose(by_fit, ours, rtol=0, atol=1e-10, err_msg=ours.path)
    for ours, by_fit in zip(run.weighting.variables, weighting.variables, strict=True):
        np.testing.assert_allclose(by_fit, ours, rtol=0, atol=1e-10, err_msg=ours.name)
        moved += float(np.abs(by_fit).sum())
    assert moved > 0
    weights = ops.convert_to_numpy(weighting.weights_now())
    assert len(set(weights.tolist())) == len(weights)  # past the warm-up
