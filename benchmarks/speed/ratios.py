"""Ratios of paired times, with bootstrap intervals, and what they say about a goal."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

AT_MOST, AT_LEAST = "at most", "at least"
MET, NOT_MET, UNDECIDED, NOT_MEASURED = "met", "not met", "undecided", "not measured"
RESAMPLES = 10_000


class Ratio(NamedTuple):
    """A value with the interval that holds it with 95 % probability.

    Attributes:
        value: The value.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float


def median_with_interval(values: np.ndarray, seed: int = 0) -> Ratio:
    """Returns the median of values `[rounds]`, with the 95 % interval of its bootstrap distribution.

    The bootstrap draws as many rounds as there are, with replacement, and takes the median of each drawing. The
    interval holds the middle 95 % of these medians. The same values and seed give the same interval.
    """
    values = np.asarray(values, float)
    drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    medians = np.median(values[drawn], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return Ratio(float(np.median(values)), float(low), float(high))


def ratio_of_times(ours: np.ndarray, theirs: np.ndarray) -> Ratio:
    """Returns the median over the rounds of our time divided by theirs; both are `[rounds]`, paired by round."""
    return median_with_interval(np.asarray(ours) / np.asarray(theirs))


def ratio_of_speeds(ours: np.ndarray, theirs: np.ndarray) -> Ratio:
    """Returns the median over the rounds of our speed divided by theirs, from times `[rounds]` paired by round."""
    return median_with_interval(np.asarray(theirs) / np.asarray(ours))


RATIOS: dict[str, Callable[[np.ndarray, np.ndarray], Ratio]] = {
    AT_MOST: ratio_of_times,
    AT_LEAST: ratio_of_speeds,
}
"""Direction of a goal -> the ratio that it limits: a time should be low, a speed should be high."""


def verdict(ratio: Ratio, goal: float, direction: str) -> str:
    """Says whether a goal is met: the whole interval is on its good side, on its bad side, or on both (undecided)."""
    good = ratio.high <= goal if direction == AT_MOST else ratio.low >= goal
    bad = ratio.low > goal if direction == AT_MOST else ratio.high < goal
    return MET if good else NOT_MET if bad else UNDECIDED
