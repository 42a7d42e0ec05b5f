"""How fast and how large the exports of a run are: the same images through every runtime, in turns."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from farkeras.errors import FarkerasError
from farkeras.exporters import tflite
from farkeras.exporters.reference import ParityImages, keras_reference
from farkeras.models.baselines import SharedTrunk
from farkeras.models.model_file import MODEL_FILE, load_model

TURN = 8  # images that a runtime takes before the next one has its turn
BARE_BACKBONE = "bare backbone"


@dataclass
class Measured:
    """A runtime with a model, and what was found.

    Attributes:
        runtime: A key of `benchmark_worker.LOADERS`.
        variant: Precision, or empty.
        path: The model.
        threads: Of the processor.
        size: Of the model's file or files in bytes.
        seconds: Of each call with one image.
        difference: Largest difference of a probability from the Keras model's; None for another model.
        memory: The most that its process, Python and libraries included, has held, in bytes.
    """

    runtime: str
    variant: str
    path: Path
    threads: int
    size: int
    seconds: list[float] = field(default_factory=list)
    difference: float | None = None
    memory: int = 0

    @property
    def name(self) -> str:
        """Runtime and variant."""
        return f"{self.runtime} {self.variant}".strip()

    @property
    def p50(self) -> float:
        """Median of `seconds`."""
        return float(np.median(self.seconds))

    @property
    def p99(self) -> float:
        """99th percentile of `seconds`."""
        return float(np.quantile(self.seconds, 0.99))

    @property
    def images_per_second(self) -> float:
        """One image at a time."""
        return len(self.seconds) / sum(self.seconds)


def benchmark(
    workdir: str | os.PathLike,
    export_dir: str | os.PathLike,
    images: ParityImages,
    threads: Sequence[int] = (1, 2),
    rounds: int = 4,
    bare_backbone: bool = False,
) -> list[Measured]:
    """Measures the Keras model and whatever is exported.

    Each runtime is a process of its own and takes one image at a time, an aligned crop as pixels in memory; what is
    timed includes the preprocessing in the model. Runtimes take turns, so that a busy moment of the machine falls on
    all of them.

    Args:
        workdir: Workdir of a training run, or its `.keras` file.
        export_dir: With `saved_model/<version>`, `tflite/<precision>` and `onnx`, as far as they are there.
        images: Which to use.
        threads: Each runtime is measured with each of these.
        rounds: Times that every image is shown to every runtime.
        bare_backbone: Also measure, as `BARE_BACKBONE`, a float32 TFLite file of the backbone with pooling and one
            linear layer; the model's time above its time is the price of the model's own parts.

    Raises:
        FarkerasError: No model, nothing exported, no data, or a runtime that does not run.
    """
    found = find_exports(export_dir)
    if not found:
        raise FarkerasError(f"Nothing is exported under {export_dir}; run export/export_tflite.py or another first.")
    path = Path(workdir) / MODEL_FILE if Path(workdir).is_dir() else Path(workdir)
    model, metadata = load_model(path)
    reference = keras_reference(model, metadata, images)
    crops = [crop for faces in reference.batches() for crop in faces.crops]
    with ExitStack() as stack:
        found = [("Keras", "", path), *found]
        if bare_backbone:
            bare = Path(stack.enter_context(tempfile.TemporaryDirectory())) / tflite.MODEL_FILE
            bare.write_bytes(bare_backbone_file(model, metadata, crops[0].shape[:2]))
            found.append(("LiteRT", BARE_BACKBONE, bare))
        rows = [Measured(*model, number, _size(model[2])) for model in found for number in threads]
        take_turns(rows, crops, rounds, reference.probabilities)
    return rows


def take_turns(rows: Sequence[Measured], crops: Sequence[np.ndarray], rounds: int, expected: np.ndarray) -> None:
    """Runs every crop `rounds` times in every row's runtime and notes what is found; `expected` of the Keras model."""
    with ExitStack() as stack:
        workers = [stack.enter_context(_Worker(row)) for row in rows]
        for _ in range(rounds):
            for start in range(0, len(crops), TURN):
                for row, worker in zip(rows, workers, strict=True):
                    seconds, probabilities = worker.ask(crops[start : start + TURN])
                    row.seconds += seconds
                    if row.variant != BARE_BACKBONE:
                        differences = np.abs(probabilities - expected[start : start + TURN])
                        row.difference = max(row.difference or 0.0, float(differences.max()))
        for row, worker in zip(rows, workers, strict=True):
            row.memory = worker.ask(None)


def find_exports(export_dir: str | os.PathLike) -> list[tuple[str, str, Path]]:
    """Runtime, variant and path of what lies in a folder of exports; of SavedModels the newest version."""
    folder, found = Path(export_dir), []
    if versions := [int(path.name) for path in folder.glob("saved_model/*") if path.name.isdecimal()]:
        found.append(("SavedModel", "", folder / "saved_model" / str(max(versions))))
    for precision in tflite.PRECISIONS:
        if (path := folder / "tflite" / precision / tflite.MODEL_FILE).is_file():
            found.append(("LiteRT", precision, path))
    found += [("ONNX Runtime", "", path) for path in sorted(folder.glob("onnx/*.onnx"))]
    return found


def bare_backbone_file(model: keras.Model, metadata, input_size: tuple[int, int]) -> bytes:
    """A model's backbone with pooling and one linear layer for all attributes as a float32 TFLite file."""
    config = model.get_config()
    bare = SharedTrunk.from_config(
        {name: config[name] for name in ("attributes", "backbone", "image_size", "backbone_alpha")}
    )
    with tempfile.TemporaryDirectory() as folder:
        tflite.write_graph(bare, metadata.preprocessing, input_size, folder)
        converted = tflite.convert(folder, "float32")
    return tflite.with_metadata(converted, bare.name, metadata.to_dict())


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


class _Worker:
    """The process of a runtime."""

    def __init__(self, row: Measured):
        self._row = row
        command = [sys.executable, "-m", "farkeras.exporters.benchmark_worker"]
        self._process = subprocess.Popen(
            [*command, row.runtime, str(row.path), str(row.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def ask(self, crops):
        """What `benchmark_worker.serve` answers."""
        try:
            pickle.dump(crops, self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)
        except (EOFError, OSError):
            last = self._process.stderr.read().decode(errors="replace").strip().splitlines()
            raise FarkerasError(
                f"{self._row.name} does not run {self._row.path}: {last[-1] if last else 'it died'}"
            ) from None
