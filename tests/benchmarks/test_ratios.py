"""Ratios of paired times, their intervals and what they say about a goal."""

import numpy as np
import pytest

from speed.ratios import (
    AT_LEAST,
    AT_MOST,
    MET,
    NOT_MET,
    UNDECIDED,
    Ratio,
    median_with_interval,
    ratio_of_speeds,
    ratio_of_times,
    verdict,
)


def test_the_median_of_paired_ratios_by_hand():
    ours, theirs = np.array([2.0, 6.0, 9.0]), np.array([1.0, 2.0, 9.0])  # ratios 2, 3 and 1
    assert ratio_of_times(ours, theirs).value == 2
    assert ratio_of_speeds(ours, theirs).value == 0.5
    assert np.median(ours) / np.median(theirs) == 3  # what pairing avoids


def test_the_interval_of_three_rounds_by_hand():
    # Of the 27 drawings of three rounds, 7 have the smallest at least twice: the median is 1 in 26 % of them, far more
    # than the 2.5 % that the interval leaves out, and the same holds for 3.
    assert median_with_interval(np.array([1.0, 2.0, 3.0])) == Ratio(2, 1, 3)


def test_the_interval_leaves_out_what_is_rare():
    # The bootstrap's median of 20 values is the outlier with a probability below 1e-9.
    values = np.array([1.0] * 19 + [100.0])
    assert median_with_interval(values) == Ratio(1, 1, 1)


def test_the_same_values_give_the_same_interval():
    values = np.random.default_rng(1).normal(1, 0.1, 20)
    assert median_with_interval(values) == median_with_interval(values)


@pytest.mark.parametrize(
    ("low", "high", "direction", "expected"),
    [
        (1.00, 1.03, AT_MOST, MET),
        (1.02, 1.04, AT_MOST, UNDECIDED),
        (1.04, 1.05, AT_MOST, NOT_MET),
        (1.03, 1.05, AT_LEAST, MET),
        (1.02, 1.04, AT_LEAST, UNDECIDED),
        (1.00, 1.02, AT_LEAST, NOT_MET),
    ],
)
def test_verdicts_about_a_goal_of_1_03(low, high, direction, expected):
    assert verdict(Ratio((low + high) / 2, low, high), 1.03, direction) == expected
