"""Measures the speed, size and memory of a run's exports. All runtimes process the same images, in turns."""

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

from farkeras.clients.openvino import has_bfloat16
from farkeras.errors import FarkerasError
from farkeras.exporters import openvino, tflite
from farkeras.exporters.crop_graph import write_graph
from farkeras.exporters.reference import ParityImages, keras_reference
from farkeras.exporters.tflite_metadata import with_metadata
from farkeras.files import as_path
from farkeras.models.base import FaceAttributeModel
from farkeras.models.baselines import SharedTrunk
from farkeras.models.model_file import MODEL_FILE, ModelMetadata, load_model

TURN = 8  # images that a runtime processes before the next runtime has its turn
BARE_BACKBONE = "bare backbone"


@dataclass
class Measured:
    """A runtime with a model, and its measurements.

    Attributes:
        runtime: A key of `benchmark_worker.LOADERS`.
        variant: Precision of the export, `BARE_BACKBONE`, or empty.
        path: Path of the model.
        threads: Number of processor threads.
        size: Total size of the model's files in bytes.
        seconds: Duration of each call in seconds; each call processes one image.
        difference: Largest absolute difference of a probability from the Keras model's; None for the bare backbone.
        memory: Peak memory of the runtime's process in bytes, including Python and the libraries.
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
        """Runtime and variant, such as "LiteRT int8"."""
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
        """Images per second, one image at a time."""
        return len(self.seconds) / sum(self.seconds)


def measure_exports(
    workdir: str | os.PathLike,
    export_dir: str | os.PathLike,
    images: ParityImages,
    threads: Sequence[int] = (1, 2),
    rounds: int = 4,
    bare_backbone: bool = False,
) -> list[Measured]:
    """Measures a Keras model and all its exports.

    Each runtime has its own process and takes one image at a time: an aligned crop, as pixels in memory. The times
    include the preprocessing inside the model. The runtimes take turns, so that other load on the machine affects all
    of them.

    Args:
        workdir: Workdir of a training run, or its `.keras` file.
        export_dir: Folder with at least one of `saved_model/<version>`, `tflite/<precision>`, `onnx` and
            `openvino/<precision>`.
        images: The images to measure with.
        threads: Numbers of processor threads; each runtime is measured with each number.
        rounds: Number of times that each runtime processes each image.
        bare_backbone: Whether to measure also, as `BARE_BACKBONE`, a float32 TFLite file of the backbone with pooling
            and one linear layer. The model's time minus this time is the cost of the model's own parts.

    Returns:
        One `Measured` for each model and number of threads.

    Raises:
        FarkerasError: There is no model, no export or no data, or a runtime cannot run its model.
    """
    found = find_exports(export_dir)
    if not found:
        raise FarkerasError(
            f"{export_dir} holds no exports. Run export/export_tflite.py or another export command first."
        )
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
    """Runs all crops in every runtime, in turns, and stores the measurements in `rows`.

    Args:
        rows: The runtimes; changed in place.
        crops: Aligned crops, `uint8 [height, width, 3]`.
        rounds: Number of times that each runtime processes each crop.
        expected: Probabilities of the Keras model, `float32 [crops, attributes]`.
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
    """Lists runtime, variant and path of each export in a folder; of the SavedModels only the newest version.

    OpenVINO's float32 file is listed a second time for the runtime that computes it in bfloat16, if the processor can.
    """
    folder, found = as_path(export_dir), []
    if versions := [int(path.name) for path in folder.glob("saved_model/*") if path.name.isdecimal()]:
        found.append(("SavedModel", "", folder / "saved_model" / str(max(versions))))
    for precision in tflite.PRECISIONS:
        if (path := folder / "tflite" / precision / tflite.MODEL_FILE).is_file():
            found.append(("LiteRT", precision, path))
    found += [("ONNX Runtime", "", path) for path in sorted(folder.glob("onnx/*.onnx"))]
    for precision in openvino.PRECISIONS:
        if (path := folder / "openvino" / precision / openvino.MODEL_FILE).is_file():
            found.append(("OpenVINO", precision, path))
            if precision == "float32" and has_bfloat16():
                found.append(("OpenVINO bfloat16", "", path))
    return found


def bare_backbone_file(model: FaceAttributeModel, metadata: ModelMetadata, input_size: tuple[int, int]) -> bytes:
    """Makes a float32 TFLite file of a model's backbone with pooling and one linear layer for all attributes."""
    config, names = model.get_config(), ("attributes", "backbone", "image_size", "backbone_alpha")
    bare = SharedTrunk.from_config({name: config[name] for name in names})
    with tempfile.TemporaryDirectory() as folder:
        write_graph(bare, metadata.preprocessing, (1, *input_size), folder)
        converted = tflite.convert(folder, "float32")
    return with_metadata(converted, bare.name, metadata.to_dict())


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path, path.with_suffix(".bin")]  # OpenVINO's weights
    return sum(file.stat().st_size for file in files if file.is_file())


@contextmanager
def _worker(row: Measured) -> Iterator[Callable[[Sequence[np.ndarray] | None], Any]]:
    """Starts the process of a runtime and gives a function that sends it crops and returns its answer."""
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
            reason = last[-1] if last else "its process ended without a message"
            raise FarkerasError(f"{row.name} cannot run {row.path}: {reason}") from None

    try:
        yield ask
    finally:
        process.kill()
        process.communicate()
