"""Metrics of a model per attribute, per group and on average, with NumPy and scikit-learn only.

All values are fractions in [0, 1]. A value that the labels leave undefined is None (null in JSON), never 0 or NaN.
Means are over the defined values; `num_defined` is their number.
"""

import math

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from farkeras.attributes import Grouping
from farkeras.data.examples import UNKNOWN
from farkeras.errors import FarkerasError
from farkeras.metrics.reliability import calibration_error

AVERAGED = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "roc_auc",
    "average_precision",
    "majority_accuracy",
    "expected_calibration_error",
)
"""The metrics of an attribute that are averaged over each group and over all attributes."""

Z95 = 1.959963984540054
RESAMPLES = 1000


def evaluate_attributes(
    labels: np.ndarray, probabilities: np.ndarray, grouping: Grouping, threshold: float = 0.5
) -> dict:
    """Computes the metrics of predictions; unknown labels are ignored.

    Args:
        labels: `int8` array `[N, A]`: 1 is positive, 0 negative, -1 unknown.
        probabilities: `float` array `[N, A]` in [0, 1]: the probability that the attribute is present.
        grouping: The `A` attributes, in the order of the columns, and their groups.
        threshold: An attribute is predicted as present if its probability is at least this value.

    Returns:
        A dict that can be written as JSON:

        - `num_images` and `threshold`;
        - the means over attributes: `mean_accuracy`, `mean_balanced_accuracy`, `mean_f1`, `mean_roc_auc`,
          `mean_average_precision`, `mean_expected_calibration_error`, and `majority_accuracy`, the accuracy on these
          labels of always predicting each attribute's more frequent label;
        - `mean_accuracy_ci95`: the 95 % interval of `mean_accuracy` (bootstrap over images);
        - `num_defined`: metric -> number of attributes in its mean;
        - `groups`: group -> its `attributes` and the same means over them;
        - `attributes`: attribute -> its metrics, its counts and `accuracy_ci95` (Wilson).

    Raises:
        FarkerasError: The shapes do not fit, a label is not 1, 0 or -1, or a probability is not in [0, 1].
    """
    labels, probabilities = _checked(labels, probabilities, grouping)
    known = labels != UNKNOWN
    correct = ((probabilities >= threshold) == (labels == 1)) & known
    attributes = {
        name: _attribute(labels[known[:, a], a], probabilities[known[:, a], a], threshold)
        for a, name in enumerate(grouping.attributes)
    }
    overall = _means(list(attributes.values()))
    num_defined = overall.pop("num_defined")
    return {
        "num_images": len(labels),
        "threshold": threshold,
        **{name if name == "majority_accuracy" else f"mean_{name}": overall[name] for name in AVERAGED},
        "mean_accuracy_ci95": _bootstrap_interval(correct, known),
        "num_defined": num_defined,
        "groups": {
            group: {"attributes": list(members), **_means([attributes[name] for name in members])}
            for group, members in grouping.groups.items()
        },
        "attributes": attributes,
    }


def _checked(labels: npt.ArrayLike, probabilities: npt.ArrayLike, grouping: Grouping) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    expected = (len(labels), len(grouping.attributes))
    if labels.shape != expected or probabilities.shape != expected:
        raise FarkerasError(
            f"Labels and probabilities must have the shape [images, {expected[1]} attributes]. "
            f"Received: {list(labels.shape)} and {list(probabilities.shape)}"
        )
    if not np.isin(labels, (0, 1, UNKNOWN)).all():
        raise FarkerasError(f"Labels must be 1, 0 or -1 (unknown). Received: {np.unique(labels).tolist()}")
    outside = ~((probabilities >= 0) & (probabilities <= 1)).all(axis=0)  # also catches NaN
    if outside.any():
        names = [name for name, bad in zip(grouping.attributes, outside, strict=True) if bad]
        raise FarkerasError(f"Probabilities must be in [0, 1]. Received: other values or NaN for {', '.join(names)}")
    return labels, probabilities


def _attribute(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> dict:
    """Returns the metrics of one attribute from its M known labels (1 or 0) and probabilities, both `[M]`."""
    positive, predicted = labels == 1, probabilities >= threshold
    true_positives, false_positives = int((predicted & positive).sum()), int((predicted & ~positive).sum())
    false_negatives, true_negatives = int((~predicted & positive).sum()), int((~predicted & ~positive).sum())
    positives, negatives = true_positives + false_negatives, true_negatives + false_positives
    num_known, correct = positives + negatives, true_positives + true_negatives
    both = positives > 0 and negatives > 0
    return {
        "accuracy": _ratio(correct, num_known),
        "accuracy_ci95": _wilson_interval(correct, num_known),
        "balanced_accuracy": (true_positives / positives + true_negatives / negatives) / 2 if both else None,
        "f1": _ratio(2 * true_positives, 2 * true_positives + false_positives + false_negatives),
        "roc_auc": float(roc_auc_score(positive, probabilities)) if both else None,
        "average_precision": float(average_precision_score(positive, probabilities)) if positives else None,
        "majority_accuracy": _ratio(max(positives, negatives), num_known),
        "expected_calibration_error": calibration_error(positive, probabilities),
        "positive_rate": _ratio(positives, num_known),
        "num_known": num_known,
        "true_positives": true_positives,
        "false_positives": false_positives,
        "true_negatives": true_negatives,
        "false_negatives": false_negatives,
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _means(attributes: list[dict]) -> dict:
    """Returns the mean of each metric in `AVERAGED` over the attributes for which it is defined, and their number."""
    defined = {name: [metrics[name] for metrics in attributes if metrics[name] is not None] for name in AVERAGED}
    means = {name: math.fsum(values) / len(values) if values else None for name, values in defined.items()}
    return {**means, "num_defined": {name: len(values) for name, values in defined.items()}}


def _wilson_interval(correct: int, total: int) -> list[float] | None:
    """Returns the 95 % score interval of a proportion (Wilson, 1927), which is also valid for few images."""
    if not total:
        return None
    share, z2 = correct / total, Z95**2 / total
    centre = (share + z2 / 2) / (1 + z2)
    half = math.sqrt(share * (1 - share) * z2 + z2**2 / 4) / (1 + z2)
    return [max(0.0, centre - half), min(1.0, centre + half)]


def _bootstrap_interval(correct: np.ndarray, known: np.ndarray) -> list[float] | None:
    """Returns the 95 % percentile interval of the mean accuracy under resampling of the images.

    Images are resampled rather than labels, because the labels of one image are not independent and resampling labels
    would give too narrow an interval. The score of an image is its contribution to the mean accuracy: the fraction of
    its labels that are predicted correctly if all labels are known, and its first-order effect if some are unknown. The
    scores are sorted so that the order of the images has no effect.
    """
    counts = known.sum(axis=0)
    defined, annotated = counts > 0, known.any(axis=1)
    if not defined.any():
        return None
    correct, known, counts = (array[..., defined] for array in (correct[annotated], known[annotated], counts))
    accuracy = correct.sum(axis=0) / counts
    effect = np.where(known, correct - accuracy, 0.0) * (len(correct) / counts)
    scores = np.sort(accuracy.mean() + effect.mean(axis=1))
    random = np.random.default_rng(0)
    means = [scores[random.integers(len(scores), size=len(scores))].mean() for _ in range(RESAMPLES)]
    return [float(bound) for bound in np.clip(np.percentile(means, [2.5, 97.5]), 0, 1)]
