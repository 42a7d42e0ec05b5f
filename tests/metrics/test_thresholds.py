"""Thresholds: what each objective asks for, few labels, and how much the labels of a small split can say."""

import numpy as np
import pytest

from farkeras.metrics.temperature import sigmoid
from farkeras.metrics.thresholds import choose_thresholds


def drawn(count, base=-2.0, spread=2.0, shift=0.0, seed=0):
    """Labels drawn from calibrated probabilities `[count, 1]`; with a shift, the probabilities are shown too high."""
    random = np.random.default_rng(seed)
    logits = random.normal(base, spread, (count, 1))
    return (random.random((count, 1)) < sigmoid(logits)).astype(np.int8), sigmoid(logits + shift)


def choose(labels, probabilities, objective, precision=0.9):
    (threshold,), (note,) = choose_thresholds(labels, probabilities, objective, precision)
    return threshold, note


def balanced(labels, probabilities, threshold):
    answers = probabilities >= threshold
    return (answers[labels == 1].mean() + (~answers)[labels == 0].mean()) / 2


def f1(labels, probabilities, threshold):
    answers = probabilities >= threshold
    return 2 * answers[labels == 1].sum() / (answers.sum() + (labels == 1).sum())


def test_balanced_accuracy_of_calibrated_probabilities_is_best_at_the_frequency():
    labels, probabilities = drawn(100_000)
    threshold, note = choose(labels, probabilities, "balanced_accuracy")
    assert note == ""
    assert threshold == pytest.approx(labels.mean(), rel=0.1)


def test_f1_of_calibrated_probabilities_is_best_at_half_of_it():
    labels, probabilities = drawn(100_000)
    threshold, _ = choose(labels, probabilities, "f1")
    assert threshold == pytest.approx(f1(labels, probabilities, threshold) / 2, rel=0.05)


def test_precision_is_reached_with_the_most_answers():
    labels, probabilities = drawn(100_000)
    for precision in (0.6, 0.8, 0.95):
        threshold, _ = choose(labels, probabilities, "precision", precision)
        assert labels[probabilities >= threshold].mean() == pytest.approx(precision, abs=0.01)


def test_balanced_accuracy_leaves_the_models_own_half_only_for_more_than_noise():
    labels, probabilities = drawn(600, base=-1.0)
    frequency = labels.mean()
    for own_half, kept in ((frequency + 0.05, True), (0.97, False)):
        (threshold,), _ = choose_thresholds(labels, probabilities, "balanced_accuracy", own_half=np.array([own_half]))
        assert (threshold == own_half) == kept
        (other,), _ = choose_thresholds(labels, probabilities, "f1", own_half=np.array([own_half]))
        assert other == choose(labels, probabilities, "f1")[0]


def test_accuracy_of_calibrated_probabilities_is_best_at_half():
    assert choose(*drawn(20_000), "accuracy")[0] == pytest.approx(0.5, abs=0.02)


def test_with_many_labels_the_labels_decide():
    labels, probabilities = drawn(20_000, shift=1.5)  # not calibrated
    for objective, score in (("balanced_accuracy", balanced), ("f1", f1)):
        threshold, _ = choose(labels, probabilities, objective)
        best = max(score(labels, probabilities, t) for t in np.linspace(0.01, 0.99, 99))
        assert score(labels, probabilities, threshold) > best - 0.01
    assert choose(labels, probabilities, "accuracy")[0] > 0.7


@pytest.mark.parametrize(("objective", "score"), [("balanced_accuracy", balanced), ("f1", f1)])
def test_on_a_small_split_it_is_better_than_the_best_of_the_split(objective, score):
    many = drawn(50_000, base=-4.0, seed=99)
    ours, best_of_split = [], []
    for seed in range(30):
        labels, probabilities = drawn(400, base=-4.0, seed=seed)
        if (labels == 1).sum() < 10:
            continue
        ours.append(score(*many, choose(labels, probabilities, objective)[0]))
        candidates = np.unique(probabilities)
        best_of_split.append(score(*many, max(candidates, key=lambda t: score(labels, probabilities, t))))
    assert np.mean(ours) > np.mean(best_of_split) + 0.005


def test_the_labels_decide_against_the_probabilities():
    """Up to 30 % nothing is positive, above it everything."""
    probabilities = np.concatenate([np.linspace(0.001, 0.29, 3000), np.linspace(0.31, 0.5, 100)])[:, None]
    labels = (probabilities > 0.3).astype(np.int8)
    for objective in ("balanced_accuracy", "f1"):
        threshold, _ = choose(labels, probabilities, objective)
        assert balanced(labels, probabilities, threshold) > 0.99


def test_unknown_labels_count_nothing():
    labels, probabilities = drawn(500)
    both = np.concatenate([labels, np.full_like(labels, -1)]), np.concatenate([probabilities, 1 - probabilities])
    for objective in ("balanced_accuracy", "f1", "precision"):
        assert choose(*both, objective) == choose(labels, probabilities, objective)


def test_too_few_labels():
    labels, probabilities = drawn(500)
    labels[np.flatnonzero(labels[:, 0] == 1)[9:]] = 0
    assert choose(labels, probabilities, "f1") == (0.5, "too few labels: the threshold 50 %")
    assert choose(labels[:0], probabilities[:0], "f1")[0] == 0.5


def test_a_precision_that_nothing_reaches():
    labels, probabilities = drawn(500, spread=0.3)
    note = "no threshold has the precision 0.9: the threshold 50 %"
    assert choose(labels, probabilities, "precision") == (0.5, note)


def test_labels_that_a_threshold_separates_give_one_between_the_classes():
    probabilities = np.concatenate([np.linspace(0.01, 0.2, 80), np.linspace(0.7, 0.95, 20)])[:, None]
    labels = (probabilities > 0.5).astype(np.int8)
    for objective in ("balanced_accuracy", "f1"):
        threshold, _ = choose(labels, probabilities, objective)
        assert 0.2 <= threshold <= 0.7


def test_probabilities_that_rank_at_random_or_backwards():
    labels, probabilities = drawn(300)
    for shown in (np.full_like(probabilities, 0.25), 1 - probabilities):
        threshold, _ = choose(labels, shown, "balanced_accuracy")
        assert 0 <= threshold <= 1
