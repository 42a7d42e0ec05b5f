"""Compares an export with the Keras model: differences, decisions, accuracy, and their limits."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farkeras.errors import FarkerasError
from farkeras.exporters.reference import Faces, Reference
from farkeras.metrics.decision_metrics import at_thresholds

PARITY_FILE = "parity.json"
FORMAT_VERSION = 1

Runtime = Callable[[Faces], np.ndarray]
"""A loaded export: it maps `Faces` of B files to probabilities, `float32 [B, attributes]`."""


def image_runtime(run: Callable[[np.ndarray], np.ndarray]) -> Runtime:
    """Makes a runtime that takes images of several sizes.

    Args:
        run: Maps images of one size, `uint8 [B, height, width, 3]`, to probabilities, `float32 [B, attributes]`.
    """

    def runtime(faces: Faces) -> np.ndarray:
        sizes = [crop.shape for crop in faces.crops]
        answers: dict[int, np.ndarray] = {}
        for size in dict.fromkeys(sizes):
            rows = [row for row, shape in enumerate(sizes) if shape == size]
            answers.update(zip(rows, run(np.stack([faces.crops[row] for row in rows])), strict=True))
        return np.stack([answers[row] for row in range(len(sizes))])

    return runtime


@dataclass(frozen=True)
class Limits:
    """Limits for the differences of an export from the Keras model. None means that there is no limit.

    Attributes:
        max_difference: Upper limit of the largest absolute difference of a probability.
        mean_difference: Upper limit of the mean absolute difference of the probabilities.
        equal_decisions: Lower limit of the share of equal decisions at the model's thresholds, as a fraction.
        mean_accuracy_loss: Upper limit of the loss of mean accuracy, as a fraction: 0.01 is one percentage point.
        balanced_accuracy_loss: Upper limit of the loss of mean balanced accuracy, as a fraction.
    """

    max_difference: float | None = None
    mean_difference: float | None = None
    equal_decisions: float | None = None
    mean_accuracy_loss: float | None = None
    balanced_accuracy_loss: float | None = None


FLOAT32 = Limits(max_difference=5e-5)
FLOAT16 = Limits(mean_difference=1e-3, max_difference=3e-2, equal_decisions=0.995)
INT8 = Limits(mean_accuracy_loss=0.005, balanced_accuracy_loss=0.01, equal_decisions=0.98)


class ParityError(FarkerasError):
    """An export differs from the Keras model by more than its limits.

    Attributes:
        report: Result of `compare_with_reference`.
    """

    def __init__(self, message: str, report: dict):
        super().__init__(message)
        self.report = report


def compare_with_reference(reference: Reference, runtimes: Mapping[str, Runtime], limits: Limits) -> dict:
    """Runs exports on image files and compares their probabilities with those of the Keras model.

    Args:
        reference: The files, and the Keras model's probabilities.
        runtimes: The exports, or the endpoints of one export, by name.
        limits: Limits that apply to each runtime.

    Returns:
        A dictionary, ready for JSON:

        - `data`: as in `Reference`;
        - `limits`: the limits that are not None;
        - `keras`: `mean_accuracy` and `mean_balanced_accuracy` of the Keras model at its thresholds, as fractions;
        - `runtimes`: for each name the same two metrics, `max_difference` and `mean_difference` of the probabilities,
          and `equal_decisions` at the model's thresholds, as a fraction;
        - `exceeded`: one phrase for each limit that a runtime exceeds.

        A probability that is not finite counts as a difference of 1 and as an unequal decision.

    Raises:
        FarkerasError: The probabilities of a runtime do not have the expected shape.
    """
    expected = reference.probabilities
    keras_metrics = _metrics(reference, expected)
    rows, exceeded = {}, []
    for name, runtime in runtimes.items():
        answers = np.concatenate([np.asarray(runtime(faces)) for faces in reference.batches()])
        if answers.shape != expected.shape:
            raise FarkerasError(
                f"{name} must return probabilities of shape {list(expected.shape)}. Received: {list(answers.shape)}."
            )
        differences = np.where(np.isfinite(answers), np.abs(answers - expected), 1.0)
        at_least = reference.thresholds
        answers = np.where(np.isfinite(answers), answers, expected < at_least)  # counts as unequal
        rows[name] = {
            "max_difference": float(differences.max()),
            "mean_difference": float(differences.mean()),
            "equal_decisions": float(((answers >= at_least) == (expected >= at_least)).mean()),
            **_metrics(reference, answers),
        }
        exceeded += [f"{name}: {phrase}" for phrase in _exceeded(rows[name], keras_metrics, limits)]
    return {
        "format_version": FORMAT_VERSION,
        "data": reference.data,
        "limits": {name: limit for name, limit in dataclasses.asdict(limits).items() if limit is not None},
        "keras": keras_metrics,
        "runtimes": rows,
        "exceeded": exceeded,
    }


def _metrics(reference: Reference, probabilities: np.ndarray) -> dict:
    attributes = reference.grouping.attributes
    metrics = at_thresholds(reference.labels, probabilities, reference.thresholds, attributes)
    return {name: metrics[name] for name in ("mean_accuracy", "mean_balanced_accuracy")}


def _exceeded(row: dict, keras_metrics: dict, limits: Limits) -> list[str]:
    names = {"mean_accuracy_loss": "mean_accuracy", "balanced_accuracy_loss": "mean_balanced_accuracy"}
    losses = {loss: keras_metrics[name] - row[name] for loss, name in names.items() if row[name] is not None}
    phrases = []
    for name, limit in dataclasses.asdict(limits).items():
        value = (row | losses).get(name)
        if limit is None or value is None:  # accuracy is None if no label is known
            continue
        if value < limit if name == "equal_decisions" else value > limit:
            phrases.append(f"{name} {value:.3g}, limit {limit:g}")
    return phrases


def write_parity(folder: Path, report: dict) -> None:
    """Writes a report of `compare_with_reference` to `parity.json`.

    Raises:
        ParityError: The export exceeds a limit. The file is written nevertheless.
    """
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    (folder / PARITY_FILE).write_text(text, encoding="utf-8")
    if report["exceeded"]:
        exceeded = "; ".join(report["exceeded"])
        raise ParityError(f"The export differs from the Keras model by more than its limits: {exceeded}.", report)
