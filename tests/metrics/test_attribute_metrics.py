"""Hand-computed values, what must not change them, and what is undefined."""

import json

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.errors import FarkerasError
from farkeras.metrics.attribute_metrics import evaluate_attributes

ONE = Grouping({"G": ("a",)})
TWO = Grouping({"First": ("a", "b"), "Second": ("c",)})


def column(*values):
    return np.array(values)[:, None]


def random_case(count=200, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(-1, 2, (count, 3)).astype(np.int8)
    return labels, random.random((count, 3))


def flat(value) -> list:
    """All numbers of a nested result, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in flat(item)]
    return [] if isinstance(value, str) else [value]


def test_hand_computed_attribute():
    # Ten images, threshold 0.5: 3 true and 1 false positives, 4 true and 2 false negatives.
    labels = column(1, 1, 1, 0, 0, 0, 0, 0, 1, 1)
    scores = column(0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1, 0.45, 0.05)
    result = evaluate_attributes(labels, scores, ONE)["attributes"]["a"]
    counts = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    assert [result[name] for name in counts] == [3, 1, 4, 2]
    assert result["num_known"] == 10
    assert result["accuracy"] == pytest.approx(0.7)
    assert result["balanced_accuracy"] == pytest.approx((3 / 5 + 4 / 5) / 2)
    assert result["f1"] == pytest.approx(6 / 9)
    assert result["majority_accuracy"] == pytest.approx(0.5)
    assert result["positive_rate"] == pytest.approx(0.5)
    # Of the 25 pairs (positive, negative), 3 x 5 + 4 + 0 are in the right order.
    assert result["roc_auc"] == pytest.approx(19 / 25)
    # Precision at each positive: 1/1, 2/2, 3/3, 4/5, 5/10.
    assert result["average_precision"] == pytest.approx((1 + 1 + 1 + 4 / 5 + 5 / 10) / 5)
    assert result["accuracy_ci95"] == pytest.approx([0.3968, 0.8922], abs=1e-4)  # Wilson, 7 of 10


def test_calibration_error_weighs_bins_by_their_count():
    # Three images at 0.9, of which two are positive, and one at 0.1, which is negative.
    result = evaluate_attributes(column(1, 1, 0, 0), column(0.9, 0.9, 0.9, 0.1), ONE)
    expected = 3 / 4 * abs(0.9 - 2 / 3) + 1 / 4 * 0.1
    assert result["mean_expected_calibration_error"] == pytest.approx(expected)


def test_probabilities_that_tell_the_frequency_are_calibrated():
    result = evaluate_attributes(column(1, 0, 0, 0, 1, 1), column(*[0.25] * 4, 1.0, 1.0), ONE)
    assert result["mean_expected_calibration_error"] == pytest.approx(0)


def test_the_threshold_itself_counts_as_positive():
    attributes = evaluate_attributes(column(1, 0), column(0.3, 0.2), ONE, threshold=0.3)["attributes"]
    assert attributes["a"]["accuracy"] == 1.0


def test_groups_and_overall_are_means_over_attributes():
    labels, probabilities = random_case()
    result = evaluate_attributes(labels, probabilities, TWO)
    a, b, c = (result["attributes"][name] for name in "abc")
    for figure in ("accuracy", "balanced_accuracy", "f1", "roc_auc"):
        assert result["groups"]["First"][figure] == pytest.approx((a[figure] + b[figure]) / 2)
        assert result["groups"]["Second"][figure] == pytest.approx(c[figure])
        mean = (a[figure] + b[figure] + c[figure]) / 3
        assert result[f"mean_{figure}"] == pytest.approx(mean)
    assert result["groups"]["First"]["attributes"] == ["a", "b"]
    assert result["num_images"] == 200
    low, high = result["mean_accuracy_ci95"]
    assert low < result["mean_accuracy"] < high


def test_bootstrap_interval_agrees_with_the_normal_one():
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, (2000, 3))
    probabilities = np.where(random.random((2000, 3)) < 0.8, labels, 1 - labels).astype(float)
    low, high = evaluate_attributes(labels, probabilities, TWO)["mean_accuracy_ci95"]
    per_image = ((probabilities >= 0.5) == (labels == 1)).mean(axis=1)
    half = 1.96 * per_image.std() / np.sqrt(2000)
    assert [low, high] == pytest.approx([per_image.mean() - half, per_image.mean() + half], abs=1e-3)


def test_the_order_of_images_changes_nothing():
    labels, probabilities = random_case()
    order = np.random.default_rng(5).permutation(len(labels))
    one = evaluate_attributes(labels, probabilities, TWO)
    other = evaluate_attributes(labels[order], probabilities[order], TWO)
    assert flat(one) == pytest.approx(flat(other), abs=1e-12)


def test_predictions_of_unknown_labels_change_nothing():
    labels, probabilities = random_case()
    disturbed = np.where(labels == -1, 1 - probabilities, probabilities)
    one = evaluate_attributes(labels, probabilities, TWO)
    assert one == evaluate_attributes(labels, disturbed, TWO)


def test_images_without_any_label_change_only_their_number():
    labels, probabilities = random_case()
    one = evaluate_attributes(labels, probabilities, TWO)
    empty = np.full((50, 3), -1)
    other = evaluate_attributes(np.concatenate([labels, empty]), np.concatenate([probabilities, np.ones((50, 3))]), TWO)
    assert other.pop("num_images") == one.pop("num_images") + 50


def test_undefined_values_are_none():
    labels = np.array([[0, 0, -1], [0, 1, -1], [0, 1, -1]])
    probabilities = np.array([[0.1, 0.2, 0.3], [0.2, 0.9, 0.3], [0.3, 0.8, 0.3]])
    result = evaluate_attributes(labels, probabilities, TWO)
    a, c = result["attributes"]["a"], result["attributes"]["c"]
    assert a["accuracy"] == 1.0
    for figure in ("balanced_accuracy", "f1", "roc_auc", "average_precision"):
        assert a[figure] is None
    for figure in ("accuracy", "accuracy_ci95", "majority_accuracy", "positive_rate"):
        assert c[figure] is None
    assert c["expected_calibration_error"] is None
    assert c["num_known"] == 0
    assert result["groups"]["First"]["roc_auc"] == 1.0  # the mean of b alone
    assert result["groups"]["First"]["num_defined"]["roc_auc"] == 1
    assert result["groups"]["Second"]["accuracy"] is None
    assert result["num_defined"]["accuracy"] == 2
    assert result["mean_accuracy"] == 1.0


def test_nothing_known_at_all():
    result = evaluate_attributes(np.full((2, 3), -1), np.full((2, 3), 0.5), TWO)
    assert result["mean_accuracy"] is None
    assert result["mean_accuracy_ci95"] is None


def test_the_result_is_plain_json():
    result = evaluate_attributes(*random_case(), TWO)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (column(1, 0), np.zeros((2, 2)), r"shape \[images, 1 attributes\].*\[2, 1\] and \[2, 2\]"),
        (column(1, 2), column(0.0, 0.0), r"1, 0 or -1 \(unknown\)\. Received: \[1, 2\]"),
        (column(1, 0), column(0.0, 1.5), r"in \[0, 1\]\. Received: other values or NaN for a"),
        (column(1, 0), column(0.0, np.nan), r"Received: other values or NaN for a"),
    ],
)
def test_what_is_refused(labels, probabilities, message):
    with pytest.raises(FarkerasError, match=message):
        evaluate_attributes(labels, probabilities, ONE)
