"""Abstaining: the accuracy of the answers that remain if the least confident ones are left out."""

import numpy as np

from farkeras.data.examples import UNKNOWN
from farkeras.decisions import confidence

POINTS = 100


def risk_coverage(labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray) -> dict | None:
    """Computes the risk-coverage curve (El-Yaniv and Wiener, JMLR 2010) over the known labels of all attributes.

    Answers are ordered by `farkeras.decisions.confidence`, the most confident first; equally confident ones count with
    their mean accuracy.

    Args:
        labels: `int8 [N, A]`: 1, 0, or -1 for unknown.
        probabilities: `float [N, A]` in 0..1.
        thresholds: `float [A]`: the probability from which on an answer is positive.

    Returns:
        A dict, ready for JSON; None without a known label:

        - `coverage`: the shares of answers that are kept, from 0.01 to 1;
        - `accuracy`: the accuracy of the kept answers;
        - `min_confidence`: the confidence of the least confident of them;
        - `area`: the area under the curve of risk (1 - accuracy) over coverage, the mean risk over all numbers of
          kept answers; 0 is best.
    """
    known = labels != UNKNOWN
    if not known.any():
        return None
    sure = confidence(probabilities, thresholds)[known]
    right = ((probabilities >= thresholds) == (labels == 1))[known].astype(np.float64)
    levels, place, count = np.unique(-sure, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=right) / count
    accuracy = np.cumsum(np.repeat(mean, count)) / np.arange(1, len(right) + 1)
    kept = np.maximum(1, np.ceil(np.arange(1, POINTS + 1) * len(right) / POINTS).astype(int))
    return {
        "coverage": (kept / len(right)).tolist(),
        "accuracy": accuracy[kept - 1].tolist(),
        "min_confidence": np.repeat(-levels, count)[kept - 1].tolist(),
        "area": float((1 - accuracy).mean()),
    }
