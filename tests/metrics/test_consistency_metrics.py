"""Contradictions of answers and labels by hand, and the accuracy of consistent answers."""

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.consistency.answers import Consistency
from farkeras.consistency.rules import Contradiction
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.metrics.consistency_metrics import evaluate_consistency

NAMES = ("No_Beard", "Goatee", "Smiling")
RULES = (Contradiction(("No_Beard", "Goatee")), Contradiction(("Goatee",), ("Adult",)))
LABELS = np.array([[1, 0, 1], [0, 1, 0], [1, 1, -1], [1, -1, 0]], np.int8)
PROBABILITIES = np.array([[0.9, 0.6, 0.8], [0.6, 0.7, 0.6], [0.9, 0.2, 0.5], [0.7, 0.1, 0.4]])


def test_values_by_hand():
    """The first two images contradict themselves; both are put right. The label of the third contradicts itself."""
    result = evaluate_consistency(LABELS, PROBABILITIES, Consistency(NAMES, RULES))
    assert result["ignored"] == 1
    assert result["contradictions"] == {"No_Beard with Goatee": {"answers": 2, "labels": 1}}
    assert result["images"] == {"answers": 2, "labels": 1}
    assert result["changed_answers"] == 2
    # No_Beard 3/4 -> 4/4, Goatee 1/3 -> 2/3, Smiling 2/3; balanced: 1/2 -> 1, 1/4 -> 3/4, 3/4.
    assert result["as_answered"] == pytest.approx({"mean_accuracy": 21 / 36, "mean_balanced_accuracy": 0.5})
    assert result["consistent"] == pytest.approx({"mean_accuracy": 28 / 36, "mean_balanced_accuracy": 2.5 / 3})


def test_the_accuracies_are_those_of_the_evaluation():
    random = np.random.default_rng(0)
    labels, probabilities = random.integers(-1, 2, (50, 3)).astype(np.int8), random.random((50, 3))
    labels[:, 0] = 1  # no balanced accuracy
    evaluation = evaluate_attributes(labels, probabilities, Grouping({"all": NAMES}))
    result = evaluate_consistency(labels, probabilities, Consistency(NAMES, ()))
    expected = {name: evaluation[name] for name in ("mean_accuracy", "mean_balanced_accuracy")}
    assert result["as_answered"] == pytest.approx(expected)
    assert result["consistent"] == result["as_answered"]


def test_labels_that_define_nothing():
    result = evaluate_consistency(np.full((2, 3), -1, np.int8), np.full((2, 3), 0.5), Consistency(NAMES))
    assert result["consistent"] == {"mean_accuracy": None, "mean_balanced_accuracy": None}


def test_each_attribute_has_its_threshold():
    result = evaluate_consistency(LABELS, PROBABILITIES, Consistency(NAMES, RULES), np.array([0.5, 0.8, 0.5]))
    assert result["images"]["answers"] == 0
    assert result["changed_answers"] == 0
