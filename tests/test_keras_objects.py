"""Every public loss and metric goes through the common tests; one that is missing here fails the suite.

tests/test_jax.py runs this file on JAX, and `make test-torch` on PyTorch.
"""

import inspect

import keras
import numpy as np
import pytest

import farkeras.losses
import farkeras.metrics
from farkeras.data.masks import region_masks
from farkeras.losses import MaskedBinaryCrossentropy, MaskedLoss, RegionMaskLoss
from farkeras.metrics import (
    MaskedAUC,
    MaskedBalancedAccuracy,
    MaskedBinaryAccuracy,
    MaskedF1Score,
    MaskedMetric,
)
from farkeras.testing import run_loss_test, run_metric_test
from tests.schematic_face import FRAME, schematic_face

pytestmark = pytest.mark.core

NAN = float("nan")
LABELS = np.array([[1, 0, -1], [0, -1, -1]], np.int8)
ODDS3 = np.log(np.float32(3))  # the logit of 3/4
FACES = np.stack([schematic_face() / FRAME[::-1], np.full((478, 2), NAN)]).astype(np.float32)  # one found, one not
MASKS = region_masks(FACES[:1], (28, 24))
ONE_PIXEL = np.array([1.0, 0.0], np.float32).reshape(1, 1, 1, 2)


def dice_of_one_half(masks):
    """The Dice loss of masks `(h, w, R)` for predictions of 1/2 throughout."""
    areas = masks.sum(axis=(0, 1))
    return (1 - (2 * areas / 2 + 1) / (areas + masks[..., 0].size / 2 + 1)).mean()


LOSSES = {
    "cross-entropy": {
        "loss_class": MaskedBinaryCrossentropy,
        "init_kwargs": {},
        "y_true": LABELS,
        "y_pred": np.full((2, 3), ODDS3),
        "unknown": LABELS < 0,
        "expected": (np.log(4 / 3) + 2 * np.log(4)) / 3,
    },
    "weights of positives and focal term": {
        "loss_class": MaskedBinaryCrossentropy,
        "init_kwargs": {"positive_weights": [3.0, 1.0, 1.0], "focal_gamma": 2.0},
        "y_true": LABELS,
        "y_pred": np.full((2, 3), ODDS3),
        "unknown": LABELS < 0,
        "expected": (3 * np.log(4 / 3) / 16 + 2 * np.log(4) * 9 / 16) / 3,
    },
    "probabilities": {
        "loss_class": MaskedBinaryCrossentropy,
        "init_kwargs": {"from_logits": False},
        "y_true": LABELS,
        "y_pred": np.full((2, 3), 0.75, np.float32),
        "unknown": LABELS < 0,
        "expected": (np.log(4 / 3) + 2 * np.log(4)) / 3,
    },
    "masks": {
        "loss_class": RegionMaskLoss,
        "init_kwargs": {},
        "y_true": np.concatenate([ONE_PIXEL, -np.ones_like(ONE_PIXEL)]),
        "y_pred": np.zeros((2, 1, 1, 2), np.float32),
        "unknown": np.array([False, True]),
        "expected": np.log(2) + ((1 - 2 / 2.5) + (1 - 1 / 1.5)) / 2,
    },
    "key points": {
        "loss_class": RegionMaskLoss,
        "init_kwargs": {},
        "y_true": FACES,
        "y_pred": np.zeros((2, 28, 24, 8), np.float32),
        "unknown": np.array([False, True]),
        "expected": np.log(2) + dice_of_one_half(keras.ops.convert_to_numpy(MASKS)[0]),
    },
}

# Attribute a: two positives of 3 found, one negative of 2. b: positives only. c: nothing known.
SEEN = np.array([[1, 1, -1], [1, 1, -1], [1, -1, -1], [0, -1, -1], [0, -1, -1]], np.int8)
SCORES = np.array([[2, 2, 9], [1, -1, 9], [-2, 9, 9], [-1, 9, 9], [1.5, 9, 9]], np.float32)
GROUPS = {"groups": [["first", ["c", "a"]], ["second", ["b"]]], "attributes": ["a", "b", "c"]}
# Pairs of positive and negative in the right order: 2 above both, 1 above -1, -2 above none.
BY_ATTRIBUTE = {
    MaskedBinaryAccuracy: [3 / 5, 1 / 2, NAN],
    MaskedBalancedAccuracy: [(2 / 3 + 1 / 2) / 2, NAN, NAN],
    MaskedF1Score: [4 / 6, 2 / 3, NAN],
    MaskedAUC: [3 / 6, NAN, NAN],
}


def expected_of(metric_class, average):
    values, name = BY_ATTRIBUTE[metric_class], metric_class().name
    if average == "macro":
        return float(np.nanmean(values))
    if average == "group":
        return {f"{name}_first": values[0], f"{name}_second": values[1]}
    return values


@pytest.mark.parametrize("name", LOSSES)
def test_loss_conforms(name):
    run_loss_test(**LOSSES[name])


@pytest.mark.parametrize("average", ["macro", "group", None])
@pytest.mark.parametrize("metric_class", BY_ATTRIBUTE, ids=lambda metric_class: metric_class.__name__)
def test_metric_conforms(metric_class, average):
    init_kwargs = {"average": average} | ({"attributes": GROUPS} if average == "group" else {})
    run_metric_test(metric_class, init_kwargs, y_true=SEEN, y_pred=SCORES, expected=expected_of(metric_class, average))


def public_classes(module, base):
    values = (getattr(module, name) for name in module.__all__)
    return {value for value in values if inspect.isclass(value) and issubclass(value, base)}


def test_no_public_class_is_missing():
    assert public_classes(farkeras.losses, keras.losses.Loss) - {MaskedLoss} == {
        case["loss_class"] for case in LOSSES.values()
    }
    assert public_classes(farkeras.metrics, keras.metrics.Metric) - {MaskedMetric} == set(BY_ATTRIBUTE)


def test_each_attribute_by_its_name():
    metric = MaskedBinaryAccuracy(average=None, attributes=["Hat", "Beard", "Scarf"])
    metric.update_state(SEEN, SCORES)
    assert list(metric.result()) == ["accuracy_Hat", "accuracy_Beard", "accuracy_Scarf"]


def test_threshold_and_probabilities():
    probabilities = np.array([[0.2], [0.3], [0.6]], np.float32)
    metric = MaskedBinaryAccuracy(threshold=0.25, from_logits=False)
    assert float(metric(np.array([[0], [1], [0]]), probabilities)) == pytest.approx(2 / 3)


def test_auc_of_scores_that_float32_rounds_to_a_probability_of_1():
    metric = MaskedAUC()
    assert float(metric(np.array([[1], [0], [0]]), np.array([[24.0], [20.0], [-30.0]], np.float32))) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MaskedBinaryCrossentropy()(np.ones((2, 3)), np.ones((2, 4))), r"y_true.shape=\(2, 3\), y_pred.shape"),
        (
            lambda: MaskedBinaryCrossentropy(focal_gamma=-1),
            "`focal_gamma` must be at least 0. Received: focal_gamma=-1",
        ),
        (lambda: MaskedBinaryCrossentropy(positive_weights=2.0), "`positive_weights` must be one number per attribute"),
        (lambda: RegionMaskLoss()(np.ones((2, 4, 4, 3)), np.ones((2, 4, 4, 8))), r"keypoints \(batch, 478, 2\)"),
        (lambda: MaskedAUC(average="micro"), '`average` must be "macro", "group" or None. Received: average=\'micro\''),
        (lambda: MaskedAUC(average="group"), "needs groups. Set `attributes` to a grouping"),
        (lambda: MaskedAUC(num_bins=1), "`num_bins` must be at least 2. Received: num_bins=1"),
        (lambda: MaskedF1Score(threshold=50), r"`threshold` must be in \[0, 1\]. Received: threshold=50"),
        (lambda: MaskedF1Score(attributes=["a", "b"])(SEEN, SCORES), r"must be \(batch, 2 attributes\) for the metric"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
