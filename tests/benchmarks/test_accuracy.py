"""What a form of a model loses."""

import numpy as np
import pytest

from speed.accuracy import accuracies, allowed_forms, paired_losses, summary


def test_accuracies_by_hand():
    # One attribute: three positives, two of them found, and one negative, found. A second one: all four found.
    labels = np.array([[1, 1], [1, 1], [1, 0], [0, 0]])
    probabilities = np.array([[0.9, 0.9], [0.6, 0.5], [0.4, 0.1], [0.2, 0.4]])
    mean, balanced = accuracies(labels, probabilities)[:, 0]
    assert mean == pytest.approx((3 / 4 + 1) / 2)
    assert balanced == pytest.approx(((2 / 3 + 1) / 2 + 1) / 2)
    # Without the image that is wrong, everything is right.
    assert accuracies(labels, probabilities, np.array([[1, 1, 0, 1]]))[:, 0] == pytest.approx([1, 1])


def test_losses_are_paired_and_in_points():
    labels = np.random.default_rng(0).integers(0, 2, (400, 5))
    right = labels.astype(float)
    worse = right.copy()
    worse[:40] = 1 - worse[:40]  # a tenth of the images
    lost = paired_losses(labels, right, worse)["mean_accuracy"]
    assert lost.value == pytest.approx(10)
    assert 6 < lost.low < 10 < lost.high < 14
    assert paired_losses(labels, worse, worse)["mean_balanced_accuracy"] == (0, 0, 0)


def test_a_form_that_loses_more_than_the_limit_does_not_count():
    small, large = [0.1, 0.0, 0.2], [0.4, 0.2, 0.6]
    lost = {
        "bfloat16": {"mean_accuracy": small, "mean_balanced_accuracy": small},
        "int8": {"mean_accuracy": small, "mean_balanced_accuracy": large},
    }
    accuracy = {"run": "demo_pretrained", "backbone": "TorchMobileNetV2", "faces": 3000, "lost": lost}
    assert allowed_forms(accuracy) == ["bfloat16"]
    assert "lost on 3,000 drawn faces by TorchMobileNetV2 of demo_pretrained: bfloat16 +0.10" in summary(accuracy)
    assert allowed_forms({}) is None
    assert "only float32 counts" in summary({})
