"""Temperatures: the optimum, who has one, and who takes that of the group."""

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.metrics.temperature import apply_temperatures, fit_temperatures, logits_of, sigmoid

ONE = Grouping({"all": ("a",)})
TWO = Grouping({"all": ("a", "b")})


def answers(logit, count, right):
    """Labels and probabilities `[count, 1]`: half of each class, `right` of them on the right side of 50 %."""
    labels = np.arange(count) % 2
    signs = np.where(labels == 1, 1.0, -1.0)
    signs[right:] *= -1
    return labels[:, None].astype(np.int8), sigmoid(logit * signs)[:, None].astype(np.float32)


def drawn(temperatures, count, seed=0):
    """Labels that are drawn from the probabilities at these temperatures."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, len(temperatures)))
    labels = random.random(logits.shape) < sigmoid(logits / np.array(temperatures))
    return labels.astype(np.int8), sigmoid(logits).astype(np.float32)


def test_the_optimum_makes_the_probability_the_frequency():
    labels, probabilities = answers(2.0, 40_000, right=30_000)
    found = fit_temperatures(labels, probabilities, ONE)
    assert found.temperatures == pytest.approx([2 / np.log(3)], rel=1e-3)  # sigmoid(2 / T) = 3/4
    assert found.shifts == pytest.approx([0], abs=1e-3)
    after = apply_temperatures(probabilities, found.temperatures, found.shifts)
    np.testing.assert_allclose(np.unique(after), [0.25, 0.75], atol=1e-3)


def test_unknown_labels_count_nothing():
    labels, probabilities = answers(2.0, 400, right=300)
    unknown = np.full_like(labels, -1)
    both = labels.repeat(2, axis=0), probabilities.repeat(2, axis=0)
    both[0][1::2] = unknown
    both[1][1::2] = 1 - probabilities
    found, expected = fit_temperatures(*both, ONE), fit_temperatures(labels, probabilities, ONE)
    np.testing.assert_allclose(found.temperatures, expected.temperatures, rtol=1e-6)


def test_attributes_have_their_own_where_they_differ_and_enough_labels_tell():
    found = fit_temperatures(*drawn([0.5, 3.0], 2000), TWO)
    assert found.scope.endswith("attribute")
    assert found.temperatures == pytest.approx([0.5, 3.0], rel=0.15)
    assert not found.notes


def test_groups_have_them_where_single_attributes_have_too_few_labels():
    labels, probabilities = drawn([2.5] * 8, 40)
    grouping = Grouping({"first": tuple("abcd"), "second": tuple("efgh")})
    found = fit_temperatures(labels, probabilities, grouping)
    assert found.scope == "group"
    assert len(set(found.temperatures[:4])) == len(set(found.temperatures[4:])) == 1
    assert found.shifts.tolist() == [0] * 8
    assert found.losses["group"] < min(found.losses["attribute"], found.losses["shift"])


def test_a_shift_undoes_the_weight_of_positive_labels():
    """A model that counts positive labels 8 times has logits that are log(8) too high."""
    labels, probabilities = drawn([1.0, 1.0], 4000)
    weighted = sigmoid(logits_of(probabilities) + np.log(8)).astype(np.float32)
    found = fit_temperatures(labels, weighted, TWO)
    assert found.scope.startswith("shift")
    assert found.shifts == pytest.approx([-np.log(8)] * 2, abs=0.2)
    assert found.losses[found.scope] < 0.9 * min(found.losses[name] for name in ("none", "group", "attribute"))


def test_temperature_and_shift_together():
    labels, probabilities = drawn([1.0, 1.0], 4000)
    other = sigmoid(2 * logits_of(probabilities) + 3).astype(np.float32)
    found = fit_temperatures(labels, other, TWO)
    assert found.temperatures == pytest.approx([2, 2], rel=0.1)
    assert found.shifts == pytest.approx([-1.5, -1.5], abs=0.2)  # (2 z + 3) / 2 - 1.5 = z


def test_none_where_the_probabilities_are_right():
    found = fit_temperatures(*drawn([1.0, 1.0], 60), TWO)
    assert found.scope == "none"
    assert (found.temperatures.tolist(), found.shifts.tolist()) == ([1, 1], [0, 0])


@pytest.mark.parametrize("case", ["one class", "few labels", "separated"])
def test_an_attribute_that_tells_nothing_takes_the_temperature_of_its_group(case):
    labels, probabilities = drawn([0.5, 3.0, 0.5], 2000)
    grouping = Grouping({"first": ("a", "c"), "second": ("b",)}, ("a", "b", "c"))
    if case == "one class":
        labels[:, 2] = 0
    elif case == "few labels":
        labels[19:, 2] = -1  # of either class, fewer than 10
    else:
        labels[:, 2] = probabilities[:, 2] > 0.5
    found = fit_temperatures(labels, probabilities, grouping)
    assert found.scope.endswith("attribute")
    assert list(found.notes) == ["c"]
    assert found.notes["c"].endswith("the temperature of the group")
    assert np.isfinite(found.temperatures).all()
    assert np.isfinite(found.shifts).all()
    assert found.temperatures[0] == pytest.approx(0.5, rel=0.15)
    assert found.temperatures[2] != found.temperatures[0]
    assert case == "separated" or found.shifts[2] == 0


def test_nothing_to_fit_on():
    for labels in (np.ones((30, 1), np.int8), np.full((30, 1), -1, np.int8), np.zeros((0, 1), np.int8)):
        found = fit_temperatures(labels, np.full(labels.shape, 0.75, np.float32), ONE)
        assert (found.temperatures.tolist(), found.shifts.tolist(), found.scope) == ([1], [0], "none")


def test_a_temperature_is_bounded():
    labels, probabilities = answers(5.0, 400, right=100)  # worse than chance: the best temperature is negative
    found = fit_temperatures(labels, probabilities, ONE)
    assert found.temperatures == pytest.approx([10])
    labels, probabilities = answers(0.02, 40_000, right=39_000)  # the best is 0.0055
    assert fit_temperatures(labels, probabilities, ONE).temperatures == pytest.approx([0.1])


def test_the_fit_is_a_minimum():
    labels, probabilities = drawn([0.7, 2.0], 500)
    found = fit_temperatures(labels, sigmoid(logits_of(probabilities) + 1).astype(np.float32), TWO)
    logits = logits_of(sigmoid(logits_of(probabilities) + 1).astype(np.float32))

    def loss(temperatures, shifts):
        values = logits / temperatures + shifts
        prior = ((1 / temperatures - 1) ** 2 + shifts**2).sum() / 2
        return np.logaddexp(0, np.where(labels == 1, -values, values)).sum() + prior

    best = loss(found.temperatures, found.shifts)
    for column in np.eye(2):
        for change in (-0.02, 0.02):
            assert loss(found.temperatures * (1 + change * column), found.shifts) > best
            assert loss(found.temperatures, found.shifts + change * column) > best


def test_the_order_stays():
    random = np.random.default_rng(0)
    probabilities = np.concatenate(
        [random.random(1000), [0, 1e-45, 1e-7, 0.5, np.nextafter(np.float32(1), np.float32(0)), 1]]
    ).astype(np.float32)
    probabilities = np.sort(probabilities)
    for temperature in (0.1, 0.7, 1.0, 3.0, 10.0):
        after = apply_temperatures(probabilities, np.array([temperature]), np.array([-1.0]))
        assert (np.diff(after) >= 0).all()
        assert temperature < 0.5 or (np.diff(after)[np.diff(probabilities) > 0] > 0).all()
    assert np.isfinite(logits_of(probabilities)).all()
