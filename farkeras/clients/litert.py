"""Runs an exported `.tflite` file in Python, with numpy, Pillow, ai-edge-litert and lazy_loader only.

    python -m farkeras.clients.litert model.tflite crop.jpg ...

prints a table with one column per crop.
"""

import argparse
import json
import os
import sys
import threading
import zipfile
from collections.abc import Sequence

import numpy as np

from farkeras.clients.file_recognizer import FileRecognizer, run_command
from farkeras.errors import FarkerasError
from farkeras.files import as_path

LABELS_FILE = "labels.txt"
METADATA_FILE = "farkeras.json"


class LiteRTRecognizer(FileRecognizer):
    """Recognises face attributes in aligned crops with a file that `export/export_tflite.py` wrote.

    Threads may share a recognizer; their calls take turns.

    Args:
        path: The `.tflite` file. It contains the names of its attributes.
        num_threads: Number of CPU threads; by default LiteRT's choice.

    Attributes:
        attributes: Names of the attributes, in the order of the outputs.
        metadata: Content of the file's `farkeras.json`: groups, preprocessing, training settings, versions.
        input_size: Height and width of the crops in pixels.
        batch_size: Number of crops that the file takes in one call (`export_tflite.py --batch_size`). A smaller last
            batch is padded.

    Raises:
        FarkerasError: The file does not exist, or `export/export_tflite.py` did not write it.

    Examples:
        >>> LiteRTRecognizer("model.tflite")(["crop.jpg"])[0]["Smiling"]  # doctest: +SKIP
        0.93
    """

    def __init__(self, path: str | os.PathLike, num_threads: int | None = None):
        path = as_path(path)
        self.attributes, self.metadata = read_labels(path)
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError as error:
            raise FarkerasError(f"Running a .tflite file needs {error.name}: pip install 'farkeras[litert]'") from None
        interpreter = Interpreter(model_path=os.fspath(path), num_threads=num_threads)
        # TFLite may reorder inputs and outputs, so they are addressed by name.
        self._signature = interpreter.get_signature_runner()
        self._one_at_a_time = threading.Lock()  # an interpreter has one set of tensors
        self.batch_size, *sides, _ = (int(n) for n in self._signature.get_input_details()["images"]["shape"])
        self.input_size = tuple(sides)

    def _run(self, crops: list[np.ndarray]) -> np.ndarray:
        filled = np.stack(crops + crops[:1] * (self.batch_size - len(crops)))
        with self._one_at_a_time:
            return self._signature(images=filled)["probabilities"][: len(crops)]


def read_labels(path: str | os.PathLike) -> tuple[tuple[str, ...], dict]:
    """Reads the attributes and the metadata in an exported file, without loading the model.

    Raises:
        FarkerasError: The file does not exist, or contains no attribute names.
    """
    path = as_path(path)
    try:
        with zipfile.ZipFile(path) as packed:  # the zip that TFLite's metadata tools append to the model
            attributes = packed.read(LABELS_FILE).decode().splitlines()
            return tuple(attributes), json.loads(packed.read(METADATA_FILE))
    except OSError as error:
        raise FarkerasError(f"Cannot read {path}: {error.strerror}. Expected a .tflite file.") from None
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise FarkerasError(
            f"{path} contains no attribute names; expected a file that export/export_tflite.py wrote."
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""

    def define(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--threads", type=int, help="Number of CPU threads; by default LiteRT's choice.")

    def load(given: argparse.Namespace) -> LiteRTRecognizer:
        return LiteRTRecognizer(given.model, given.threads)

    model = "A .tflite file that export/export_tflite.py wrote."
    return run_command("farkeras.clients.litert", model, load, define, arguments)


if __name__ == "__main__":
    sys.exit(main())
