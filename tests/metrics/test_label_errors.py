"""Confident learning by hand, on simulated predictions with planted errors, and where nothing can be said."""

import numpy as np
import pytest

from farkeras.metrics.label_errors import find_label_errors


def test_values_by_hand():
    """The thresholds are (0.9 + 0.8 + 0.1) / 3 and (0.8 + 0.9 + 0.05) / 3. Images 2 and 5 reach the other class's."""
    labels = np.array([[1, 1, 1, 0, 0, 0, -1]], np.int8).T
    errors = find_label_errors(labels, np.array([[0.9, 0.8, 0.1, 0.2, 0.1, 0.95, 0.99]]).T, ["Smiling"])
    assert (errors.rows.tolist(), errors.columns.tolist(), errors.given.tolist()) == ([5, 2], [0, 0], [0, 1])
    assert errors.probabilities.tolist() == [0.95, 0.1]
    assert errors.scores == pytest.approx([0.05, 0.1])  # the probabilities of the given labels
    assert errors.rates["Smiling"] == {
        "known": 6,
        "suspicious": 2,
        "error_rate": pytest.approx(1 / 3),
        "positive_error_rate": pytest.approx(1 / 3),
        "negative_error_rate": pytest.approx(1 / 3),
    }


def simulate(frequencies, distances, noise, size=4000, seed=0):
    """Labels with planted errors, and the probabilities of the true labels from a normal feature for each attribute."""
    random, frequencies, distances = np.random.default_rng(seed), np.array(frequencies), np.array(distances)
    true = random.random((size, len(frequencies))) < frequencies
    feature = np.where(true, distances, -distances) + random.standard_normal(true.shape)
    wrong = random.random(true.shape) < noise
    odds = np.exp(2 * distances * feature) * frequencies / (1 - frequencies)
    return (true ^ wrong).astype(np.int8), odds / (1 + odds), wrong


def test_planted_errors_come_first_also_in_rare_attributes():
    labels, probabilities, wrong = simulate([0.5, 0.02, 0.5, 0.3], [4, 3, 2, 1], noise=0.05)
    errors = find_label_errors(labels, probabilities, "ABCD")
    found = wrong[errors.rows, errors.columns]
    assert found[:100].all()
    assert (np.diff(errors.scores) >= 0).all()
    assert set(errors.columns[:100].tolist()) >= {0, 1}
    for name in "AB":  # clearly recognised
        assert errors.rates[name]["error_rate"] == pytest.approx(0.05, abs=0.01)
    rare = errors.rates["B"]  # of the positive labels, most are wrong: 4.9 of 6.8 %
    assert rare["positive_error_rate"] == pytest.approx(wrong[:, 1][labels[:, 1] == 1].mean(), abs=0.1)


def test_labels_of_one_class_have_no_errors():
    labels = np.array([[1, -1, 0], [1, -1, 1]], np.int8)
    errors = find_label_errors(labels, np.full((2, 3), 0.5), ["A", "B", "C"])
    assert not np.isin(errors.columns, (0, 1)).any()
    assert errors.rates["A"]["error_rate"] is None
    assert errors.rates["B"] == {
        "known": 0,
        "suspicious": 0,
        "error_rate": None,
        "positive_error_rate": None,
        "negative_error_rate": None,
    }
