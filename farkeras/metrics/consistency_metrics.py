"""Contradictions in the answers of a model and in the labels, and what consistent answers gain or lose."""

import numpy as np
import numpy.typing as npt

from farkeras.consistency.answers import Consistency
from farkeras.data.examples import UNKNOWN


def evaluate_consistency(
    labels: np.ndarray, probabilities: np.ndarray, consistency: Consistency, thresholds: npt.ArrayLike = 0.5
) -> dict:
    """Counts the contradictions, and compares the answers with the most probable answers without a contradiction.

    Args:
        labels: `int8` array `[N, A]`: 1 is positive, 0 negative, -1 unknown.
        probabilities: `float` array `[N, A]` in [0, 1].
        consistency: The contradictions among the `A` attributes.
        thresholds: The probability from which on an attribute counts as present: one value, or `[A]`.

    Returns:
        A dict that can be written as JSON:

        - `ignored`: the number of contradictions that were not looked for, because they name another attribute;
        - `contradictions`: combination -> the number of images with it in the `answers` and in the `labels`;
        - `images`: the number of images with at least one contradiction in the `answers` and in the `labels`;
        - `as_answered` and `consistent`: `mean_accuracy` and `mean_balanced_accuracy` of the answers as they are, and
          of those of `Consistency.answers`; None if the labels do not define them;
        - `changed_answers`: the number of answers in which the two differ.
    """
    answers, consistent = probabilities >= np.asarray(thresholds), consistency.answers(probabilities, thresholds)
    found = {"answers": consistency.found(answers), "labels": consistency.found(labels)}
    return {
        "ignored": consistency.ignored,
        "contradictions": {
            str(one): {name: int(images[:, number].sum()) for name, images in found.items()}
            for number, one in enumerate(consistency.contradictions)
        },
        "images": {name: int(images.any(axis=1).sum()) for name, images in found.items()},
        "as_answered": mean_accuracies(labels, answers),
        "consistent": mean_accuracies(labels, consistent),
        "changed_answers": int((answers != consistent).sum()),
    }


def mean_accuracies(labels: np.ndarray, answers: np.ndarray) -> dict[str, float | None]:
    """Returns the accuracy and the balanced accuracy of answers, each averaged over the attributes that define it.

    Args:
        labels: `int8` array `[N, A]`: 1 is positive, 0 negative, -1 unknown.
        answers: bool array `[N, A]`.

    Returns:
        `{"mean_accuracy": value, "mean_balanced_accuracy": value}`; None if no attribute defines it.
    """
    right = answers == (labels == 1)
    correct, number = (
        np.array([(kind & (labels == value)).sum(axis=0) for value in (1, 0)]) for kind in (right, labels != UNKNOWN)
    )
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: an attribute without known labels, or without one class
        accuracy, balanced = correct.sum(axis=0) / number.sum(axis=0), (correct / number).mean(axis=0)
    means = {"mean_accuracy": accuracy, "mean_balanced_accuracy": balanced}
    return {name: float(np.nanmean(v)) if not np.isnan(v).all() else None for name, v in means.items()}
