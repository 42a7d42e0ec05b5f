"""Thresholds of attributes, chosen on validation labels for an objective.

The best threshold on some hundred images is mostly noise: an attribute has few positive labels, and a few of them
decide where the maximum is. Calibrated probabilities say where it is expected: for balanced accuracy at the frequency
of positive labels, for F1 at half of the best expected F1. Another threshold replaces this one only if it is better on
the labels by more than two standard errors, so that with many labels the labels decide. docs/calibration.md compares
this with other rules.

Balanced accuracy is flat around its maximum, and leaving 50 % costs accuracy and precision. For it, an attribute
therefore keeps the model's own 50 % unless the chosen threshold is better on the labels by more than one standard
error.
"""

import numpy as np

from farkeras.decisions import DEFAULT_THRESHOLD
from farkeras.metrics.temperature import FEWEST, logits_of

Counts = tuple[np.ndarray, np.ndarray, float, float]
"""True positives and false positives for each threshold, and the numbers of positives and negatives."""


def choose_thresholds(
    labels: np.ndarray,
    probabilities: np.ndarray,
    objective: str,
    precision: float = 0.9,
    own_half: np.ndarray | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Chooses a threshold for each attribute.

    Args:
        labels: `int8 [N, A]`: 1 is positive, 0 negative, -1 unknown.
        probabilities: `float64 [N, A]` in 0..1: calibrated.
        objective: "balanced_accuracy", "accuracy" and "f1" are maximised. "precision": the lowest threshold, which
            finds the most images, from which on the expected share of right ones among the positive answers is
            `precision`.
        precision: The precision for that objective.
        own_half: `float [A]`: the calibrated probabilities at which the model's own are 50 %; by default 0.5.

    Returns:
        `float64 [A]` in 0..1, and for each attribute why its threshold is 50 % instead, or "": it has fewer than 10
        known positive or 10 known negative labels, or no threshold has the precision with 10 positive answers.
    """
    halves = np.full(labels.shape[1], DEFAULT_THRESHOLD) if own_half is None else own_half
    chosen = [
        _choose(labels[known, a] == 1, probabilities[known, a], objective, precision, float(halves[a]))
        for a, known in enumerate((labels >= 0).T)
    ]
    return np.array([threshold for threshold, _ in chosen]), [note for _, note in chosen]


def _choose(
    positive: np.ndarray, p: np.ndarray, objective: str, precision: float, own_half: float
) -> tuple[float, str]:
    if min(positive.sum(), (~positive).sum()) < FEWEST:
        return DEFAULT_THRESHOLD, "too few labels: the threshold 50 %"
    if objective == "precision":
        highest_first = np.sort(p)[::-1]
        reached = np.flatnonzero(np.cumsum(highest_first) / np.arange(1, len(p) + 1) >= precision)
        if not len(reached) or reached[-1] + 1 < FEWEST:
            return DEFAULT_THRESHOLD, f"no threshold has the precision {precision:g}: the threshold 50 %"
        return float(highest_first[reached[-1]]), ""
    expected = {
        "balanced_accuracy": lambda: float(positive.mean()),
        "accuracy": lambda: 0.5,
        "f1": lambda: _best_for_f1(p),
    }[objective]()
    threshold = _unless_another_is_better(positive, p, objective, expected)
    if objective == "balanced_accuracy":
        counts = _counts(positive, p, np.array([own_half, threshold]))
        own, other = _SCORES[objective](*counts)
        if other - own <= _standard_error(counts, 1, objective)[0]:
            return own_half, ""
    return threshold, ""


def _best_for_f1(p: np.ndarray) -> float:
    """Returns half of the best expected F1, the threshold at which it is reached (Lipton et al., ECML 2014)."""
    found = np.sort(p)[::-1]
    return float((np.cumsum(found) / (np.arange(1, len(found) + 1) + found.sum())).max())


def _unless_another_is_better(positive: np.ndarray, p: np.ndarray, objective: str, threshold: float) -> float:
    """Returns `threshold`, or the nearest one that is at most two standard errors below the best on the labels."""
    edges = np.unique(np.concatenate([[0.0], p, [1.0]]))
    candidates = np.append((edges[:-1] + edges[1:]) / 2, threshold)
    counts = _counts(positive, p, candidates)
    score = _SCORES[objective](*counts)
    best = int(score.argmax())
    good = np.flatnonzero(score >= score[best] - 2 * _standard_error(counts, best, objective))
    distance = np.abs(logits_of(candidates[good]) - logits_of(np.array(threshold)))
    return float(candidates[good[distance.argmin()]])


def _counts(positive: np.ndarray, p: np.ndarray, thresholds: np.ndarray) -> Counts:
    hits, alarms = (
        len(found) - np.searchsorted(found, thresholds) for found in (np.sort(p[positive]), np.sort(p[~positive]))
    )
    return hits.astype(np.float64), alarms.astype(np.float64), float(positive.sum()), float((~positive).sum())


_SCORES = {
    "balanced_accuracy": lambda hits, alarms, positives, negatives: (hits / positives + 1 - alarms / negatives) / 2,
    "accuracy": lambda hits, alarms, positives, negatives: (hits + negatives - alarms) / (positives + negatives),
    "f1": lambda hits, alarms, positives, _: 2 * hits / (hits + alarms + positives),
}


def _standard_error(counts: Counts, best: int, objective: str) -> np.ndarray:
    """Returns about the standard error of the difference of each threshold's score from the best one's.

    Two thresholds differ only in the answers to the images between them, whose numbers vary like Poisson numbers.
    """
    hits, alarms, positives, negatives = counts
    if objective == "balanced_accuracy":
        of_hit, of_alarm = 1 / (2 * positives), 1 / (2 * negatives)
    elif objective == "accuracy":
        of_hit = of_alarm = 1 / (positives + negatives)
    else:  # the derivatives of F1 at the best threshold
        whole = hits[best] + alarms[best] + positives
        of_hit, of_alarm = (2 * whole - 2 * hits[best]) / whole**2, 2 * hits[best] / whole**2
    return np.sqrt(np.abs(hits - hits[best]) * of_hit**2 + np.abs(alarms - alarms[best]) * of_alarm**2)
