"""Whether a set can be solved without looking at faces: `python -m farkeras.shortcuts --data_dir=DIR`.

Prints the balanced accuracy of logistic regressions for every attribute: on 32 x 32 pixels (fitted to the training
split, scored on the test split), on the border and on the file's size (five-fold, over all images; chance is 0.5).
"""

import numpy as np
from absl import flags

from farkeras import main as entry
from farkeras.data.celeba import CelebA
from farkeras.data.shortcuts import Score, read_pixels, score_folds, score_split

_DATA_DIR = flags.DEFINE_string("data_dir", None, "A folder in CelebA's layout.", required=True)
_SPLITS = ("train", "validation", "test")


def main(argv: list[str]) -> None:
    """Prints a table with one row an attribute, then the means."""
    del argv
    source = CelebA(_DATA_DIR.value)
    splits = [source.split(split) for split in _SPLITS]
    pixels = [read_pixels(split.paths) for split in splits]
    labels = np.concatenate([split.labels for split in splits])
    columns = {
        "32x32": score_split(pixels[0].small, splits[0].labels, pixels[2].small, splits[2].labels),
        "border": score_folds(np.concatenate([p.border for p in pixels]), labels),
        "file size": score_folds(np.concatenate([p.size for p in pixels]), labels),
    }
    print(f"{'balanced accuracy':<20}" + "".join(f"{name:>16}" for name in columns))
    for row, name in enumerate(splits[0].attributes):
        print(f"{name:<20}" + "".join(f"{_text(scores[row]):>16}" for scores in columns.values()))
    means = (np.nanmean([score.value for score in scores]) for scores in columns.values())
    print(f"{'mean':<20}" + "".join(f"{mean:>16.3f}" for mean in means))


def _text(score: Score) -> str:
    return f"{score.value:.3f} ± {score.error:.3f}"


if __name__ == "__main__":
    entry.run(main)
