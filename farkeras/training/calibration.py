"""Calibration of a trained model: temperatures, shifts and thresholds, fitted on images that it was not trained on."""

import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from farkeras.attributes import Grouping
from farkeras.data.procedural import is_procedural
from farkeras.data.sources.opening import open_split
from farkeras.decisions import OBJECTIVES, Calibration
from farkeras.errors import FarkerasError
from farkeras.files import alone_in, as_path, writing
from farkeras.inference.forward import predict_examples
from farkeras.metrics.temperature import apply_temperatures, fit_temperatures, sigmoid
from farkeras.metrics.thresholds import choose_thresholds
from farkeras.models.keras_files import model_path
from farkeras.models.model_file import load_model, replace_calibration
from farkeras.progress import Progress
from farkeras.training.devices import make_strategy


def fit_calibration(
    labels: np.ndarray,
    probabilities: np.ndarray,
    grouping: Grouping,
    fitted_on: Mapping[str, Any],
    objective: str = OBJECTIVES[0],
    precision: float = 0.9,
) -> Calibration:
    """Fits temperatures and shifts, and on the calibrated probabilities thresholds.

    `fit_temperatures` and `choose_thresholds` describe both.

    Args:
        labels: `int8 [N, A]`: 1 is positive, 0 negative, -1 unknown.
        probabilities: `float32 [N, A]`: the model's own.
        grouping: The A attributes, in the order of the columns, and their groups.
        fitted_on: The images, see `Calibration`.
        objective: One of `farkeras.decisions.OBJECTIVES`.
        precision: The precision for the objective "precision".
    """
    found = fit_temperatures(labels, probabilities, grouping)
    temperatures, shifts = (np.array([rounded(x) for x in values]) for values in (found.temperatures, found.shifts))
    calibrated = apply_temperatures(probabilities, temperatures, shifts)
    thresholds, notes = choose_thresholds(labels, calibrated, objective, precision, own_half=sigmoid(shifts))
    remarks: dict[str, list[str]] = {name: [note] for name, note in found.notes.items()}
    for name, note in zip(grouping.attributes, notes, strict=True):
        if note:
            remarks[name] = [*remarks.get(name, []), note]
    return Calibration(
        temperatures=dict(zip(grouping.attributes, temperatures.tolist(), strict=True)),
        shifts=dict(zip(grouping.attributes, shifts.tolist(), strict=True)),
        thresholds={name: rounded(t) for name, t in zip(grouping.attributes, thresholds, strict=True)},
        scope=found.scope,
        objective=objective,
        precision=precision if objective == "precision" else None,
        fitted_on={**fitted_on, "images": len(labels)},
        losses=found.losses,
        notes=remarks,
    )


def rounded(value: float) -> float:
    """Returns a number with six significant digits, so that it is the same in every file."""
    return float(f"{value:.6g}")


def calibrate_run(
    path: str | os.PathLike,
    objective: str = OBJECTIVES[0],
    precision: float = 0.9,
    split: str = "validation",
    batch_size: int = 64,
    source: str = "",
    data_dir: str = "",
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Calibration:
    """Fits the calibration of a trained model anew and stores it in the model file, in place of its calibration.

    `train_and_evaluate` already does so for the objective "balanced_accuracy". This function is for model files
    without a calibration, for another objective, and for other images than those of the training's validation split.
    Weights and metrics of the file stay as they are. The file is replaced once the new one is complete.

    Args:
        path: Workdir of a run, or a `.keras` file.
        objective: What the thresholds are chosen for: "balanced_accuracy", "accuracy", "f1" or "precision".
        precision: For the objective "precision": the precision that an attribute's positive answers reach on these
            images, above 0 and below 1.
        split: The images. The model must not have been trained on them, and a later evaluation needs others.
        batch_size: Images per batch, over all GPUs.
        source: Kind of data set; by default that of the training.
        data_dir: Folder or table of the data set; by default that of the training.
        progress: Called while an archive is extracted, see `open_source`.
        settings: Settings for reading a table that replace those of the training.

    Returns:
        The calibration that was stored.

    Raises:
        FarkerasError: The objective or precision is invalid, the model or the data are missing or invalid, too many
            images are undecodable, a training run is writing to the workdir, or the file cannot be written.
    """
    if objective not in OBJECTIVES:
        raise FarkerasError(f"`objective` must be one of {', '.join(OBJECTIVES)}. Received: {objective!r}.")
    if not 0 < precision < 1:
        raise FarkerasError(f"`precision` must be above 0 and below 1. Received: {precision}.")
    if split == "train":
        raise FarkerasError(
            "`split` must not be train, because the model fits its training images better than others. Use validation."
        )
    file = model_path(path)
    with alone_in(file.parent, "workdir") if as_path(path).is_dir() else nullcontext():
        strategy = make_strategy()
        with strategy.scope():
            model, metadata = load_model(file, calibrate="none")
        examples, source, data_dir = open_split(
            metadata.grouping.attributes, metadata.config, split, source, data_dir, progress, settings
        )
        found = predict_examples(model, examples, metadata.preprocessing, batch_size, strategy)
        calibration = fit_calibration(
            found.labels,
            found.probabilities,
            metadata.grouping,
            described(source, data_dir, split),
            objective,
            precision,
        )
        with writing(file, "saved"):
            replace_calibration(file, calibration)
    return calibration


def described(source: str, data_dir: str | os.PathLike, split: str) -> dict[str, Any]:
    """Returns the entry `fitted_on` of a `Calibration` without the number of images."""
    # Not the whole path, because a model file may be passed on.
    return {
        "source": source,
        "data_dir": Path(as_path(data_dir)).name,
        "split": split,
        "procedural": is_procedural(str(data_dir)),
    }
