"""Decisions from probabilities: a threshold for each attribute, and the confidence below which the answer is "unsure".

`Calibration` holds what is fitted on validation images for this. The module needs only NumPy, because clients use it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt

from farkeras.consistency.answers import Consistency
from farkeras.errors import FarkerasError

DEFAULT_THRESHOLD = 0.5
CALIBRATE = ("auto", "none")
"""Values of the setting `calibrate`: what the model file holds, or the model's own probabilities and 50 %."""

OBJECTIVES = ("balanced_accuracy", "accuracy", "f1", "precision")
"""What thresholds can be chosen for; see `farkeras.metrics.thresholds.choose_thresholds`."""

_TINY = 1e-12


@dataclass(frozen=True)
class Calibration:
    """What was fitted on validation images: a temperature, a shift and a threshold for each attribute.

    The calibrated probability of an attribute is `sigmoid(logit / temperature + shift)`. It keeps the order of the
    images.

    Attributes:
        temperatures: Attribute -> temperature, above 0.
        shifts: Attribute -> shift.
        thresholds: Attribute -> calibrated probability in 0..1 from which on the answer is positive.
        scope: What improved the loss most: "group" or "attribute" (each has its own temperature), "shift",
            "shift+group", "shift+attribute", or "none".
        objective: What the thresholds were chosen for, one of `OBJECTIVES`.
        precision: The precision that the objective "precision" asked for, else None.
        fitted_on: The images: `source`, `data_dir` (the last part of its path), `split`, `images` (their number), and
            `procedural`.
        losses: Mean cross-entropy of the validation labels in cross-validation, for each scope.
        notes: Attribute -> why its temperature, shift or threshold is not its own.
    """

    temperatures: dict[str, float]
    shifts: dict[str, float]
    thresholds: dict[str, float]
    scope: str = "shift+attribute"
    objective: str = OBJECTIVES[0]
    precision: float | None = None
    fitted_on: dict = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict:
        return asdict(self)


def check_calibrate(value: str) -> None:
    """Raises a `FarkerasError` unless `value` is one of `CALIBRATE`."""
    if value not in CALIBRATE:
        raise FarkerasError(f"`calibrate` must be one of {', '.join(CALIBRATE)}. Received: {value!r}.")


def check_share(name: str, value: float) -> None:
    """Raises a `FarkerasError` unless the setting `name` is in 0..1."""
    if not 0 <= value <= 1:
        raise FarkerasError(f"`{name}` must be 0 to 1. Received: {value}.")


def thresholds_of(attributes: Sequence[str], calibration: Mapping | None) -> dict[str, float]:
    """Returns attribute -> threshold from the entry `calibration` of a `farkeras.json`; 0.5 without one."""
    found = (calibration or {}).get("thresholds", {})
    return {name: float(found.get(name, DEFAULT_THRESHOLD)) for name in attributes}


def confidence(probabilities: npt.ArrayLike, thresholds: npt.ArrayLike) -> np.ndarray:
    """Computes how sure answers are, relative to their thresholds.

    With the threshold t, the answer to the probability p has the confidence max(q, 1 - q), where
    q = p (1 - t) / (p (1 - t) + (1 - p) t): the odds of p, divided by the odds at the threshold. At the threshold the
    confidence is 0.5. For t = 0.5 it is the probability of the answer. For the threshold that maximises balanced
    accuracy it is the probability of the answer if both answers were equally frequent.

    Args:
        probabilities: Probabilities in 0..1.
        thresholds: Thresholds in 0..1 that broadcast with them.

    Returns:
        `float64` array in 0.5..1.
    """
    p, t = (np.clip(np.asarray(x, np.float64), _TINY, 1 - _TINY) for x in (probabilities, thresholds))
    positive, negative = p * (1 - t), (1 - p) * t
    return np.maximum(positive, negative) / (positive + negative)


def decide(
    probabilities: Mapping[str, float],
    thresholds: Mapping[str, float],
    min_confidence: float = 0.0,
    consistency: Consistency | None = None,
) -> dict[str, bool | None]:
    """Returns attribute -> whether it is present, or None ("unsure") below `min_confidence`.

    Args:
        probabilities: Attribute -> probability in 0..1.
        thresholds: Attribute -> probability from which on it is present.
        min_confidence: The lowest `confidence` of an answer, 0..1. Up to 0.5, every answer is given.
        consistency: The contradictions among these attributes: the answers become the most probable ones without a
            contradiction. An answer that this changes has a confidence of at most 0.5. None: each is decided alone.

    Raises:
        FarkerasError: `consistency` has other attributes, or the same ones in another order.
    """
    p, limits = np.array([*probabilities.values()]), np.array([thresholds[name] for name in probabilities])
    answers, sure = p >= limits, confidence(p, limits) >= min_confidence
    if consistency is not None:
        if consistency.attributes != tuple(probabilities):
            raise FarkerasError(
                f"`consistency` must have the attributes of the model in their order: {', '.join(probabilities)}. "
                f"Received: {', '.join(consistency.attributes)}. Make it with farkeras.Consistency(attributes)."
            )
        consistent = consistency.answers(p[None], limits)[0]
        sure &= (consistent == answers) | (min_confidence <= DEFAULT_THRESHOLD)
        answers = consistent
    return {
        name: answer if known else None
        for name, answer, known in zip(probabilities, answers.tolist(), sure.tolist(), strict=True)
    }


def chosen(decisions: Mapping[str, bool | None] | None, decision: bool | None) -> list[str]:
    """Returns the attributes with this decision; without decisions, after an error, an empty list."""
    return [name for name, found in (decisions or {}).items() if found is decision]
