"""Training on two replicas is training on one: the same weights from the same global batches."""

import numpy as np
import pytest

from farkeras.training.building import Run, open_data
from farkeras.training.devices import make_strategy
from farkeras.training.loop import run_phases
from tests.training.small_run import small_config

STEPS, EPOCH = 12, 192 / 16  # DWS has a warm-up of 10 steps


def weights_after_twelve_steps(replicas, faces_dir, workdir, **changes):
    changes = {"epochs": STEPS / EPOCH, "precision": "float64", "sync_batch_norm": True, **changes}
    config = small_config(faces_dir, **changes)
    data = open_data(config)
    # Unknown labels fall unevenly on the replicas; only a global count of known labels makes them weigh the same.
    rng = np.random.default_rng(0)
    data.train.labels[rng.random(data.train.labels.shape) < 0.3] = -1
    run = Run(config, workdir, data, make_strategy(replicas))
    assert run.total_steps == STEPS
    run_phases(run)
    return run


CHANGED_IMAGES = {"augment_rotation": 20.0, "augment_contrast": 0.3, "augment_saturation": 0.3}
FINE_TUNING = {"frozen_epochs": 2 / EPOCH, "epochs": (STEPS - 2) / EPOCH, "backbone_lr_multiplier": 0.1}


@pytest.mark.parametrize(
    "changes",
    [{"weighting": "dws"}, {"weighting": "uncertainty"} | CHANGED_IMAGES, FINE_TUNING],
    ids=["dws", "uncertainty and changed images", "frozen"],
)
def test_two_replicas_equal_one(faces_dir, tmp_path, changes):
    one = weights_after_twelve_steps(1, faces_dir, tmp_path / "1", **changes)
    two = weights_after_twelve_steps(2, faces_dir, tmp_path / "2", **changes)
    assert two.strategy.num_replicas_in_sync == 2
    for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
    for a, b in zip(one.weighting.variables, two.weighting.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
