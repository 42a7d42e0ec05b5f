"""How fast and how large the exports of a run are: every runtime takes the same images, in turns."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from farkeras.errors import FarkerasError
from farkeras.exporters import tflite
from farkeras.exporters.reference import ParityImages, keras_reference
from farkeras.exporters.tflite_metadata import with_metadata
from farkeras.files import as_path
from farkeras.models.base import FaceAttributeModel
from farkeras.models.baselines import SharedTrunk
from farkeras.models.model_file import MODEL_FILE, ModelMetadata, load_model

TURN = 8  # images that a runtime takes before the next one has its turn
BARE_BACKBONE = "bare backbone"


@dataclass
class Measured:
    """A runtime with a model, and what was measured.

    Attributes:
        runtime: A key of `benchmark_worker.LOADERS`.
        variant: Precision, or empty.
        path: The model.
        threads: Threads of the processor.
        size: Size of the model's file or files in bytes.
        seconds: Duration of each call with one image.
        difference: Largest difference of a probability from the Keras model's; None for another model.
        memory: Peak memory of its process, with Python and the libraries, in bytes.
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
        """The rate, one image at a time."""
        return len(self.seconds) / sum(self.seconds)


def measure_exports(
    workdir: str | os.PathLike,
    export_dir: str | os.PathLike,
    images: ParityImages,
    threads: Sequence[int] = (1, 2),
    rounds: int = 4,
    bare_backbone: bool = False,
) -> list[Measured]:
    """Measures the Keras model and all exports of it.

    Each runtime is a process of its own and takes one image at a time, an aligned crop as pixels in memory; the times
    include the preprocessing in the model. Runtimes take turns, so that a busy moment of the machine affects them all.

    Args:
        workdir: Workdir of a training run, or its `.keras` file.
        export_dir: Folder with `saved_model/<version>`, `tflite/<precision>` and `onnx`, or some of them.
        images: The images to use.
        threads: Numbers of threads; each runtime is measured with each of them.
        rounds: How often every runtime takes every image.
        bare_backbone: Also measure, as `BARE_BACKBONE`, a float32 TFLite file of the backbone with pooling and one
            linear layer; the model's time above its time is the price of the model's own parts.

    Raises:
        FarkerasError: There is no model, no export or no data, or a runtime does not run.
    """
    found = find_exports(export_dir)
    if not found:
        raise FarkerasError(f"Nothing is exported under {export_dir}; run export/export_tflite.py or another first.")
    path = as_path(workdir)
    path = path / MODEL_FILE if path.is_dir() else path
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
    """Runs every crop (`uint8 [height, width, 3]`) `rounds` times in every row's runtime, and writes what is measured
    into the rows; the Keras model's probabilities, `float32 [crops, attributes]`, are `expected`.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(row)) for row in rows]
        for _ in range(rounds):
            for start in range(0, len(crops), TURN):
                for row, ask in zip(rows, workers, strict=True):
                    seconds, probabilities = ask(crops[start : start + TURN])
                    row.seconds += seconds
                    if row.variant != BARE_BACKBONE:
                        differences = np.abs(probabilities - expected[start : start + TURN])
                        row.difference = max(row.difference or 0.0, float(differences.max()))
        for row, ask in zip(rows, workers, strict=True):
            row.memory = ask(None)


def find_exports(export_dir: str | os.PathLike) -> list[tuple[str, str, Path]]:
    """Runtime, variant and path of each export in a folder; for SavedModels only the newest version."""
    folder, found = as_path(export_dir), []
    if versions := [int(path.name) for path in folder.glob("saved_model/*") if path.name.isdecimal()]:
        found.append(("SavedModel", "", folder / "saved_model" / str(max(versions))))
    for precision in tflite.PRECISIONS:
        if (path := folder / "tflite" / precision / tflite.MODEL_FILE).is_file():
            found.append(("LiteRT", precision, path))
    found += [("ONNX Runtime", "", path) for path in sorted(folder.glob("onnx/*.onnx"))]
    return found


def bare_backbone_file(model: FaceAttributeModel, metadata: ModelMetadata, input_size: tuple[int, int]) -> bytes:
    """A model's backbone with pooling and one linear layer for all attributes as a float32 TFLite file."""
    config, names = model.get_config(), ("attributes", "backbone", "image_size", "backbone_alpha")
    bare = SharedTrunk.from_config({name: config[name] for name in names})
    with tempfile.TemporaryDirectory() as folder:
        tflite.write_graph(bare, metadata.preprocessing, (1, *input_size), folder)
        converted = tflite.convert(folder, "float32")
    return with_metadata(converted, bare.name, metadata.to_dict())


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@contextmanager
def _worker(row: Measured) -> Iterator[Callable[[Sequence[np.ndarray] | None], Any]]:
    """The process of a runtime, as a function that asks it."""
    command = [sys.executable, "-m", "farkeras.exporters.benchmark_worker"]
    command += [row.runtime, str(row.path), str(row.threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    requests, answers, errors = (cast(IO[bytes], pipe) for pipe in (process.stdin, process.stdout, process.stderr))

    def ask(crops: Sequence[np.ndarray] | None) -> Any:
        try:
            pickle.dump(crops, requests)
            requests.flush()
            return pickle.load(answers)
        except (EOFError, OSError):
            last = errors.read().decode(errors="replace").strip().splitlines()
            raise FarkerasError(f"{row.name} does not run {row.path}: {last[-1] if last else 'it died'}") from None

    try:
        yield ask
    finally:
        process.kill()
        process.communicate()
