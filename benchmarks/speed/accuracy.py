"""What bfloat16 and int8 lose: a fine-tuned run's exports beside its Keras model, on faces that it has not seen."""

import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from speed.ratios import Ratio
from speed.sides import alone

LIMIT = 0.3  # points of mean and of balanced accuracy
LEAST_FACES = 3000
RESAMPLES = 1000
METRICS = ("mean_accuracy", "mean_balanced_accuracy")


def measure_accuracy(run: Path, faces: Path) -> dict[str, Any]:
    """Measures in a process of its own what each form of an export loses.

    Args:
        run: Workdir of a run with fine-tuned weights.
        faces: Folder of procedural faces in CelebA's layout that the run has not seen.

    Returns:
        `run`, `faces`, the `accuracy` of the Keras model by metric, and `lost`: form -> metric -> points lost, as
        `[value, low, high]`.
    """
    return alone("accuracy", "speed.accuracy:losses_of_run", run=str(run), faces=str(faces))


def losses_of_run(run: str, faces: str) -> dict[str, Any]:
    """Exports a run and compares the exports with the Keras model; see `measure_accuracy`."""
    import farkeras
    from farkeras.clients.litert import LiteRTRecognizer
    from farkeras.clients.openvino import OpenVINORecognizer
    from farkeras.models.model_file import load_model
    from speed.runtimes import forms, openvino_files

    model, metadata = load_model(run)
    images, labels = read_faces(faces, metadata.grouping.attributes)
    probabilities: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        farkeras.draw_faces(farkeras.FaceSettings(320, seed=6), f"{folder}/faces")
        calibration = farkeras.ParityImages(0, source="celeba", data_dir=f"{folder}/faces")
        files = openvino_files(run, folder, calibration, calibration_images=256)
        farkeras.export_run(run, ["tflite"], f"{folder}/tflite", calibration, precisions=["int8"])
        for name, (file, precision) in forms().items():
            recognizer = OpenVINORecognizer(files[file], inference_precision=precision)
            probabilities[name] = recognizer.probabilities(list(images))
        litert = LiteRTRecognizer(f"{folder}/tflite/int8/model.tflite")
        probabilities["LiteRT int8"] = litert.probabilities(list(images))
    keras = in_batches(lambda batch: model.probabilities(metadata.preprocessing.resize(batch)).numpy(), images)
    lost = {name: paired_losses(labels, keras, values) for name, values in probabilities.items()}
    both = dict(zip(METRICS, accuracies(labels, keras)[:, 0], strict=True))
    return {
        "run": Path(run).name,
        "backbone": metadata.config.get("backbone", ""),
        "faces": len(images),
        "accuracy": {name: float(100 * value) for name, value in both.items()},
        "lost": {name: {metric: list(ratio) for metric, ratio in by.items()} for name, by in lost.items()},
    }


def read_faces(faces: str, attributes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Reads the faces of a folder, of all splits: uint8 `[N, height, width, 3]`, and their labels `[N, A]`."""
    from PIL import Image

    import farkeras

    splits = [s.select(attributes) for s in farkeras.filled_splits(farkeras.open_source("celeba", faces)).values()]
    paths = np.concatenate([split.paths for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    return np.stack([np.asarray(Image.open(path)) for path in paths]), labels


def in_batches(run: Callable[[np.ndarray], np.ndarray], images: np.ndarray, size: int = 50) -> np.ndarray:
    """Runs a model on all images, `size` at a time."""
    return np.concatenate([np.array(run(images[start : start + size])) for start in range(0, len(images), size)])


def paired_losses(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, Ratio]:
    """Computes what a form of a model loses, in points, with 95 % intervals by a paired bootstrap over the images.

    Args:
        labels: 1 or 0, `[N, A]`.
        before: Probabilities of the model, `[N, A]`.
        after: Probabilities of its other form, `[N, A]`.

    Returns:
        Metric -> the loss. It is negative if the other form is better.
    """
    drawn = np.random.default_rng(0).multinomial(len(labels), [1 / len(labels)] * len(labels), RESAMPLES)
    weights = np.concatenate([np.ones((1, len(labels)), int), drawn])
    lost = 100 * (accuracies(labels, before, weights) - accuracies(labels, after, weights))
    bounds = np.nanquantile(lost[:, 1:], (0.025, 0.975), axis=1)
    return {name: Ratio(float(lost[i, 0]), *map(float, bounds[:, i])) for i, name in enumerate(METRICS)}


def accuracies(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Computes mean accuracy and mean balanced accuracy, `[2, W]`, for each row of image weights `[W, N]`.

    The balanced accuracy is the mean over the attributes that have labels of both classes.
    """
    weights = np.ones((1, len(labels))) if weights is None else weights.astype(np.float64)
    right, positive = (probabilities >= 0.5) == (labels == 1), labels == 1
    with np.errstate(invalid="ignore"):
        by_class = [(weights @ (right & of)) / (weights @ of) for of in (positive, ~positive)]
    mean = (weights @ right).mean(axis=1) / weights.sum(axis=1)
    return np.stack([mean, np.nanmean((by_class[0] + by_class[1]) / 2, axis=1)])


def allowed_forms(accuracy: Mapping[str, Any]) -> Collection[str] | None:
    """Returns the forms that lose at most `LIMIT` points with both metrics; None if that was not measured."""
    if not accuracy:
        return None
    return [form for form, lost in accuracy["lost"].items() if all(lost[m][0] <= LIMIT for m in METRICS)]


def summary(accuracy: Mapping[str, Any]) -> str:
    """Says in a sentence what each form loses."""
    if not accuracy:
        return "What bfloat16 and int8 lose was not measured, so only float32 counts."
    parts = []
    for form, lost in accuracy["lost"].items():
        values = " and ".join("{:+.2f} ({:+.2f} to {:+.2f})".format(*lost[metric]) for metric in METRICS)
        parts.append(f"{form} {values}")
    return (
        f"Points of mean and balanced accuracy lost on {accuracy['faces']:,} drawn faces by {accuracy['backbone']} "
        f"of {accuracy['run']}: {'; '.join(parts)}."
    )
