"""Whether a set can be solved without looking at faces: `python -m farkeras.shortcuts --data_dir=DIR`.

Prints the balanced accuracy of logistic regressions for every attribute: on 32 x 32 pixels (fitted to the training
split, scored on the test split), on the border and on the file's size (five-fold, over all images; chance is 0.5).

With `--workdir=DIR`, also that of the model trained there, from what `python -m farkeras.evaluate` found on the test
split, and how far its mean lies above the one on 32 x 32 pixels.
"""

import numpy as np
from absl import flags
from rich.console import Console

from farkeras.cli import run as entry
from farkeras.cli.progress import ProgressDisplay
from farkeras.data.shortcuts import Score, read_pixels, score_counts, score_folds, score_split
from farkeras.data.sources.celeba import CelebA
from farkeras.metrics.evaluation_file import read_evaluation

_DATA_DIR = flags.DEFINE_string("data_dir", None, "A folder in CelebA's layout.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "A training run that was evaluated on this data, to compare with.")
_SPLITS = ("train", "validation", "test")


def main(argv: list[str]) -> None:
    """Prints a table with one row an attribute, then the means, then the gap between a model and 32 x 32 pixels."""
    del argv
    evaluation = read_evaluation(_WORKDIR.value, _DATA_DIR.value) if _WORKDIR.value else None
    with ProgressDisplay(Console(stderr=True), "Unpacking", "files") as unpacking:
        source = CelebA(_DATA_DIR.value, unpacking)
    splits = [source.split(split) for split in _SPLITS]
    pixels = [read_pixels(split.paths) for split in splits]
    labels = np.concatenate([split.labels for split in splits])
    columns = {
        "32x32": score_split(pixels[0].small, splits[0].labels, pixels[2].small, splits[2].labels),
        **({"model": _model_scores(evaluation, source.attributes)} if evaluation else {}),
        "border": score_folds(np.concatenate([p.border for p in pixels]), labels),
        "file size": score_folds(np.concatenate([p.size for p in pixels]), labels),
    }
    print(f"{'balanced accuracy':<20}" + "".join(f"{name:>16}" for name in columns))
    for row, name in enumerate(splits[0].attributes):
        print(f"{name:<20}" + "".join(f"{_text(scores[row]):>16}" for scores in columns.values()))
    means = (np.nanmean([score.value for score in scores]) for scores in columns.values())
    print(f"{'mean':<20}" + "".join(f"{mean:>16.3f}" for mean in means))
    if evaluation:
        gaps = [model.value - linear.value for model, linear in zip(columns["model"], columns["32x32"], strict=True)]
        known = np.isfinite(gaps)  # the same attributes on both sides
        print(f"model - 32x32: {100 * np.mean(gaps, where=known):+.1f} points, mean of {known.sum()} attributes")


def _model_scores(evaluation: dict, attributes: tuple[str, ...]) -> list[Score]:
    """One score an attribute; NaN for one that the model was not trained on."""
    scores = []
    for name in attributes:
        found = evaluation["attributes"].get(name)
        if found is None:
            scores.append(Score(np.nan, np.nan))
            continue
        right = found["true_positives"], found["true_negatives"]
        positives, negatives = right[0] + found["false_negatives"], right[1] + found["false_positives"]
        scores.append(score_counts(right[0], positives, right[1], negatives))
    return scores


def _text(score: Score) -> str:
    return f"{score.value:.3f} ± {score.error:.3f}"


if __name__ == "__main__":
    entry.run(main)
