"""Temperatures and shifts that calibrate probabilities, fitted to validation labels.

A temperature alone (Guo et al., ICML 2017) cannot calibrate a model that was trained with `positive_weights`: a weight
w of the positive labels moves every logit by about log(w). So attributes may have a shift as well (Platt, 1999).
"""

from typing import NamedTuple

import numpy as np

from farkeras.attributes import Grouping

FOLDS = 5
FEWEST = 10
"""Fewest known positive and fewest known negative labels from which an attribute's own values are fitted."""

LOWEST, HIGHEST = 0.1, 10.0
"""Bounds of a temperature."""

SCOPES = ("none", "group", "attribute", "shift", "shift+group", "shift+attribute")
"""What is fitted: a temperature for each group or attribute, and a shift for each attribute."""

_PRIOR = 1.0  # strength of the normal prior around temperature 1 and shift 0; a few labels outweigh it


class Temperatures(NamedTuple):
    """The result of `fit_temperatures`. The calibrated probability is `sigmoid(logit / temperature + shift)`.

    Attributes:
        temperatures: `float64 [A]`.
        shifts: `float64 [A]`.
        scope: One of `SCOPES`.
        losses: Scope -> mean cross-entropy of the known labels in cross-validation.
        notes: Attribute -> why a value is not its own.
    """

    temperatures: np.ndarray
    shifts: np.ndarray
    scope: str
    losses: dict[str, float]
    notes: dict[str, str]


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """Returns the logits of float32 probabilities, `float64`, in the same order; 0 and 1 get finite logits.

    The bounds are halfway between 0 or 1 and the next float32, so that no two different probabilities become equal.
    """
    p = np.clip(np.asarray(probabilities, np.float64), 2.0**-150, 1 - 2.0**-25)
    return np.log(p) - np.log1p(-p)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-logits)), `float64`."""
    return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))


def apply_temperatures(probabilities: np.ndarray, temperatures: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Returns calibrated probabilities, `float64 [N, A]`: `sigmoid(logit / temperature + shift)`, in the same order."""
    return sigmoid(logits_of(probabilities) / temperatures + shifts)


def fit_temperatures(labels: np.ndarray, probabilities: np.ndarray, grouping: Grouping) -> Temperatures:
    """Fits temperatures and shifts that minimise the cross-entropy of the known labels, which is convex in both.

    Each of `SCOPES` is fitted. The one with the lowest cross-entropy in cross-validation, with five folds of random
    images, is used; of equal ones the first. An attribute with fewer than 10 known positive or 10 known negative labels
    has the temperature of its group and no shift. An attribute whose labels some threshold separates without an error
    has the temperature of its group, because its own would be as low as possible. For the same reasons, a group can
    have the temperature 1.

    Args:
        labels: `int8 [N, A]`: 1 is positive, 0 negative, -1 unknown.
        probabilities: `float [N, A]` in 0..1, uncalibrated.
        grouping: The A attributes, in the order of the columns, and their groups.
    """
    logits = logits_of(probabilities)
    folds = np.random.default_rng(0).permutation(len(labels)) % FOLDS
    losses = dict.fromkeys(SCOPES, 0.0)
    for fold in range(FOLDS):
        fitted = _fit_all(labels[folds != fold], logits[folds != fold], grouping)
        for scope, (scale, shift) in fitted.items():
            margins = logits[folds == fold] * scale + shift
            losses[scope] += float(_losses(labels[folds == fold], margins).sum())
    count = max(1, int((labels >= 0).sum()))
    losses = {scope: loss / count for scope, loss in losses.items()}
    scope = min(SCOPES, key=losses.__getitem__)
    scale, shift = _fit_all(labels, logits, grouping)[scope]
    few, separated = _few(labels), _separated(labels, logits)
    notes = {}
    for name, has_few, is_separated in zip(grouping.attributes, few, separated, strict=True):
        if has_few and scope != "none":
            notes[name] = "too few labels: no shift, and the temperature of the group"
        elif is_separated and scope.endswith("attribute"):
            notes[name] = "a threshold separates all labels: the temperature of the group"
    return Temperatures(1 / scale, shift, scope, losses, notes)


def _fit_all(labels: np.ndarray, logits: np.ndarray, grouping: Grouping) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns scope -> 1 / temperature and shift of each attribute, both `[A]`."""
    count, groups = labels.shape[1], np.eye(len(grouping))[list(grouping.group_of)]
    can = ~(_few(labels) | _separated(labels, logits))  # have a temperature of their own
    fitted = {"none": (np.ones(count), np.zeros(count))}
    for prefix, shifted in (("", False), ("shift+", True)):
        if shifted:
            fitted["shift"] = _fit(labels, logits, groups, np.zeros(len(grouping), bool), True)
        by_group = fitted[f"{prefix}group"] = _fit(labels, logits, groups, can @ groups > 0, shifted)
        own = _fit(labels, logits, np.eye(count), can, shifted)
        scale, shift = (np.where(can, *pair) for pair in zip(own, by_group, strict=True))
        fitted[f"{prefix}attribute"] = scale, shift
    return fitted


def _few(labels: np.ndarray) -> np.ndarray:
    """Returns `bool [A]`: which attributes have too few labels of one class."""
    return np.minimum((labels == 1).sum(axis=0), (labels == 0).sum(axis=0)) < FEWEST


def _separated(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Returns `bool [A]`: in which attributes every positive label has a higher logit than every negative one."""
    lowest = np.where(labels == 1, logits, np.inf).min(axis=0, initial=np.inf)
    return lowest > np.where(labels == 0, logits, -np.inf).max(axis=0, initial=-np.inf)


def _fit(
    labels: np.ndarray, logits: np.ndarray, members: np.ndarray, scaled: np.ndarray, shifted: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Fits by Newton's method, with halved steps where the loss would rise.

    Args:
        labels: `[N, A]`.
        logits: `[N, A]`.
        members: `[A, K]` of 0 and 1: the K sets of attributes that share a temperature.
        scaled: `bool [K]`: which sets have a temperature; the others keep 1.
        shifted: Whether attributes with enough labels have a shift.

    Returns:
        1 / temperature and shift of each attribute, both `[A]`.
    """
    known, positive = labels >= 0, labels == 1
    logits, free = np.where(known, logits, 0.0), shifted & ~_few(labels)
    scale, shift = np.ones(members.shape[1]), np.zeros(len(members))

    def objective(scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
        losses = _losses(labels, logits * (members @ scale) + shift).sum(axis=0) + _PRIOR / 2 * shift**2
        return losses @ members + _PRIOR / 2 * (scale - 1) ** 2

    loss = objective(scale, shift)
    for _ in range(60):
        p = sigmoid(logits * (members @ scale) + shift)
        wrong, weight = np.where(known, p - positive, 0.0), np.where(known, p * (1 - p), 0.0)
        slope_scale = (wrong * logits).sum(axis=0) @ members + _PRIOR * (scale - 1)
        slope_shift = wrong.sum(axis=0) + _PRIOR * shift
        scale_scale = (weight * logits**2).sum(axis=0) @ members + _PRIOR
        mixed, shift_shift = np.where(free, (weight * logits).sum(axis=0), 0.0), weight.sum(axis=0) + _PRIOR
        # The shifts are eliminated from the Newton equations, then follow from the step of the scales.
        through_shift = np.where(free, slope_shift / shift_shift, 0.0)
        step = -(slope_scale - (through_shift * mixed) @ members) / (scale_scale - (mixed**2 / shift_shift) @ members)
        step = np.where(scaled, np.clip(scale + step, 1 / HIGHEST, 1 / LOWEST) - scale, 0.0)
        shift_step = np.where(free, -(slope_shift + mixed * (members @ step)) / shift_shift, 0.0)
        share = np.ones(len(step))
        for _ in range(30):
            new = objective(scale + share * step, shift + (members @ share) * shift_step)
            if not (rises := new > loss + 1e-12 * np.abs(loss)).any():
                break
            share = np.where(rises, share / 2, share)
        scale, shift, loss = scale + share * step, shift + (members @ share) * shift_step, new
        if max(np.abs(step).max(), np.abs(shift_step).max()) < 1e-10:
            break
    return members @ scale, shift


def _losses(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Returns the cross-entropy of each label, 0 for unknown ones."""
    return np.where(labels >= 0, np.logaddexp(0, np.where(labels == 1, -logits, logits)), 0.0)
