"""The output of `check_data --shortcuts`. It has its own module because scikit-learn takes half a second to load."""

from collections.abc import Iterator, Sequence

import numpy as np

from farkeras.data.shortcuts import Score, score_evaluation


def shortcut_lines(
    attributes: Sequence[str], scores: dict[str, list[Score]], evaluation: dict | None = None
) -> Iterator[str]:
    """Formats the scores: a row per attribute, the means, and a model's lead over the regression on 32 x 32 pixels.

    Args:
        attributes: Names of the attributes, one per row.
        scores: Scores from `farkeras.data.shortcuts.measure_shortcuts`.
        evaluation: Evaluation of the model to compare with, see `farkeras.metrics.evaluation_file`; None for no model.

    Yields:
        Lines of text.
    """
    if evaluation:
        model = score_evaluation(attributes, evaluation["attributes"])
        scores = {"32x32": scores["32x32"], "model": model} | scores
    yield f"{'balanced accuracy':<20}" + "".join(f"{name:>16}" for name in scores)
    for row, name in enumerate(attributes):
        cells = (f"{column[row].value:.3f} ± {column[row].error:.3f}" for column in scores.values())
        yield f"{name:<20}" + "".join(f"{cell:>16}" for cell in cells)
    values = {name: np.array([score.value for score in column]) for name, column in scores.items()}
    means = (column[np.isfinite(column)].mean() if np.isfinite(column).any() else np.nan for column in values.values())
    yield f"{'mean':<20}" + "".join(f"{mean:>16.3f}" for mean in means)
    if evaluation:
        gaps = values["model"] - values["32x32"]
        known = np.isfinite(gaps)  # the same attributes on both sides
        yield f"model - 32x32: {100 * np.mean(gaps, where=known):+.1f} points, mean of {known.sum()} attributes"
