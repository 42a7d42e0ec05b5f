"""How much of the attributes a model can tell without looking at the face: checks of a data set.

A data set is a poor exercise where a linear model on small pixels does as well as a network, and a trap where the
background, the border or the size of the file gives labels away.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from farkeras.errors import FarkerasError

BORDER = 8  # columns at the left and right, in the upper half: where no face, hair or hat reaches
_MIN_POSITIVES = 5


class Score(NamedTuple):
    """Balanced accuracy with its standard error; NaN where the labels hold too few of a class to tell."""

    value: float
    error: float


class Pixels(NamedTuple):
    """What the checks look at, one row an image: small images, border strips, bytes of the file."""

    small: np.ndarray
    border: np.ndarray
    size: np.ndarray


def read_pixels(paths: np.ndarray) -> Pixels:
    """Reads image files of one height and width.

    Returns:
        `small`: float32 `[N, 3072]`, 32 x 32 RGB in 0..1; `border`: float32 `[N, features]`, means and spreads along
        the strips of `BORDER` columns in the upper half; `size`: float32 `[N, 1]`, the log of the bytes.
    """
    if len(paths) == 0:
        raise FarkerasError("There are no images to check; expected at least one.")
    small, border, size = [], [], []
    for path in map(Path, paths):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), np.float32) / 255
            small.append(np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BOX), np.float32) / 255)
        upper = pixels[: pixels.shape[0] // 2]
        strips = np.stack([upper[:, :BORDER], upper[:, -BORDER:]])
        cells = np.array_split(strips, 4, axis=1)
        steps = [np.abs(np.diff(strips, axis=axis)).mean((1, 2)) for axis in (1, 2)]
        border.append(
            np.concatenate(
                [f.ravel() for c in cells for f in (c.mean((1, 2)), c.std((1, 2)))] + [step.ravel() for step in steps]
            )
        )
        size.append([np.log(path.stat().st_size)])
    return Pixels(np.stack(small).reshape(len(small), -1), np.stack(border), np.array(size, np.float32))


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> Score:
    """The mean of sensitivity and specificity of 0/1 predictions, with its standard error."""
    positive = truth > 0
    right = (predicted > 0) == positive
    return score_counts((positive & right).sum(), positive.sum(), (~positive & right).sum(), (~positive).sum())


def score_counts(true_positives: int, positives: int, true_negatives: int, negatives: int) -> Score:
    """The same from counts of images."""
    right, counts = np.array([true_positives, true_negatives]), np.array([positives, negatives])
    if counts.min() < _MIN_POSITIVES:
        return Score(np.nan, np.nan)
    rates = right / counts
    # Agresti-Coull rates, so that a rate of 0 or 1 has an error too.
    safe = (rates * counts + 2) / (counts + 4)
    return Score(float(rates.mean()), float(np.sqrt((safe * (1 - safe) / counts).sum()) / 2))


def score_split(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> list[Score]:
    """Scores a class-balanced logistic regression, fitted to one split, on another; one score an attribute.

    Args:
        train, test: Features `[N, features]`.
        labels, truth: 1 / 0, `[N, attributes]`.
    """
    scores = []
    for column, answer in zip(labels.T, truth.T, strict=True):
        if min((column > 0).sum(), (column <= 0).sum()) < _MIN_POSITIVES:
            scores.append(Score(np.nan, np.nan))
            continue
        scores.append(balanced_accuracy(answer, _linear(1e-3, "lbfgs").fit(train, column > 0).predict(test)))
    return scores


def score_folds(features: np.ndarray, labels: np.ndarray) -> list[Score]:
    """Scores the same model by five-fold cross-validation over all images: for features that should tell nothing."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = []
    for column in labels.T > 0:
        if min(column.sum(), (~column).sum()) < _MIN_POSITIVES:
            scores.append(Score(np.nan, np.nan))
            continue
        scores.append(
            balanced_accuracy(column, cross_val_predict(_linear(0.1, "newton-cholesky"), features, column, cv=folds))
        )
    return scores


def _linear(strength: float, solver: str):
    # "newton-cholesky" takes a few steps where features are few, "lbfgs" is the one for thousands.
    model = LogisticRegression(C=strength, class_weight="balanced", solver=solver, max_iter=300, tol=1e-3)
    return make_pipeline(StandardScaler(), model)
