"""Audits the labels of a data set: predicts each image with a model that has not seen its labels, and compares."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from farkeras.config import Config
from farkeras.data.examples import UNKNOWN, Examples
from farkeras.data.folds import assign_folds
from farkeras.data.learnable import check_batch_size, check_classes
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.sources.opening import open_split
from farkeras.data.sources.splits import SPLITS
from farkeras.errors import FarkerasError
from farkeras.files import alone_in, as_path, write_text, writing, written_aside
from farkeras.inference.forward import predict_examples
from farkeras.losses import balanced_positive_weights
from farkeras.metrics.evaluation_file import check_same_data
from farkeras.metrics.label_errors import LabelErrors, find_label_errors
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import load_model
from farkeras.progress import Progress
from farkeras.training.building import CHECKPOINTS, Data, open_data
from farkeras.training.devices import make_strategy
from farkeras.training.identity import check_workdir, identity_of
from farkeras.training.preemption import StopRequest
from farkeras.training.reporting import Listener
from farkeras.training.run import train_on

ALL = "all"
"""The value of `split` for all images of a data set."""

FOLDS_FILE = "folds.json"
PREDICTIONS_FILE = "out_of_fold.npz"


class Audited(NamedTuple):
    """One split with the predictions of models that have not seen the labels of the predicted image.

    Attributes:
        split: Name of the split.
        examples: The images and labels.
        probabilities: `float32 [N, A]`; of no meaning for an undecodable image.
        decodable: bool `[N]`.
    """

    split: str
    examples: Examples
    probabilities: np.ndarray
    decodable: np.ndarray


class LabelAudit(NamedTuple):
    """The result of an audit.

    Attributes:
        parts: The audited splits.
        errors: The labels that are probably wrong. Its rows count the images of all parts, one part after the other.
        preprocessing: The preprocessing of the models.
        origin: Where the predictions come from: `{"source", "data_dir", "split"}`, and `folds` or `run`; JSON-ready.
    """

    parts: tuple[Audited, ...]
    errors: LabelErrors
    preprocessing: Preprocessing
    origin: dict

    def place(self, row: int) -> tuple[Audited, int]:
        """Returns the part that holds an image of `errors.rows`, and the image's number in this part."""
        for part in self.parts:
            if row < len(part.examples):
                return part, row
            row -= len(part.examples)
        raise IndexError(row)


def audit_with_folds(
    config: Config,
    workdir: str | os.PathLike,
    split: str = "train",
    folds: int = 5,
    listeners: Callable[[str], Sequence[Listener]] = lambda name: (),
    progress: Progress | None = None,
    stop: StopRequest | None = None,
) -> LabelAudit:
    """Audits labels with cross-validation: trains a model for each fold, without the fold, and predicts the fold.

    All images of a person are in the same fold, where the data set names people. Each fold has a run of its own in
    `workdir`, with all settings of `config`. A second call continues an unfinished fold and keeps finished ones; the
    checkpoints of a finished fold are removed. A fold contains images of each audited split, which neither train its
    model nor select the best one. No model sees the test split, so for the test split alone one model is enough.

    Args:
        config: The recipe of the models.
        workdir: Folder of the runs.
        split: "train", "validation", "test" or "all".
        folds: Number of folds, at least 2.
        listeners: Function from the name of a fold to the listeners of its run.
        progress: Called while an archive is extracted, see `open_source`.
        stop: An object by which another thread or a listener stops the training, see `StopRequest`.

    Returns:
        The audit.

    Raises:
        FarkerasError: `workdir` belongs to an audit with other settings or data, there are fewer people than folds, the
            images outside a fold are not enough to train a model, or see `train_and_evaluate`.
        Stopped: `stop` was requested; the same call continues.
    """
    # One process trains all folds, and TensorFlow connects a process with others only once.
    config, workdir = replace(config, cluster="none").absolute(), as_path(workdir)
    data = open_data(config, progress)
    audited = {"train": data.train, "validation": data.validation}
    if split in ("test", ALL):
        audited["test"], *_ = open_split(data.grouping.attributes, config.to_dict(), "test")
    audited = {name: examples for name, examples in audited.items() if split in (name, ALL)}
    if set(audited) == {"test"}:
        folds = 1
    fold_of = folds_of_splits(audited, folds, config.seed)
    parts = {
        name: Audited(name, e, np.zeros(e.labels.shape, np.float32), np.zeros(len(e), bool))
        for name, e in audited.items()
    }
    with alone_in(workdir, "workdir"):
        _check_folds(workdir, {"split": split, "folds": folds})
        for fold in range(folds):
            rows = {name: np.flatnonzero(each == fold) for name, each in fold_of.items()}
            run = f"fold_{fold + 1}"
            found = _predict_fold(config, workdir / run, data, audited, rows, partial(listeners, run), stop)
            for name, (probabilities, decodable) in found.items():
                parts[name].probabilities[rows[name]] = probabilities
                parts[name].decodable[rows[name]] = decodable
    origin = {"source": config.source, "data_dir": config.data_dir, "split": split, "folds": folds}
    return _audit(tuple(parts.values()), data.preprocessing, config.positive_weights, origin)


def folds_of_splits(audited: Mapping[str, Examples], folds: int, seed: int) -> dict[str, np.ndarray]:
    """Returns the fold of each image in each split. A person who is in two splits is in the same fold of both."""
    if folds == 1:
        return {name: np.zeros(len(examples), np.int64) for name, examples in audited.items()}
    people = [e.people if e.people is not None else np.full(len(e), "") for e in audited.values()]
    each = np.split(assign_folds(np.concatenate(people), folds, seed), np.cumsum([len(part) for part in people])[:-1])
    return dict(zip(audited, each, strict=True))


def _check_folds(workdir: Path, settings: dict[str, Any]) -> None:
    """Notes the split and the number of folds in the workdir, and compares them with those of its first start."""
    path = workdir / FOLDS_FILE
    if not path.exists():
        with writing(workdir, instead="workdir"):
            write_text(path, json.dumps(settings) + "\n")
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    if changed := [
        f"`{name}` (was {before.get(name)}, now {now})" for name, now in settings.items() if before.get(name) != now
    ]:
        raise FarkerasError(
            f"{workdir} holds an audit with other settings: {', '.join(changed)}. Use another `workdir`."
        )


def _predict_fold(
    config: Config,
    folder: Path,
    data: Data,
    audited: Mapping[str, Examples],
    rows: Mapping[str, np.ndarray],
    listeners: Callable[[], Sequence[Listener]],
    stop: StopRequest | None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Trains without the images at `rows` and predicts them, or reads the predictions of a finished fold.

    Returns:
        Split -> the probabilities of its images in the fold, and which of them are decodable.
    """
    without = without_rows(data, rows)
    strategy = make_strategy(config.replicas)
    if (stored := folder / PREDICTIONS_FILE).exists():
        check_workdir(folder, config, data.grouping, identity_of(without, strategy.num_replicas_in_sync))
        with np.load(stored) as kept:
            return {name: (kept[name], kept[f"{name}_decodable"]) for name in rows}
    check_batch_size(without.train, config.batch_size)
    check_classes(without.train)
    keras.backend.clear_session()  # frees the memory of the previous fold
    train_on(lambda _: without, config, folder, listeners(), stop)
    with strategy.scope():
        model, metadata = load_model(folder, calibrate="none")
    found = {
        name: _predict(model, audited[name].take(rows[name]), metadata.preprocessing, config.batch_size, strategy)
        for name in rows
    }
    arrays: dict[str, Any] = {name: probabilities for name, (probabilities, _) in found.items()}
    arrays |= {f"{name}_decodable": decodable for name, (_, decodable) in found.items()}
    with writing(stored, "trained"), written_aside(stored) as aside, open(aside, "wb") as file:
        np.savez(file, **arrays)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # several times as large as the model
    return found


def without_rows(data: Data, rows: Mapping[str, np.ndarray]) -> Data:
    """Returns the data of a run without the images at `rows` of each split."""

    def kept(split: str) -> dict[str, Any]:
        examples, keypoints = getattr(data, split), getattr(data, f"{split}_keypoints")
        others = np.setdiff1d(np.arange(len(examples)), rows.get(split, ()))
        return {split: examples.take(others), f"{split}_keypoints": keypoints.take(others) if keypoints else None}

    return replace(data, **kept("train"), **kept("validation"))


def _predict(
    model: LogitsModel,
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    strategy: tf.distribute.Strategy,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the probabilities of all images, 0 for undecodable ones, and which images are decodable."""
    predictions = predict_examples(model, examples, preprocessing, batch_size, strategy)
    decodable = ~np.isin(examples.paths, predictions.undecodable)
    probabilities = np.zeros(examples.labels.shape, np.float32)
    probabilities[decodable] = predictions.probabilities
    return probabilities, decodable


def without_weights(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Divides the odds `[N, A]` by the weights of positive labels `[A]`, by which training has multiplied them.

    Otherwise an audit would suspect many negative labels of rare attributes.
    """
    return probabilities / (probabilities + weights * (1 - probabilities))


def audit_with_run(
    run: str | os.PathLike,
    split: str = "test",
    source: str = "",
    data_dir: str = "",
    batch_size: int = 64,
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
) -> LabelAudit:
    """Audits labels with the predictions of a trained run that has not seen them.

    Args:
        run: Workdir of the run, or a `.keras` file.
        split: "test", or "validation", whose labels the run has used only to select its best model. On a data set other
            than that of the training, also "train" or "all".
        source: Kind of data set; by default that of the training.
        data_dir: Folder or table of the data set; by default that of the training.
        batch_size: Images per batch, over all GPUs.
        progress: Called while an archive is extracted, see `open_source`.
        settings: Settings for reading a table that replace those of the training.

    Returns:
        The audit.

    Raises:
        FarkerasError: The run has trained on these labels, or see `farkeras.training.evaluation.evaluate_model`.
    """
    strategy = make_strategy()
    with strategy.scope():
        model, metadata = load_model(run, calibrate="none")
    if split in ("train", ALL) and _trained_on(metadata.config, source, data_dir):
        raise FarkerasError(
            f"The run {run} has trained on the labels of `split={split}`, which it would only confirm. Choose "
            "`split=test` or `split=validation`, or leave out `run` to train without each fold."
        )
    parts = []
    for name in SPLITS if split == ALL else (split,):
        examples, source, data_dir = open_split(
            metadata.grouping.attributes, metadata.config, name, source, data_dir, progress, settings
        )
        parts.append(Audited(name, examples, *_predict(model, examples, metadata.preprocessing, batch_size, strategy)))
    origin = {"source": source, "data_dir": os.path.abspath(data_dir), "split": split, "run": os.fspath(as_path(run))}
    return _audit(tuple(parts), metadata.preprocessing, metadata.config.get("positive_weights", "none"), origin)


def _trained_on(trained: dict, source: str, data_dir: str) -> bool:
    try:
        check_same_data(trained, source, data_dir, Path())
    except FarkerasError:
        return False
    return True


def _audit(parts: tuple[Audited, ...], preprocessing: Preprocessing, positive_weights: str, origin: dict) -> LabelAudit:
    labels = np.concatenate([np.where(part.decodable[:, None], part.examples.labels, UNKNOWN) for part in parts])
    probabilities = np.concatenate([part.probabilities for part in parts])
    if positive_weights == "balanced":
        probabilities = without_weights(probabilities, balanced_positive_weights(labels))
    errors = find_label_errors(labels, probabilities, parts[0].examples.attributes)
    return LabelAudit(parts, errors, preprocessing, origin)
