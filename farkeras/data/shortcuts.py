"""How much of the attributes a model can tell without looking at the face: checks of a data set.

A data set is a poor exercise where a linear model on small pixels does as well as a network, and a trap where the
background, the border or the size of the file gives labels away.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from farkeras.data.examples import UNKNOWN, Examples
from farkeras.data.keypoints import decode_image
from farkeras.data.sources.source import Source
from farkeras.data.sources.splits import SPLITS
from farkeras.errors import FarkerasError
from farkeras.progress import Progress, report

BORDER = 8  # columns at the left and right, in the upper half: where no face, hair or hat reaches
_MIN_POSITIVES = 5


class Score(NamedTuple):
    """Balanced accuracy with its standard error; NaN where the labels hold too few of a class to tell."""

    value: float
    error: float


_UNTOLD = Score(np.nan, np.nan)


class Pixels(NamedTuple):
    """What the checks look at, one row an image.

    Attributes:
        small: `float32` array `[N, 3072]`, 32 x 32 RGB in 0..1 of the examples' frame.
        border: `float32` array `[N, 60]`, means and spreads along the strips of `BORDER` columns in the upper half.
        size: `float32` array `[N, 1]`, the log of the encoded image's bytes.
        labels: `int8` array `[N, attributes]`, as `Examples.labels`.
    """

    small: np.ndarray
    border: np.ndarray
    size: np.ndarray
    labels: np.ndarray


def measure_shortcuts(source: Source, progress: Progress | None = None) -> dict[str, list[Score]]:
    """Scores logistic regressions that see no face.

    Args:
        source: Any data set with all three splits.
        progress: Called after every image.

    Returns:
        "32x32" (pixels, fitted to the training split and scored on the test split), "border" and "file size"
        (five-fold, over all images; chance is 0.5) -> a score for each of the source's attributes.

    Raises:
        FarkerasError: A split is missing or holds no image that can be used.
    """
    splits = [source.split(name) for name in SPLITS]
    pixels = read_pixels(splits, progress)
    train, _, test = pixels
    border, size, labels = (
        np.concatenate([getattr(part, name) for part in pixels]) for name in ("border", "size", "labels")
    )
    return {
        "32x32": score_split(train.small, train.labels, test.small, test.labels),
        "border": score_folds(border, labels),
        "file size": score_folds(size, labels),
    }


def read_pixels(splits: Sequence[Examples], progress: Progress | None = None) -> list[Pixels]:
    """Reads the images of each split; those that are smaller than two borders or cannot be decoded are left out.

    Raises:
        FarkerasError: A split without any other image.
    """
    pixels, done, total = [], 0, sum(map(len, splits))
    for examples in splits:
        rows = []
        for stored, labels in zip(examples.stored(), examples.labels, strict=True):
            image = decode_image(stored)
            if image is not None and min(image.shape[:2]) >= 2 * BORDER:
                rows.append((_small(image, examples.frame), _border(image), [np.log(len(stored.read()))], labels))
            done += 1
            report(progress, done, total)
        if not rows:
            raise FarkerasError("A split has no images to check; expected at least one that can be decoded.")
        small, border, size, known = zip(*rows, strict=True)
        pixels.append(Pixels(np.stack(small), np.stack(border), np.array(size, np.float32), np.stack(known)))
    return pixels


def _small(image: np.ndarray, frame: Sequence[float]) -> np.ndarray:
    (height, width), (top, left, bottom, right) = image.shape[:2], frame
    box = (left * width, top * height, right * width, bottom * height)
    small = Image.fromarray(image).resize((32, 32), Image.Resampling.BOX, box)
    return (np.asarray(small, np.float32) / 255).ravel()


def _border(image: np.ndarray) -> np.ndarray:
    upper = image[: image.shape[0] // 2].astype(np.float32) / 255
    strips = np.stack([upper[:, :BORDER], upper[:, -BORDER:]])
    cells = [f for cell in np.array_split(strips, 4, axis=1) for f in (cell.mean((1, 2)), cell.std((1, 2)))]
    steps = [np.abs(np.diff(strips, axis=axis)).mean((1, 2)) for axis in (1, 2)]
    return np.concatenate([features.ravel() for features in (*cells, *steps)])


def score_split(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> list[Score]:
    """Scores a class-balanced logistic regression, fitted to one split, on another; one score an attribute.

    Args:
        train, test: Features `[N, features]`.
        labels, truth: 1, 0 or `UNKNOWN`, `[N, attributes]`.
    """

    def predict(known: np.ndarray, positive: np.ndarray, asked: np.ndarray) -> np.ndarray:
        return _linear(1e-3, "lbfgs").fit(train[known], positive).predict(test[asked])

    return [_score(column, answer, predict) for column, answer in zip(labels.T, truth.T, strict=True)]


def score_folds(features: np.ndarray, labels: np.ndarray) -> list[Score]:
    """Scores the same model by five-fold cross-validation over all images: for features that should tell nothing."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)

    def predict(known: np.ndarray, positive: np.ndarray, _: np.ndarray) -> np.ndarray:
        return cross_val_predict(_linear(0.1, "newton-cholesky"), features[known], positive, cv=folds)

    return [_score(column, column, predict) for column in labels.T]


def _score(column: np.ndarray, answer: np.ndarray, predict: Callable[..., np.ndarray]) -> Score:
    known, asked = column != UNKNOWN, answer != UNKNOWN
    positive = column[known] > 0
    if min(positive.sum(), (~positive).sum()) < _MIN_POSITIVES:
        return _UNTOLD
    return balanced_accuracy(answer[asked], predict(known, positive, asked))


def score_evaluation(attributes: Sequence[str], evaluated: Mapping[str, Mapping[str, int]]) -> list[Score]:
    """Scores a model by what was counted of it, `evaluation["attributes"]`; NaN for what it was not trained on."""
    scores = []
    for found in map(evaluated.get, attributes):
        right = np.array([found["true_positives"], found["true_negatives"]] if found else [0, 0])
        wrong = np.array([found["false_negatives"], found["false_positives"]] if found else [0, 0])
        scores.append(_score_counts(right, right + wrong))
    return scores


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> Score:
    """The mean of sensitivity and specificity of 0/1 predictions, with its standard error."""
    classes = truth > 0, truth <= 0
    right = (predicted > 0) == classes[0]
    return _score_counts(np.array([(one & right).sum() for one in classes]), np.array([one.sum() for one in classes]))


def _score_counts(right: np.ndarray, counts: np.ndarray) -> Score:
    """The same from numbers of images `[2]`, positive and negative: those told right, and all."""
    if counts.min() < _MIN_POSITIVES:
        return _UNTOLD
    # Agresti-Coull rates, so that a rate of 0 or 1 has an error too.
    safe = (right + 2) / (counts + 4)
    return Score(float((right / counts).mean()), float(np.sqrt((safe * (1 - safe) / counts).sum()) / 2))


def _linear(strength: float, solver: str) -> Pipeline:
    # "newton-cholesky" takes a few steps where features are few, "lbfgs" is the one for thousands.
    model = LogisticRegression(C=strength, class_weight="balanced", solver=solver, max_iter=300, tol=1e-3)
    return make_pipeline(StandardScaler(), model)
