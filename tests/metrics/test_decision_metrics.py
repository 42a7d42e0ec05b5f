"""Figures at thresholds and the risk-coverage curve, by hand."""

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.decisions import Calibration
from farkeras.metrics.decision_metrics import at_thresholds, evaluate_decisions
from farkeras.metrics.risk_coverage import risk_coverage

ONE = Grouping({"all": ("a",)})
LABELS = np.array([[1], [1], [0], [0], [-1]], np.int8)
PROBABILITIES = np.array([[0.9], [0.3], [0.2], [0.1], [0.9]])


def test_figures_at_a_threshold():
    found = at_thresholds(LABELS, PROBABILITIES, np.array([0.5]), ["a"])["attributes"]["a"]
    expected = {"accuracy": 3 / 4, "balanced_accuracy": 3 / 4, "f1": 2 / 3, "precision": 1, "recall": 1 / 2}
    assert found == {"threshold": 0.5, **expected}
    lower = at_thresholds(LABELS, PROBABILITIES, np.array([0.25]), ["a"])
    assert {lower["attributes"]["a"][name] for name in expected} == {1}
    assert lower["mean_f1"] == 1


def test_figures_that_the_labels_leave_undefined():
    found = at_thresholds(np.zeros((3, 1), np.int8), np.zeros((3, 1)), np.array([0.5]), ["a"])
    row = found["attributes"]["a"]
    assert row["accuracy"] == 1
    assert row["balanced_accuracy"] is row["recall"] is row["precision"] is row["f1"] is None
    assert found["mean_balanced_accuracy"] is None


def test_risk_coverage_by_hand():
    labels = np.array([[1], [0], [1], [1], [-1]], np.int8)
    probabilities = np.array([[0.9], [0.8], [0.6], [0.45], [1.0]])  # right, wrong, right, wrong, unknown
    found = risk_coverage(labels, probabilities, np.array([0.5]))
    accuracy = dict(zip(range(1, 101), found["accuracy"], strict=True))
    assert [accuracy[share] for share in (25, 50, 75, 100)] == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    assert found["min_confidence"][24::25] == pytest.approx([0.9, 0.8, 0.6, 0.55])
    assert found["coverage"][24::25] == [0.25, 0.5, 0.75, 1]
    assert found["area"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_equally_confident_answers_count_with_their_mean():
    labels, probabilities = np.array([[1], [0], [1], [0]], np.int8), np.array([[0.8], [0.8], [0.8], [0.8]])
    for order in ([0, 1, 2, 3], [1, 3, 0, 2]):
        found = risk_coverage(labels[order], probabilities[order], np.array([0.5]))
        assert found["accuracy"] == pytest.approx([0.5] * 100)
        assert found["area"] == pytest.approx(0.5)
    assert risk_coverage(np.full((2, 1), -1), np.ones((2, 1)), np.array([0.5])) is None


def test_everything_before_and_after():
    data = {"source": "table", "data_dir": "faces", "split": "validation"}
    calibration = Calibration({"a": 2.0}, {"a": 0.0}, {"a": 0.3}, fitted_on={**data, "images": 4})
    logits = np.array([[4.0], [-1], [-3], [-4], [4]])
    probabilities = 1 / (1 + np.exp(-logits))
    found = evaluate_decisions(LABELS, probabilities, calibration, ONE, data)
    assert found["calibration"]["on_same_images"]
    assert found["calibration"]["fitted"] == calibration.to_dict()
    after = found["calibration"]["after"]["curve"]["predicted"]
    assert after == pytest.approx((1 / (1 + np.exp(-np.sort(logits[:4], axis=0) / 2))).ravel())
    assert found["thresholds"]["objective"] == "balanced_accuracy"
    assert found["thresholds"]["at_50"]["mean_recall"] == 1 / 2
    assert found["thresholds"]["at_thresholds"]["mean_recall"] == 1  # sigmoid(-1 / 2) = 0.38
    assert found["risk_coverage"]["at_50"]["accuracy"][-1] == 3 / 4
    assert found["risk_coverage"]["at_thresholds"]["accuracy"][-1] == 1
    assert not evaluate_decisions(LABELS, probabilities, calibration, ONE, data | {"split": "test"})["calibration"][
        "on_same_images"
    ]


def test_a_model_without_calibration():
    found = evaluate_decisions(LABELS, PROBABILITIES, None, ONE, {"split": "test"})
    assert found["calibration"]["fitted"] is None
    assert not found["calibration"]["on_same_images"]
    assert "after" not in found["calibration"]
    assert list(found["thresholds"]) == ["objective", "at_50"]
    assert list(found["risk_coverage"]) == ["at_50"]
