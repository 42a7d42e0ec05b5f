"""How well probabilities fit frequencies: reliability curves, and the expected calibration error with its interval.

Bins have equal mass: the images are sorted by probability and cut into `BINS` bins with equally many images. Equal
probabilities share a bin. Bins are over the probability of the positive class, not over the confidence of the answer.
"""

import numpy as np

from farkeras.attributes import Grouping
from farkeras.data.examples import UNKNOWN

BINS = 15
RESAMPLES = 1000
_CHUNK = 4096  # images whose share of the resampled bins is added at a time


def bins_of(probabilities: np.ndarray) -> np.ndarray:
    """Returns the bin of each probability, `int [M]` in 0..`BINS` - 1."""
    rank = np.searchsorted(np.sort(probabilities), probabilities)
    return rank * BINS // max(1, len(probabilities))


def calibration_error(positive: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Computes the expected calibration error: the mean difference of a bin's mean probability and its frequency.

    Args:
        positive: `bool [M]`: the labels.
        probabilities: `float [M]` in 0..1.

    Returns:
        The mean of |mean probability - frequency of positive labels| over the bins, weighted by their numbers of
        images; None without images.
    """
    if not len(positive):
        return None
    gaps = np.bincount(bins_of(probabilities), weights=probabilities - positive, minlength=BINS)
    return float(np.abs(gaps).sum() / len(positive))


def reliability_curve(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, list]:
    """Computes the points of a reliability curve over all known labels, one for each bin that is not empty.

    Args:
        labels: `int8`, any shape: 1, 0, or -1 for unknown.
        probabilities: `float` of the same shape.

    Returns:
        `predicted` (mean probability), `observed` (frequency of positive labels) and `count`, JSON-ready.
    """
    known = labels != UNKNOWN
    positive, p = labels[known] == 1, np.asarray(probabilities, np.float64)[known]
    bins = bins_of(p)
    count = np.bincount(bins, minlength=BINS)
    full = count > 0
    sums = (np.bincount(bins, weights=values, minlength=BINS)[full] for values in (p, positive))
    predicted, observed = ((values / count[full]).tolist() for values in sums)
    return {"predicted": predicted, "observed": observed, "count": count[full].tolist()}


def evaluate_calibration(
    labels: np.ndarray, probabilities: np.ndarray, calibrated: np.ndarray | None, grouping: Grouping
) -> dict:
    """Measures the calibration of probabilities before and after temperatures were applied.

    Args:
        labels: `int8 [N, A]`: 1, 0, or -1 for unknown.
        probabilities: `float [N, A]` in 0..1: the model's own.
        calibrated: The same after calibration; None for a model without calibration.
        grouping: The A attributes, in the order of the columns.

    Returns:
        A dict, ready for JSON, with `bins`, and with `before` and (if there is one) `after`, each of which has

        - `expected_calibration_error`: the mean over the attributes with labels, and `ci95`, its 95 % interval: the
          spread of 1,000 resamples of the images around their mean, placed around the error;
        - `expected_by_chance`: about the error that perfectly calibrated probabilities would show on as many labels;
        - `curve`: `reliability_curve` over the labels of all attributes;
        - `attributes`: attribute -> its `expected_calibration_error` and its `curve`;

        and `reduction_ci95`, the 95 % interval of before - after under the same resamples.
    """
    shown = {"before": probabilities} | ({} if calibrated is None else {"after": calibrated})
    result: dict = {"bins": BINS}
    resampled = {}
    for name, values in shown.items():
        errors, chance, resampled[name] = _errors(labels, np.asarray(values, np.float64))
        known = [a for a, error in enumerate(errors) if error is not None]
        mean = float(np.mean([errors[a] for a in known])) if known else None
        result[name] = {
            "expected_calibration_error": mean,
            "ci95": None if mean is None else _around(mean, resampled[name]),
            "expected_by_chance": float(np.mean(chance[known])) if known else None,
            "curve": reliability_curve(labels, values),
            "attributes": {
                attribute: {
                    "expected_calibration_error": errors[a],
                    "curve": reliability_curve(labels[:, a], values[:, a]),
                }
                for a, attribute in enumerate(grouping.attributes)
            },
        }
    if calibrated is not None and result["before"]["ci95"]:
        reduction = (result[name]["expected_calibration_error"] for name in ("before", "after"))
        before, after = reduction
        result["reduction_ci95"] = _around(before - after, resampled["before"] - resampled["after"], lowest=-1.0)
    return result


def _around(value: float, resampled: np.ndarray, lowest: float = 0.0) -> list[float]:
    """Returns the percentile interval of resamples, moved so that it belongs to `value` instead of to their mean.

    An error is a mean of absolute values, so that each resample adds noise to it, and the mean of the resamples is too
    large.
    """
    bounds = value + np.percentile(resampled, [2.5, 97.5]) - resampled.mean()
    return np.clip(bounds, lowest, 1.0).tolist()


def _errors(labels: np.ndarray, probabilities: np.ndarray) -> tuple[list[float | None], np.ndarray, np.ndarray]:
    """Returns the error of each attribute, that by chance `[A]`, and the mean error of each resample of the images."""
    known, positive = labels != UNKNOWN, labels == 1
    columns = range(labels.shape[1])
    errors = [calibration_error(positive[known[:, a], a], probabilities[known[:, a], a]) for a in columns]
    bins = np.zeros(labels.shape, np.int64)
    for a in columns:
        bins[known[:, a], a] = bins_of(probabilities[known[:, a], a])
    counts = known.sum(axis=0)
    # The gap of a bin is about normal with this variance, and the mean of its absolute value is sqrt(2 / pi) of that.
    variance = np.where(known, probabilities * (1 - probabilities), 0.0)
    chance = np.zeros(len(counts))
    for a in columns:
        spread = np.sqrt(np.bincount(bins[:, a], weights=variance[:, a], minlength=BINS))
        chance[a] = np.sqrt(2 / np.pi) * spread.sum() / max(1, counts[a])
    if not counts.any():
        return errors, chance, np.zeros(RESAMPLES)
    # A resample weights each image by how often it is drawn, a Poisson number, so that it can be made in parts:
    # gaps = weights @ (one column per attribute and bin).
    random = np.random.default_rng(0)
    gaps, drawn = np.zeros((RESAMPLES, len(counts) * BINS), np.float32), np.zeros((RESAMPLES, len(counts)), np.float32)
    column = bins + BINS * np.arange(len(counts))
    gap = np.where(known, probabilities - positive, 0.0)
    for start in range(0, len(labels), _CHUNK):
        rows = slice(start, start + _CHUNK)
        weights = random.poisson(1.0, (RESAMPLES, len(gap[rows]))).astype(np.float32)
        spread_out = np.zeros((len(gap[rows]), gaps.shape[1]), np.float32)
        np.put_along_axis(spread_out, column[rows], gap[rows].astype(np.float32), axis=1)
        gaps += weights @ spread_out
        drawn += weights @ known[rows].astype(np.float32)
    sums = np.abs(gaps).reshape(RESAMPLES, len(counts), BINS).sum(axis=2, dtype=np.float64)
    defined = (drawn > 0).sum(axis=1)  # few images may all be left out of a resample
    means = (sums / np.maximum(drawn, 1)).sum(axis=1) / np.maximum(defined, 1)
    return errors, chance, means[defined > 0]
