"""Calibration error: its bins, its interval, what chance makes of it, and the curve."""

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.metrics.reliability import bins_of, calibration_error, evaluate_calibration, reliability_curve

ONE = Grouping({"all": ("a",)})


def test_bins_have_equally_many_images_and_equal_probabilities_share_one():
    assert np.bincount(bins_of(np.random.default_rng(0).random(45))).tolist() == [3] * 15
    assert bins_of(np.array([0.1, 0.9, 0.1, 0.9])).tolist() == [0, 7, 0, 7]
    assert bins_of(np.zeros(0)).tolist() == []


def test_error_by_hand():
    # 15 bins of two images, (2b and 2b + 1) / 30, one of them positive: the gaps are |4b - 29| / 60, 225 / 60 in all
    probabilities = np.arange(30) / 30
    positive = np.arange(30) % 2 == 1
    assert calibration_error(positive, probabilities) == pytest.approx(225 / 60 / 15)
    assert calibration_error(positive[:0], probabilities[:0]) is None


def test_curve_by_hand():
    labels = np.array([[1, -1], [0, 0], [1, 1]], np.int8)
    probabilities = np.array([[0.8, 0.3], [0.2, 0.2], [0.8, 0.8]])
    curve = reliability_curve(labels, probabilities)
    assert curve["predicted"] == pytest.approx([0.2, 0.8])
    assert curve["observed"] == [0.0, 1.0]
    assert curve["count"] == [2, 3]


def case(count, seed=0):
    random = np.random.default_rng(seed)
    probabilities = random.random((count, 1))
    labels = (random.random((count, 1)) < probabilities**2).astype(np.int8)  # too sure of the positive class
    return labels, probabilities


def test_the_interval_is_around_the_error_and_narrows_with_more_images():
    widths = []
    for count in (200, 5000):
        labels, probabilities = case(count)
        found = evaluate_calibration(labels, probabilities, probabilities**2, ONE)
        before, after = found["before"], found["after"]
        assert before["expected_calibration_error"] == calibration_error(labels[:, 0] == 1, probabilities[:, 0])
        for values in (before, after):
            low, high = values["ci95"]
            assert low <= values["expected_calibration_error"] <= high
        low, high = found["reduction_ci95"]
        assert low <= before["expected_calibration_error"] - after["expected_calibration_error"] <= high
        widths.append(np.diff(before["ci95"])[0])
    assert widths[1] < widths[0] / 3
    assert low > 0.1  # the mean of p - p^2 is 1/6
    assert before["ci95"][0] > 2 * before["expected_by_chance"]
    assert after["expected_calibration_error"] == pytest.approx(after["expected_by_chance"], rel=0.5)


def test_the_interval_covers_what_another_sample_has():
    labels, probabilities = case(1000)
    low, high = evaluate_calibration(labels, probabilities, None, ONE)["before"]["ci95"]
    others = [
        evaluate_calibration(*case(1000, seed), None, ONE)["before"]["expected_calibration_error"]
        for seed in range(1, 9)
    ]
    assert sum(low <= error <= high for error in others) >= 6


def test_chance_by_hand():
    labels, probabilities = np.tile(np.array([[0], [1]], np.int8), (450, 1)), np.full((900, 1), 0.5)
    found = evaluate_calibration(labels, probabilities, None, ONE)
    assert "after" not in found
    assert found["before"]["expected_calibration_error"] == 0
    assert found["before"]["expected_by_chance"] == pytest.approx(np.sqrt(2 / np.pi) * 15 / 900)  # sqrt(900 / 4) = 15


def test_unknown_labels_and_attributes_without_any():
    labels, probabilities = case(300)
    two = Grouping({"all": ("a", "b")})
    beside = np.concatenate([labels, np.full_like(labels, -1)], axis=1)
    found = evaluate_calibration(beside, np.repeat(probabilities, 2, axis=1), None, two)["before"]
    alone = evaluate_calibration(labels, probabilities, None, ONE)["before"]
    assert found["expected_calibration_error"] == alone["expected_calibration_error"]
    assert found["ci95"] == pytest.approx(alone["ci95"])
    assert found["attributes"]["b"]["expected_calibration_error"] is None
    nothing = evaluate_calibration(np.full((5, 1), -1, np.int8), probabilities[:5], None, ONE)["before"]
    assert nothing["expected_calibration_error"] is nothing["ci95"] is None
