"""Measures how well the attributes of a data set can be predicted without seeing the face.

A data set teaches little if a linear model on few pixels scores as high as a network. It is misleading if the
background, the border or the size of the file reveals the labels.
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

BORDER = 8  # columns at the left and right edge, in the upper half, which no face, hair or hat reaches
_MIN_POSITIVES = 5


class Score(NamedTuple):
    """Balanced accuracy and its standard error. Both are NaN if a class has too few labels."""

    value: float
    error: float


_UNTOLD = Score(np.nan, np.nan)


class Pixels(NamedTuple):
    """Features and labels of images, one row per image.

    Attributes:
        small: `float32` array `[N, 3072]`, 32 x 32 RGB pixels in 0..1 of the examples' frame.
        border: `float32` array `[N, 60]`, statistics of the strips of `BORDER` columns in the upper half: means and
            standard deviations of four cells in each strip, and mean absolute differences of neighbouring pixels.
        size: `float32` array `[N, 1]`, the logarithm of the encoded image's size in bytes.
        labels: `int8` array `[N, attributes]`, as `Examples.labels`.
    """

    small: np.ndarray
    border: np.ndarray
    size: np.ndarray
    labels: np.ndarray


def measure_shortcuts(source: Source, progress: Progress | None = None) -> dict[str, list[Score]]:
    """Scores logistic regressions that do not see the face in detail.

    Args:
        source: A data set with all three splits.
        progress: Called after every image.

    Returns:
        A score for each attribute of the source, for three kinds of features: "32x32" (pixels, fitted to the training
        split and scored on the test split), "border" and "file size" (five-fold cross-validation over all images;
        chance is 0.5).

    Raises:
        FarkerasError: A split is missing or has no usable image.
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
    """Reads the features of all images of each split.

    Undecodable images are left out, and so are images with a side shorter than two borders.

    Raises:
        FarkerasError: A split has no other image.
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
            raise FarkerasError(
                f"A split has no usable image: expected at least one decodable image of {2 * BORDER} x {2 * BORDER} "
                "pixels or more. Replace the damaged files."
            )
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
    """Fits a class-balanced logistic regression to one split and scores it on another.

    Args:
        train, test: Features of the two splits, `[N, features]`.
        labels, truth: Labels of the two splits, `[N, attributes]`: 1, 0 or `UNKNOWN`.

    Returns:
        One score per attribute.
    """

    def predict(known: np.ndarray, positive: np.ndarray, asked: np.ndarray) -> np.ndarray:
        return _linear(1e-3, "lbfgs").fit(train[known], positive).predict(test[asked])

    return [_score(column, answer, predict) for column, answer in zip(labels.T, truth.T, strict=True)]


def score_folds(features: np.ndarray, labels: np.ndarray) -> list[Score]:
    """Scores regressions by five-fold cross-validation over all images, for features that should reveal nothing."""
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
    """Scores a model from the counts in `evaluation["attributes"]`; NaN for attributes that it does not predict."""
    scores = []
    for found in map(evaluated.get, attributes):
        right = np.array([found["true_positives"], found["true_negatives"]] if found else [0, 0])
        wrong = np.array([found["false_negatives"], found["false_positives"]] if found else [0, 0])
        scores.append(_score_counts(right, right + wrong))
    return scores


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> Score:
    """Computes the mean of sensitivity and specificity of 0/1 predictions, with its standard error."""
    classes = truth > 0, truth <= 0
    right = (predicted > 0) == classes[0]
    return _score_counts(np.array([(one & right).sum() for one in classes]), np.array([one.sum() for one in classes]))


def _score_counts(right: np.ndarray, counts: np.ndarray) -> Score:
    """Computes the score from the numbers of correct predictions and of all images, each `[2]`: positive, negative."""
    if counts.min() < _MIN_POSITIVES:
        return _UNTOLD
    # With Agresti-Coull rates, a rate of 0 or 1 also has an error.
    safe = (right + 2) / (counts + 4)
    return Score(float((right / counts).mean()), float(np.sqrt((safe * (1 - safe) / counts).sum()) / 2))


def _linear(strength: float, solver: str) -> Pipeline:
    # "newton-cholesky" needs few steps with few features; "lbfgs" suits thousands of features.
    model = LogisticRegression(C=strength, class_weight="balanced", solver=solver, max_iter=300, tol=1e-3)
    return make_pipeline(StandardScaler(), model)
