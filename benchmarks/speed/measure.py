"""Measures the rows, in groups whose sides share processes."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speed.imports import BARE_IMPORTS, IMPORT, PREDICTION, STEP, alternate
from speed.ratios import AT_LEAST, AT_MOST, RATIOS, Ratio, median_with_interval
from speed.rows import SPEEDS, TIMES, Beside, Found, find_rows
from speed.runtimes import forms
from speed.sides import Measured, Side, alone, take_turns

BATCH = 16
IMAGE_SIZE = (224, 192)
BARE = "bare backbone"


@dataclass(frozen=True)
class Options:
    """What a measurement needs.

    Attributes:
        rounds: Number of turns of each side.
        faces: Folder of procedural faces in CelebA's layout.
        allowed: Forms of an export that lose little accuracy, or None if that was not measured. See `speed.accuracy`.
        accuracy_note: A sentence about that measurement.
        changes: Settings that replace those of the flagfiles of the Keras models, to try a measurement in small.
    """

    rounds: int
    faces: Path
    allowed: Collection[str] | None = None
    accuracy_note: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


def found(key: str, ours: np.ndarray, theirs: np.ndarray, *beside: Beside, note: str = "") -> Found:
    """Compares the paired times, or memory, of a row's two sides."""
    (row,) = find_rows([key])
    return Found(row, RATIOS[row.direction](ours, theirs), beside, note)


def figure(name: str, ratio: Ratio, unit: str) -> Beside:
    """Returns a figure that is stated beside a row, with its interval."""
    return Beside(name, ratio.value, unit, (ratio.low, ratio.high))


def speed_of(name: str, side: Measured, images: int) -> Beside:
    """Returns a side's images per second."""
    return figure(name, median_with_interval(images / side.times), "images/s")


def _keras(options: Options, name: str, function: str, **arguments: Any) -> Side:
    return Side(name, f"speed.keras_models:{function}", {**arguments, **options.changes})


def _model_and_backbone(options: Options, function: str, flagfile: str, batch: int) -> list[Measured]:
    """Measures a model and its bare backbone, in this order."""
    common = {"flagfile": flagfile, "batch_size": batch}
    sides = [_keras(options, name, function, bare=name == BARE, **common) for name in ("the model", BARE)]
    return list(take_turns(sides, options.rounds).values())


def far_amtn_forward(options: Options) -> Iterator[Found]:
    ours, bare = _model_and_backbone(options, "forward", "celeba", BATCH)
    speeds = [speed_of("FAR-AMTN", ours, BATCH), speed_of(BARE, bare, BATCH)]
    yield found("far_amtn_forward", ours.times, bare.times, *speeds)


def far_amtn_train(options: Options) -> Iterator[Found]:
    ours, bare = _model_and_backbone(options, "train_step", "celeba", BATCH)
    speeds = [speed_of("FAR-AMTN", ours, BATCH), speed_of(BARE, bare, BATCH)]
    yield found("far_amtn_train", ours.times, bare.times, *speeds)
    memory = [
        figure(name, median_with_interval(np.array(side.memory) / 2**20), "MiB")
        for name, side in (("FAR-AMTN", ours), (BARE, bare))
    ]
    yield found("far_amtn_memory", np.array(ours.memory), np.array(bare.memory), *memory)


def groups_forward(options: Options) -> Iterator[Found]:
    common = {"flagfile": "celeba", "bare": False, "batch_size": 8}
    sides = [
        _keras(options, "40", "forward", groups=40, **common),
        _keras(options, "1", "forward", groups=1, **common),
        _keras(options, "private", "forward", groups=40, private=True, **common),
    ]
    seconds = {name: side.times for name, side in take_turns(sides, options.rounds).items()}
    private = figure("40 private blocks against one group", RATIOS[AT_MOST](seconds["private"], seconds["1"]), TIMES)
    yield found("groups_forward", seconds["40"], seconds["1"], private)


def mgmtn_forward(options: Options) -> Iterator[Found]:
    yield _mgmtn(options, "mgmtn_forward", "forward", 8)


def mgmtn_train(options: Options) -> Iterator[Found]:
    yield _mgmtn(options, "mgmtn_train", "train_step", 8)


def _mgmtn(options: Options, key: str, function: str, batch: int) -> Found:
    ours, bare = _model_and_backbone(options, function, "celeba_mgmtn", batch)
    return found(key, ours.times, bare.times, speed_of("MGMTN", ours, batch), speed_of(BARE, bare, batch))


def inference(options: Options) -> Iterator[Found]:
    """All rows of inference. The two batch sizes are measured apart, all forms of a size in turns."""
    with tempfile.TemporaryDirectory() as folder:
        files = alone("export", "speed.runtimes:write_inference_files", folder=folder)
        for batch, calls in ((1, 8), (32, 1)):
            yield from _inference(options, files, batch, calls)


def _inference(options: Options, files: Mapping[str, Any], batch: int, calls: int) -> Iterator[Found]:
    shape = {"batch_size": batch, "image_size": files["image_size"]}

    def openvino(name: str, file: str, precision: str) -> Side:
        arguments = {"path": files[file], "precision": precision, **shape}
        return Side(name, "speed.runtimes:openvino", arguments, calls)

    theirs = [
        Side(f"PyTorch {precision}", "speed.pytorch:inference", {"precision": precision, **shape}, calls)
        for precision in ("float32", "bfloat16")
    ]
    ours = [
        *(openvino(name, *form) for name, form in forms().items()),
        Side("ONNX Runtime float32", "speed.runtimes:onnx", {"path": files["onnx"], **shape}, calls),
    ]
    if batch == 1:
        ours.append(Side("LiteRT float32", "speed.runtimes:litert", {"path": files["tflite"]}, calls))
    sides = take_turns([*theirs, *ours], options.rounds)
    speeds = [speed_of(name, side, batch) for name, side in sides.items()]

    def fastest(names: Collection[str]) -> str:
        return min(names, key=lambda name: float(np.median(sides[name].times)))

    floats = [side.name for side in ours if "int8" not in side.name and side.name.endswith("float32")]
    best, torch32 = sides[fastest(floats)].times, sides["PyTorch float32"].times
    yield found(f"infer_float32_b{batch}", best, torch32, *speeds, note=f"The best runtime: {fastest(floats)}.")
    allowed = [side.name for side in ours if side.name in (options.allowed or ())]
    best, torch = fastest([*floats, *allowed]), fastest([side.name for side in theirs])
    int8 = fastest([side.name for side in ours if "int8" in side.name])
    ratio = RATIOS[AT_LEAST](sides[int8].times, sides[torch].times)
    yield found(
        f"infer_best_b{batch}",
        sides[best].times,
        sides[torch].times,
        figure(f"{int8} against {torch}", ratio, SPEEDS),
        note=f"{best} against {torch}. {options.accuracy_note}".strip(),
    )


def train_float32(options: Options) -> Iterator[Found]:
    yield _training(options, "train_float32", "float32")


def train_bfloat16(options: Options) -> Iterator[Found]:
    yield _training(options, "train_bfloat16", "bfloat16")


def _training(options: Options, key: str, precision: str) -> Found:
    common = {"batch_size": BATCH, "precision": precision}
    sides = [
        _keras(options, "FAR-AMTN", "train_step", flagfile="celeba", bare=False, **common),
        _keras(options, BARE, "train_step", flagfile="celeba", bare=True, **common),
        Side("PyTorch", "speed.pytorch:training", {"image_size": IMAGE_SIZE, **common}),
    ]
    measured = take_turns(sides, options.rounds)
    speeds = [speed_of(name, side, BATCH) for name, side in measured.items()]
    return found(key, measured["FAR-AMTN"].times, measured["PyTorch"].times, *speeds)


def train_loop(options: Options) -> Iterator[Found]:
    seconds = alone("train_loop", "speed.loop:train_loop", data_dir=str(options.faces), rounds=options.rounds)
    yield found("train_loop", np.array(seconds["loop"]), np.array(seconds["bare"]))


def pipeline_demo(options: Options) -> Iterator[Found]:
    yield _pipeline(options, "pipeline_demo", "demo", 2048)


def pipeline_celeba(options: Options) -> Iterator[Found]:
    yield _pipeline(options, "pipeline_celeba", "celeba", 512)


def _pipeline(options: Options, key: str, flagfile: str, images: int) -> Found:
    arguments = {"flagfile": flagfile, "data_dir": str(options.faces), "rounds": options.rounds, "num_images": images}
    seconds = {name: np.array(values) for name, values in alone(key, "speed.pipeline:measure", **arguments).items()}
    speeds = [
        figure(name, median_with_interval(1 / seconds[side]), "images/s")
        for name, side in (("whole pipeline", "whole"), ("reading and decoding", "bare"))
    ]
    return found(key, seconds["whole"], seconds["bare"], *speeds)


def mobile_int8(options: Options) -> Iterator[Found]:
    with tempfile.TemporaryDirectory() as folder:
        files = alone("export", "speed.runtimes:write_mobile_files", folder=folder)
        sides = [
            Side(name, "speed.runtimes:litert", {"path": files[name], "threads": 1}, 50)
            for name in ("int8", "float32", "bare")
        ]
        measured = take_turns(sides, options.rounds)
    times = [figure(f"LiteRT {name}", median_with_interval(1e3 * side.times), "ms") for name, side in measured.items()]
    yield found("mobile_int8", measured["int8"].times, measured["bare"].times, *times, note=options.accuracy_note)


def import_seconds(options: Options) -> Iterator[Found]:
    (row,) = find_rows(["import_seconds"])
    own = alternate({"import": IMPORT}, options.rounds)["import"]
    with tempfile.TemporaryDirectory() as folder:
        path, _ = alone("model", "speed.runtimes:untrained_model", flagfile="demo", folder=folder)
        prediction = PREDICTION.replace("PATH", repr(path))
        codes = {BARE_IMPORTS: BARE_IMPORTS, "first prediction, demo.flags": prediction, "first step, demo.flags": STEP}
        fresh = alternate(codes, max(1, options.rounds // 4))
    beside = [figure(name, median_with_interval(values), "s") for name, values in fresh.items()]
    yield Found(row, median_with_interval(own), tuple(beside))


Group = Callable[[Options], Iterator[Found]]
GROUPS: tuple[tuple[tuple[str, ...], Group], ...] = (
    (("far_amtn_forward",), far_amtn_forward),
    (("far_amtn_train", "far_amtn_memory"), far_amtn_train),
    (("groups_forward",), groups_forward),
    (("mgmtn_forward",), mgmtn_forward),
    (("mgmtn_train",), mgmtn_train),
    (("infer_float32_b1", "infer_float32_b32", "infer_best_b1", "infer_best_b32"), inference),
    (("train_float32",), train_float32),
    (("train_bfloat16",), train_bfloat16),
    (("train_loop",), train_loop),
    (("pipeline_demo",), pipeline_demo),
    (("pipeline_celeba",), pipeline_celeba),
    (("mobile_int8",), mobile_int8),
    (("import_seconds",), import_seconds),
)
"""The rows that are measured together, with the function that measures them."""

ON_A_GPU = ("gpu_train",)
"""The rows that this machine cannot measure; `benchmarks/gpu.py` does."""


def groups_for(keys: Collection[str]) -> list[tuple[tuple[str, ...], Group]]:
    """Returns the entries of `GROUPS` that measure these rows."""
    return [(covered, group) for covered, group in GROUPS if set(covered) & set(keys)]
