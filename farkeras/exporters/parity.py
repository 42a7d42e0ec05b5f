"""Whether an export gives the numbers of the Keras model: differences, decisions, accuracy, and their limits."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farkeras.errors import FarkerasError
from farkeras.exporters.reference import Faces, Reference
from farkeras.metrics.attribute_metrics import evaluate_attributes

PARITY_FILE = "parity.json"
FORMAT_VERSION = 1

Runtime = Callable[[Faces], np.ndarray]
"""An export, loaded: `Faces` of B files -> probabilities `float32 [B, attributes]`."""


def image_runtime(run: Callable[[np.ndarray], np.ndarray]) -> Runtime:
    """A runtime from a function of images of one size, `uint8 [B, height, width, 3]` -> `float32 [B, attributes]`."""

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
    """How much an export may differ from the Keras model; None: without limit.

    Attributes:
        max_difference: Largest difference of a probability.
        mean_difference: Mean difference of the probabilities.
        equal_decisions: Smallest share of equal answers at threshold 0.5.
        mean_accuracy_loss: Largest loss of mean accuracy, as a fraction: 0.01 is one point.
        balanced_accuracy_loss: Largest loss of mean balanced accuracy, likewise.
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
        report: The result of `compare`.
    """

    def __init__(self, message: str, report: dict):
        super().__init__(message)
        self.report = report


def compare_with_reference(reference: Reference, runtimes: Mapping[str, Runtime], limits: Limits) -> dict:
    """Runs exports on the reference's files.

    Args:
        reference: What they are compared with.
        runtimes: The exports, or the endpoints of one export, by name.
        limits: The limits for each of them.

    Returns:
        Ready for JSON: `data` as in `Reference`; `limits`; `keras` with `mean_accuracy` and `mean_balanced_accuracy`,
        fractions; `runtimes`, by name: the same two, `max_difference` and `mean_difference` of probabilities,
        `equal_decisions` as a fraction; `exceeded`: one phrase for each limit that a runtime exceeds. A probability
        that is not a number counts as a difference of 1.
    """
    expected = reference.probabilities
    keras_figures = _figures(reference, expected)
    rows, exceeded = {}, []
    for name, runtime in runtimes.items():
        answers = np.concatenate([np.asarray(runtime(faces)) for faces in reference.batches()])
        if answers.shape != expected.shape:
            raise FarkerasError(f"{name} answers {list(answers.shape)} for {list(expected.shape)} probabilities.")
        differences = np.where(np.isfinite(answers), np.abs(answers - expected), 1.0)
        answers = np.where(np.isfinite(answers), answers, expected < 0.5)  # the other answer
        rows[name] = {
            "max_difference": float(differences.max()),
            "mean_difference": float(differences.mean()),
            "equal_decisions": float(((answers >= 0.5) == (expected >= 0.5)).mean()),
            **_figures(reference, answers),
        }
        exceeded += [f"{name}: {phrase}" for phrase in _exceeded(rows[name], keras_figures, limits)]
    return {
        "format_version": FORMAT_VERSION,
        "data": reference.data,
        "limits": {name: limit for name, limit in dataclasses.asdict(limits).items() if limit is not None},
        "keras": keras_figures,
        "runtimes": rows,
        "exceeded": exceeded,
    }


def _figures(reference: Reference, probabilities: np.ndarray) -> dict:
    figures = evaluate_attributes(reference.labels, probabilities, reference.grouping)
    return {name: figures[name] for name in ("mean_accuracy", "mean_balanced_accuracy")}


def _exceeded(row: dict, keras_figures: dict, limits: Limits) -> list[str]:
    names = {"mean_accuracy_loss": "mean_accuracy", "balanced_accuracy_loss": "mean_balanced_accuracy"}
    losses = {loss: keras_figures[name] - row[name] for loss, name in names.items() if row[name] is not None}
    phrases = []
    for name, limit in dataclasses.asdict(limits).items():
        value = (row | losses).get(name)
        if limit is None or value is None:  # the accuracy is None where no label is known
            continue
        if value < limit if name == "equal_decisions" else value > limit:
            phrases.append(f"{name} {value:.3g}, limit {limit:g}")
    return phrases


def write_parity(folder: Path, report: dict) -> None:
    """Writes `parity.json`.

    Raises:
        ParityError: The export exceeds a limit; the file is written nevertheless.
    """
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    (folder / PARITY_FILE).write_text(text, encoding="utf-8")
    if report["exceeded"]:
        raise ParityError(f"Not the numbers of the Keras model: {'; '.join(report['exceeded'])}.", report)
