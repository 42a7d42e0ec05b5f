"""When each group converges, measured from the record of a run. The purpose of DWS is that they converge together."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from farkeras.metrics.history import training_lines

FRACTION = 0.9
WINDOW = 5


def running_mean(values: npt.ArrayLike, window: int = WINDOW) -> np.ndarray:
    """Returns the mean of each value and up to `window - 1` values before it, `[n]` -> `[n]`."""
    sums = np.convolve(np.asarray(values, dtype=np.float64), np.ones(window))[: np.size(values)]
    return sums / np.minimum(np.arange(1, len(sums) + 1), window)


def convergence_steps(
    history: Iterable[dict], fraction: float = FRACTION, window: int = WINDOW
) -> dict[str, int | None]:
    """Finds the step at which each group's training loss reaches `fraction` of its final improvement.

    This is our definition. For each group, the logged training losses are smoothed by a running mean over `window`
    lines. The improvement is the difference between the first and the lowest smoothed loss. The step is that of the
    first line whose smoothed loss has fallen by `fraction` of the improvement. Smoothing delays all groups equally.
    Runs are comparable if they log equally often.

    Args:
        history: Lines of `metrics.jsonl`; lines without `group_loss` are ignored.
        fraction: Fraction of the improvement, in (0, 1].
        window: Number of lines in the running mean; 1 means no smoothing.

    Returns:
        Group -> step, or None for a group that never improved; an empty dict if the history has no group losses.
    """
    lines = [line for line in training_lines(history) if line.get("group_loss")]
    groups = lines[0]["group_loss"] if lines else {}
    return {group: _step(lines, group, fraction, window) for group in groups}


def spread(steps: Mapping[str, int | None]) -> int | None:
    """Returns the number of steps from the earliest to the latest `convergence_steps`; None if no group improved."""
    reached = [step for step in steps.values() if step is not None]
    return max(reached) - min(reached) if reached else None


def _step(lines: list[dict], group: str, fraction: float, window: int) -> int | None:
    lines = [line for line in lines if line["group_loss"].get(group) is not None]
    smooth = running_mean([line["group_loss"][group] for line in lines], window)
    improvement = smooth[0] - smooth.min()
    if not improvement > 0:
        return None
    # The tolerance includes a value that is exactly at the target despite rounding.
    target = smooth[0] - fraction * improvement + 1e-12 * abs(smooth[0])
    return int(lines[int(np.argmax(smooth <= target))]["step"])
