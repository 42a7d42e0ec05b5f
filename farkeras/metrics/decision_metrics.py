"""What a user may rely on: calibration, the answers at the attributes' own thresholds, and abstaining."""

from collections.abc import Sequence

import numpy as np

from farkeras.attributes import Grouping
from farkeras.data.examples import UNKNOWN
from farkeras.decisions import DEFAULT_THRESHOLD, Calibration
from farkeras.metrics.reliability import evaluate_calibration
from farkeras.metrics.risk_coverage import risk_coverage
from farkeras.metrics.temperature import apply_temperatures

COUNTED = ("accuracy", "balanced_accuracy", "f1", "precision", "recall")


def calibrated(probabilities: np.ndarray, calibration: Calibration | None, attributes: Sequence[str]) -> np.ndarray:
    """Returns the probabilities `[N, A]` after a calibration; without one, as they are."""
    if calibration is None:
        return probabilities
    temperatures, shifts = (
        np.array([values[name] for name in attributes]) for values in (calibration.temperatures, calibration.shifts)
    )
    return apply_temperatures(probabilities, temperatures, shifts)


def evaluate_decisions(
    labels: np.ndarray,
    probabilities: np.ndarray,
    calibration: Calibration | None,
    grouping: Grouping,
    data: dict | None = None,
) -> dict:
    """Measures calibration, thresholds and abstaining on labelled images; unknown labels are ignored.

    Args:
        labels: `int8 [N, A]`: 1 is positive, 0 negative, -1 unknown.
        probabilities: `float [N, A]` in 0..1: the model's own, uncalibrated.
        calibration: What was fitted for the model, or None.
        grouping: The A attributes, in the order of the columns.
        data: The images, as in `Calibration.fitted_on`, to notice that the calibration was fitted on them.

    Returns:
        A dict, ready for JSON:

        - `calibration`: `fitted` (`Calibration.to_dict()`, or None), `on_same_images` (whether it was fitted on images
          of the same split, so that it looks better than it is), and `evaluate_calibration`;
        - `thresholds`: `objective`; `at_50`, the model's own probabilities at 50 %; and `at_thresholds`, the calibrated
          probabilities at the thresholds. Both have the means over the attributes (`mean_accuracy`,
          `mean_balanced_accuracy`, `mean_f1`, `mean_precision`, `mean_recall`, without attributes that leave them
          undefined), and `attributes`, attribute -> the same and its `threshold`;
        - `risk_coverage`: `at_50` and `at_thresholds`, each as `risk_coverage` returns it.

        Without calibration, `at_thresholds` and `after` are missing.
    """
    attributes, fitted = grouping.attributes, calibration.fitted_on if calibration else {}
    after = calibrated(probabilities, calibration, attributes)
    places = {"at_50": (probabilities, np.full(len(attributes), DEFAULT_THRESHOLD))}
    if calibration:
        places["at_thresholds"] = (after, np.array([calibration.thresholds[name] for name in attributes]))
    same = bool(fitted) and all(fitted.get(key) == value for key, value in (data or {"split": None}).items())
    return {
        "calibration": {
            "fitted": calibration and calibration.to_dict(),
            "on_same_images": same,
            **evaluate_calibration(labels, probabilities, after if calibration else None, grouping),
        },
        "thresholds": {
            "objective": calibration and calibration.objective,
            **{name: at_thresholds(labels, *place, attributes) for name, place in places.items()},
        },
        "risk_coverage": {name: risk_coverage(labels, *place) for name, place in places.items()},
    }


def at_thresholds(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: np.ndarray, attributes: Sequence[str]
) -> dict:
    """Counts right and wrong answers at thresholds; see `evaluate_decisions` for the result."""
    predicted, known = probabilities >= thresholds, labels != UNKNOWN
    counts = {
        "tp": predicted & (labels == 1),
        "fp": predicted & (labels == 0),
        "fn": ~predicted & (labels == 1),
        "tn": ~predicted & (labels == 0) & known,
    }
    sums = {name: matches.sum(axis=0).tolist() for name, matches in counts.items()}
    rows = {
        name: {"threshold": float(thresholds[a]), **_figures(*(sums[count][a] for count in counts))}
        for a, name in enumerate(attributes)
    }
    return {
        **{f"mean_{name}": _mean([row[name] for row in rows.values()]) for name in COUNTED},
        "attributes": rows,
    }


def _figures(tp: int, fp: int, fn: int, tn: int) -> dict[str, float | None]:
    recall, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    return {
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn),
        "balanced_accuracy": None if recall is None or specificity is None else (recall + specificity) / 2,
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": recall,
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
