"""Finds labels that are probably wrong: confident learning (Northcutt, Jiang and Chuang, JAIR 2021) for each attribute.

Published: the threshold of a class, which is the mean predicted probability of the images with this label; the
confident joint, which counts the images of each given label that reach the threshold of each class; its calibration to
the numbers of the given labels; and the self-confidence, the predicted probability of the given label, by which
suspicious labels are ranked. With two classes, the published normalised margin gives the same order.

Ours: each attribute is a problem with two classes, unknown labels are left out, and the labels of all attributes are
ranked together. In simulations, margins relative to the thresholds of the classes found fewer of the planted errors.
The authors' package cleanlab is not used, because it needs pandas, which farkeras
does not need otherwise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from farkeras.data.examples import UNKNOWN


class LabelErrors(NamedTuple):
    """The labels that are probably wrong, the most suspicious first.

    Attributes:
        rows: int64 `[E]`, the image of each label.
        columns: int64 `[E]`, its attribute.
        given: int8 `[E]`, the label, 1 or 0. The suggested label is the other one.
        probabilities: float64 `[E]`, the predicted probability that the attribute is present.
        scores: float64 `[E]` in [0, 1], the self-confidence: the lower, the more suspicious.
        rates: Attribute -> the result of `estimate_rates`.
    """

    rows: np.ndarray
    columns: np.ndarray
    given: np.ndarray
    probabilities: np.ndarray
    scores: np.ndarray
    rates: dict[str, dict]


def find_label_errors(labels: np.ndarray, probabilities: np.ndarray, attributes: Sequence[str]) -> LabelErrors:
    """Finds the labels that a model's predictions confidently contradict.

    Args:
        labels: `int8` array `[N, A]`: 1 is positive, 0 negative, -1 unknown.
        probabilities: `float` array `[N, A]` in [0, 1], from models that have not seen the labels of the image.
        attributes: Names of the `A` attributes.

    Returns:
        The labels whose image reaches the threshold of the other class, and estimates for each attribute. An attribute
        without known labels of both classes has no errors.
    """
    parts, rates = [], {}
    for column, name in enumerate(attributes):
        known = np.flatnonzero(labels[:, column] != UNKNOWN)
        given, p = labels[known, column], probabilities[known, column].astype(np.float64)
        confident = _confident_classes(given, p)
        wrong = (confident >= 0) & (confident != given)
        rates[name] = estimate_rates(given, confident)
        parts.append((known[wrong], np.full(wrong.sum(), column), given[wrong], p[wrong]))
    rows, columns, given, p = map(np.concatenate, zip(*parts, strict=True))
    scores = np.where(given == 1, p, 1 - p)
    order = np.lexsort((columns, rows, scores))
    return LabelErrors(rows[order], columns[order], given[order], p[order], scores[order], rates)


def _confident_classes(given: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Returns the class whose threshold each image reaches, the likelier of two, or -1 for none: int8 `[N]`."""
    if not 0 < given.sum() < len(given):
        return np.full(len(p), -1, np.int8)
    confidence = np.stack([1 - p, p], axis=1)
    thresholds = [confidence[given == label, label].mean() for label in (0, 1)]
    reached = confidence >= thresholds
    best = np.where(reached, confidence, -1).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1).astype(np.int8)


def estimate_rates(given: np.ndarray, confident: np.ndarray) -> dict:
    """Estimates the number of wrong labels of an attribute from its confident joint.

    Args:
        given: The known labels, `[N]`, 1 or 0.
        confident: The class of which the model is confident, `[N]`: 1, 0, or -1 for none.

    Returns:
        `{"known", "suspicious", "error_rate", "positive_error_rate", "negative_error_rate"}`: the number of known
        labels, the number of labels that the model confidently contradicts, and the estimated share of wrong labels
        among all, among the positive and among the negative labels; None where there is no such label, or none of which
        the model is confident.
    """
    joint = np.array([[((given == i) & (confident == j)).sum() for j in (0, 1)] for i in (0, 1)])
    counts, sums = np.array([(given == label).sum() for label in (0, 1)]), joint.sum(axis=1)
    shares = [float(joint[label, 1 - label] / sums[label]) if sums[label] else None for label in (0, 1)]
    wrong = [share * count for share, count in zip(shares, counts, strict=True) if share is not None]
    return {
        "known": len(given),
        "suspicious": int(joint[0, 1] + joint[1, 0]),
        "error_rate": float(sum(wrong) / len(given)) if len(wrong) == 2 else None,
        "positive_error_rate": shares[1],
        "negative_error_rate": shares[0],
    }
