"""What the results of a study say: paired differences with intervals, and when each group has learned."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats  # scikit-learn requires SciPy

from farkeras.metrics.convergence import FRACTION
from farkeras.studies.results import Result


class Difference(NamedTuple):
    """A mean paired difference over seeds.

    Attributes:
        mean: The mean difference.
        interval: Its 95 % t interval; None with a single seed.
        n: Number of seeds.
    """

    mean: float
    interval: tuple[float, float] | None
    n: int


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1) over seeds; the deviation of a single seed is None."""

    mean: float
    std: float | None
    n: int


def paired(ours: Mapping[int, float | None], others: Mapping[int, float | None]) -> Difference | None:
    """Computes the mean difference `ours - others` over the seeds that both have, with its 95 % t interval.

    Args:
        ours: Seed -> metric; None is undefined.
        others: The same of what it is compared with.

    Returns:
        The difference; None if there is no common seed with both metrics.
    """
    common = [seed for seed in ours if ours[seed] is not None and others.get(seed) is not None]
    differences = np.array([ours[seed] - others[seed] for seed in common], np.float64)  # type: ignore[operator]
    if not len(differences):
        return None
    mean, n = float(differences.mean()), len(differences)
    if n == 1:
        return Difference(mean, None, 1)
    half = float(stats.t.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n))
    return Difference(mean, (mean - half, mean + half), n)


def spread(values: Sequence[float | None]) -> Spread | None:
    """Computes mean and standard deviation of the defined values; None if there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Spread(float(np.mean(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None, len(known))


def final_gains(curves: Mapping[str, Any]) -> dict[str, float]:
    """Returns group -> share by which its smoothed training loss falls until the last line, see `learning_curves`."""
    return {group: float(_gains(losses)[-1]) for group, losses in curves["group_loss"].items()}


def _gains(losses: Sequence[float]) -> np.ndarray:
    """Returns for each line the share of the first line's loss that is gone; a factor of the loss changes nothing."""
    return 1.0 - np.asarray(losses) / losses[0]


def mean_gains(results: Sequence[Result]) -> dict[str, float]:
    """Returns group -> mean of the final gains over results; an empty dict without results."""
    gains = [final_gains(result.curves) for result in results]
    return {group: float(np.mean([each[group] for each in gains])) for group in (gains[0] if gains else ())}


def steps_to_gains(curves: Mapping[str, Any], gains: Mapping[str, float], fraction: float = FRACTION) -> dict[str, int]:
    """Finds the step at which each group's smoothed training loss has fallen by a fraction of a given gain.

    This is our definition: the gain is that of uniform weighting (the mean over its seeds), so that a weighting that
    learns less does not look fast. A group that never gets there counts as the whole run.

    Args:
        curves: See `learning_curves`.
        gains: Group -> share of the loss.
        fraction: Fraction of the gain.

    Returns:
        Group -> step of the first line that is there, or the last step.
    """
    steps = {}
    for group, losses in curves["group_loss"].items():
        fallen = _gains(losses) >= fraction * gains[group] - 1e-9  # the files hold six digits
        steps[group] = int(curves["step"][int(np.argmax(fallen)) if fallen.any() else -1])
    return steps
