"""Comparison of models under one recipe: metrics over several seeds, size and speed."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from farkeras.config import Config
from farkeras.data.sources.opening import open_split
from farkeras.errors import FarkerasError
from farkeras.models.backbones import build_backbone
from farkeras.models.model_file import load_model
from farkeras.training.building import open_data
from farkeras.training.evaluation import evaluate_model
from farkeras.training.reporting import Listener
from farkeras.training.run import train_and_evaluate

METRICS = ("mean_accuracy", "mean_balanced_accuracy", "mean_mask_iou")
BARE = "bare backbone"


def compare_models(
    config: Config,
    models: Sequence[str],
    seeds: Sequence[int],
    workdir: str | Path,
    listeners: Callable[[str], Sequence[Listener]] = lambda name: (),
) -> dict:
    """Trains each model with each seed, with all other settings equal, and measures it on the test split.

    Each run has its own folder in `workdir`. A second call continues unfinished runs and keeps finished ones.

    Args:
        config: The recipe; its `model` and `seed` are replaced.
        models: Values of `Config.model`.
        seeds: Values of `Config.seed`; each model is trained once per seed.
        workdir: Folder of the runs.
        listeners: Function from the name of a run to its listeners.

    Returns:
        `{"majority_accuracy": float, "device": str, "models": {model: row}}`, JSON-ready. A row has each metric of
        `METRICS` as `{"mean", "std", "values"}` over the seeds (`std` with n - 1, None for one seed; the mask IoU is
        None without masks), `parameters` (trainable), `backbone_parameters`, and the model's `forward_time` on
        `device`, see `forward_times`.

    Raises:
        FarkerasError: `models` or `seeds` is empty or has a duplicate; see also `train_and_evaluate`.
    """
    for name, values in (("models", models), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise FarkerasError(
                f"`{name}` must be a non-empty list without duplicates. Received: {','.join(map(str, values))}."
            )
    # Seed by seed, so that an unfinished comparison covers all models. All data are checked before the first run.
    # One process trains all runs, and TensorFlow connects a process with others only once.
    runs = [replace(config, model=model, seed=seed, cluster="none") for seed in seeds for model in models]
    for run in runs[: len(models)]:
        open_data(run)  # finds missing keypoints, for example
    open_split((), config.to_dict(), "test")
    evaluations: dict[str, list[dict]] = {model: [] for model in models}
    for run in runs:
        keras.backend.clear_session()  # frees the memory of the previous run
        name = run_name(run.model, run.seed)
        train_and_evaluate(run, Path(workdir) / name, listeners(name))
        evaluations[run.model].append(evaluate_model(str(Path(workdir) / name), "test").evaluation)
    backbone = build_backbone(config.backbone, config.image_size, config.backbone_alpha)
    networks = {model: load_model(Path(workdir) / run_name(model, seeds[0]))[0] for model in models}
    times = forward_times(backbone, networks)
    return {
        "majority_accuracy": evaluations[models[0]][0]["majority_accuracy"],
        "device": device_name(),
        "models": {
            model: {
                **{metric: spread([e.get(metric) for e in evaluations[model]]) for metric in METRICS},
                "parameters": trainable_parameters(networks[model]),
                "backbone_parameters": trainable_parameters(backbone),
                "forward_time": times[model],
            }
            for model in models
        },
    }


def run_name(model: str, seed: int) -> str:
    """Returns the name of a run's folder in the folder of the comparison."""
    return f"{model}_seed{seed}"


def spread(values: Sequence[float | None]) -> dict | None:
    """Computes the mean and standard deviation (n - 1) of a metric over seeds; None if a seed has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    std = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"mean": float(np.mean(known)), "std": std, "values": known}


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
