"""Cross-entropy by hand; unknown labels weigh nothing."""

import numpy as np
import pytest
from keras import ops

from farkeras.attributes import Grouping
from farkeras.losses import (
    attribute_losses,
    balanced_positive_weights,
    mask_losses,
    sum_by_group,
)

pytestmark = pytest.mark.core

GROUPING = Grouping({"first": ("c", "a"), "second": ("b",)}, ("a", "b", "c"))


def losses_of(labels, logits, **options):
    losses, known = attribute_losses(np.array(labels, np.int8), ops.convert_to_tensor(logits, "float32"), **options)
    return ops.convert_to_numpy(losses), ops.convert_to_numpy(known)


def losses_of_floats(labels, logits):
    losses, known = attribute_losses(np.array(labels, np.float32), ops.convert_to_tensor(logits, "float32"))
    return ops.convert_to_numpy(losses), ops.convert_to_numpy(known)


@pytest.mark.parametrize(
    ("label", "logit", "expected"),
    [
        (1, 0.0, np.log(2)),
        (0, 0.0, np.log(2)),
        (1, np.log(3), np.log(4 / 3)),  # p = 3/4
        (0, np.log(3), np.log(4)),
        (1, 100.0, 0.0),
        (0, 100.0, 100.0),  # no overflow
        (-1, 100.0, 0.0),
    ],
)
def test_cross_entropy(label, logit, expected):
    losses, known = losses_of([[label]], [[logit]])
    np.testing.assert_allclose(losses, [[expected]], rtol=1e-6, atol=1e-7)
    assert known[0, 0] == (label != -1)


def test_soft_labels_lie_between():
    losses, known = losses_of_floats([[0.25, np.nan, 1.0]], [[np.log(3), 0.0, 0.0]])
    np.testing.assert_allclose(losses, [[0.25 * np.log(4 / 3) + 0.75 * np.log(4), 0.0, np.log(2)]], rtol=1e-6)
    np.testing.assert_array_equal(known, [[1, 0, 1]])


def test_focal_loss():
    # p of the true label is 3/4 and 1/4: factors (1/4)^2 and (3/4)^2.
    losses, _ = losses_of([[1, 0]], [[np.log(3), np.log(3)]], focal_gamma=2.0)
    np.testing.assert_allclose(losses, [[np.log(4 / 3) / 16, np.log(4) * 9 / 16]], rtol=1e-5)


def test_positive_weights_leave_negatives_alone():
    losses, _ = losses_of([[1, 1, 1], [0, 0, -1]], np.zeros((2, 3)), positive_weights=[1.0, 3.0, 0.5])
    np.testing.assert_allclose(losses / np.log(2), [[1, 3, 0.5], [1, 1, 0]], rtol=1e-6)


def test_sums_by_group():
    values = ops.convert_to_tensor([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]])
    np.testing.assert_array_equal(ops.convert_to_numpy(sum_by_group(values, GROUPING)), [303, 30])


def test_balanced_positive_weights():
    labels = np.array([[1, 0, 1, -1], [0, 0, 1, -1], [0, 0, 1, -1], [-1, 1, 1, -1]], np.int8)
    weights = balanced_positive_weights(labels)
    assert weights.dtype == np.float32
    # 2 / 1; 3 / 1; no negatives: as low as allowed; nothing known: likewise.
    np.testing.assert_allclose(weights, [2.0, 3.0, 0.1, 0.1])
    np.testing.assert_allclose(balanced_positive_weights(labels, at_most=2.5)[:3], [2.0, 2.5, 0.4])


def test_mask_loss_by_hand():
    # One pixel, two regions: a target of 1 and one of 0, both predicted 1/2.
    masks = np.array([1.0, 0.0]).reshape(1, 1, 1, 2).repeat(2, axis=0)
    losses, known = mask_losses(masks, np.array([True, False]), ops.zeros((2, 1, 1, 2)))
    dice = ((1 - 2 / 2.5) + (1 - 1 / 1.5)) / 2
    np.testing.assert_allclose(losses, [np.log(2) + dice, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(known, [1.0, 0.0])


def test_perfect_masks_cost_nothing():
    masks = np.random.default_rng(0).integers(0, 2, (2, 8, 8, 3)).astype(np.float32)
    losses, _ = mask_losses(masks, np.array([True, True]), ops.convert_to_tensor(60 * (masks - 0.5)))
    np.testing.assert_allclose(losses, 0.0, atol=1e-5)
