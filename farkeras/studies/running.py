"""Runs a trial: draws its data, trains, evaluates and measures the model."""

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from farkeras.config import Config
from farkeras.data.keypoints import annotate_images
from farkeras.data.pipeline import evaluation_dataset
from farkeras.data.sources.opening import open_source, open_split
from farkeras.data.sources.source import filled_splits
from farkeras.errors import Diverged
from farkeras.files import as_path
from farkeras.metrics.history import read_history, training_lines
from farkeras.models import MODELS
from farkeras.models.backbones import build_backbone
from farkeras.models.base import FaceAttributeModel
from farkeras.models.model_file import ModelMetadata, current_versions, load_model
from farkeras.studies.locks import waiting_for
from farkeras.studies.plan import DataSet, Plan, Trial
from farkeras.studies.plan_file import read_plan
from farkeras.studies.queue import work
from farkeras.studies.results import Result, learning_curves, settings_of, summary
from farkeras.synthetic.generate import FaceSettings, draw_faces
from farkeras.training.building import METRICS_FILE, Run
from farkeras.training.evaluation import evaluate_model
from farkeras.training.preemption import StopRequest
from farkeras.training.reporting import Listener
from farkeras.training.run import train_and_evaluate

BARE = "bare backbone"
EXPLAINED = 128  # images


def run_trial(
    plan: Plan,
    recipe: Config,
    trial: Trial,
    workdir: str | Path,
    listeners: Sequence[Listener] = (),
    stop: StopRequest | None = None,
) -> Result:
    """Trains and measures a trial. A trial that was interrupted continues from its last checkpoint.

    Args:
        plan: The plan of the study.
        recipe: The settings that all trials share.
        trial: The trial, with its learning rate.
        workdir: Folder of the runs; the run gets a folder of its own in it.
        listeners: Objects to call during the training.
        stop: An object by which another thread stops the training with a checkpoint.

    Returns:
        The result; that of a run whose loss was not finite says so.

    Raises:
        Stopped: `stop` was requested.
        FarkerasError: See `train_and_evaluate` and `evaluate_model`.
    """
    config, run, test = plan.config(recipe, trial), as_path(workdir) / trial.name, plan.test_data(trial)
    prepare(plan.data[plan.conditions[trial.condition].data], config)
    prepare(test, config)
    keras.backend.clear_session()  # frees the memory of the previous run
    try:
        train_and_evaluate(config, run, listeners, stop=stop)
    except Diverged as error:
        nothing: dict[str, Any] = {"validation": {}, "test": {}, "tested_on": {}, "curves": learning_curves([])}
        sizes: dict[str, Any] = {"parameters": 0, "backbone_parameters": 0, "fusion": None, "forward_time": 0.0}
        rest: dict[str, Any] = {"seconds": 0.0, "images_per_second": 0.0, "made": made_by(), "failed": str(error)}
        return Result(trial, settings_of(config), **nothing, **sizes, **rest)
    validation = evaluate_model(str(run), "validation").evaluation
    tested = evaluate_model(str(run), test.split, data_dir=test.data_dir).evaluation
    backbone = build_backbone(config.backbone, config.image_size, config.backbone_alpha)
    model, metadata = load_model(run)
    history = read_history(run / METRICS_FILE)
    lines = training_lines(history)
    seconds = sum(line["steps"] / line["steps_per_second"] for line in lines)
    return Result(
        trial,
        settings_of(config),
        summary(validation),
        summary(tested),
        {"data": Path(tested["run"]["data_dir"]).name, "split": test.split, "images": tested["num_images"]},
        learning_curves(history),
        trainable_parameters(model),
        trainable_parameters(backbone),
        mean_fusion(model, metadata, test),
        forward_times(backbone, {trial.arm: model})[trial.arm],
        seconds,
        sum(line["steps"] for line in lines) * config.batch_size / seconds,
        made_by(),
    )


def mean_fusion(model: FaceAttributeModel, metadata: ModelMetadata, test: DataSet) -> dict[str, Any] | None:
    """Returns how much of each other group a group gets, see `Result.fusion`, on average over the first test images."""
    examples, *_ = open_split(metadata.grouping.attributes, metadata.config, test.split, data_dir=test.data_dir)
    batch = next(iter(evaluation_dataset(examples, metadata.preprocessing, EXPLAINED)))
    fusion = model.explain(batch["image"][batch["example"] >= 0]).get("fusion")
    if fusion is None:
        return None
    return {"groups": list(metadata.grouping.names), "matrix": np.mean(fusion, axis=0).tolist()}


def prepare(data: DataSet, config: Config) -> None:
    """Draws the faces of a data set unless they exist, and finds their keypoints if the model needs them."""
    if not data.faces:
        return
    settings, processors = FaceSettings(**data.faces), os.cpu_count() or 1
    folder = as_path(data.data_dir)
    with waiting_for(folder.with_name(f".{folder.name}.lock")):  # another process of the study may be drawing
        draw_faces(settings, folder, processors)
        if MODELS[config.model].has_masks:
            source = open_source(settings.layout, str(folder))
            annotate_images(folder, list(filled_splits(source).values()), processors)


def remove_run(trial: Trial, workdir: str | Path) -> None:
    """Removes the folder of a finished run, which takes more than ten times the space of its model."""
    shutil.rmtree(as_path(workdir) / trial.name, ignore_errors=True)


def made_by() -> dict:
    """Returns the date, the commit, the versions and the machine of a result."""
    git = ["git", "-C", os.path.dirname(__file__), "rev-parse", "--short=9", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    except OSError:  # git is not installed
        commit = ""
    machine = {"device": device_name(), "system": f"{platform.system()} {platform.machine()}"}
    if hasattr(os, "getloadavg"):
        machine["load"] = f"{os.getloadavg()[2]:.1f}"
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit or "unknown",
        "versions": current_versions(),
        "machine": machine,
    }


def trainable_parameters(model: keras.Model) -> int:
    """Returns the number of trainable weights."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def device_name() -> str:
    """Returns the devices that TensorFlow uses: the names of the GPUs, or the number of CPU cores."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return ", ".join(gpu.get("device_name", "GPU") for gpu in details) or f"{os.cpu_count()} CPU cores"


def forward_times(
    backbone: keras.Model, models: dict[str, keras.Model], batch_size: int = 16, rounds: int = 15
) -> dict[str, float]:
    """Measures forward passes relative to the bare backbone with global average pooling.

    Each round runs every model once, so that other load on the machine affects all models alike.

    Args:
        backbone: Model from images to the feature map.
        models: Models by name, with the input size of the backbone.
        batch_size: Images per forward pass.
        rounds: Number of timed passes of each model.

    Returns:
        Name -> median over the rounds of (time of the model / time of the backbone).
    """
    images = tf.random.stateless_uniform((batch_size, *backbone.input_shape[1:]), (0, 0), 0, 255)
    bare = tf.function(lambda images: tf.reduce_mean(backbone(images, training=False), axis=(1, 2)))
    functions: dict[str, Callable] = {BARE: bare} | {name: _forward(model) for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 2):
        for name, function in functions.items():
            began = time.perf_counter()
            function(images).numpy()
            if turn >= 2:  # the first turn traces, the second warms the caches
                seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(np.divide(seconds[name], seconds[BARE]))) for name in models}


def _forward(model: keras.Model) -> Callable:
    return tf.function(lambda images: model(images, training=False)["logits"])


class SignOfLife(Listener):
    """Keeps the lock of a trial alive while it trains."""

    def __init__(self, sign: Callable[[], None]) -> None:
        self.sign = sign

    def on_train(self, run: Run, record: dict) -> None:
        self.sign()

    def on_validation(self, run: Run, record: dict) -> None:
        self.sign()


def run_study(
    plan: str | Path,
    config: Config,
    results: str | Path,
    workdir: str | Path,
    only: Sequence[str] = (),
    max_runs: int = 0,
    keep_runs: bool = False,
    listeners: Callable[[str], Sequence[Listener]] = lambda name: (),
    stop: StopRequest | None = None,
) -> Iterator[Result]:
    """Runs the trials of a study, the most important ones first, and writes the result of each.

    A second call continues an interrupted trial and leaves out those that have a result. Several processes or machines
    may share the folder of results; a lock file gives each trial to one of them.

    Args:
        plan: The TOML file of the plan.
        config: The recipe; arms, conditions and stages replace some of its settings.
        results: Folder of the results.
        workdir: Folder of the runs.
        only: Patterns of the names of trials, such as `screen/far_amtn-*`; by default all are run.
        max_runs: Largest number of trials to run; 0: all.
        keep_runs: Whether the folders of finished runs stay.
        listeners: Function from the name of a trial to its listeners.
        stop: An object by which another thread stops the study, with a checkpoint.

    Yields:
        The result of each trial, a `farkeras.studies.results.Result`, after it was written.

    Raises:
        Stopped: `stop` was requested.
        FarkerasError: The plan or a result is invalid, a result has other settings than the plan, or see
            `train_and_evaluate`.
    """
    read = read_plan(plan, config)

    def run(trial: Trial, sign: Callable[[], None]) -> Result:
        return run_trial(read, config, trial, workdir, [*listeners(trial.name), SignOfLife(sign)], stop)

    for result in work(read, config, results, run, only, max_runs):
        if not keep_runs:
            remove_run(result.trial, workdir)
        yield result
