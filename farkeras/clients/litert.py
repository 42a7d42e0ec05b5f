"""Runs an exported `.tflite` file in Python, with numpy, Pillow, ai-edge-litert and lazy_loader only.

    python -m farkeras.clients.litert model.tflite crop.jpg ...

prints a table with one column per crop.
"""

import argparse
import json
import os
import sys
import zipfile
from collections.abc import Iterable, Sequence

import numpy as np

from farkeras.errors import FarkerasError
from farkeras.files import as_path, escape_output
from farkeras.photos.reader import Photo, named, read_crop

LABELS_FILE = "labels.txt"
METADATA_FILE = "farkeras.json"


class LiteRTRecognizer:
    """Recognises face attributes in aligned crops with a file that `export/export_tflite.py` wrote.

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
        self._run = interpreter.get_signature_runner()
        self.batch_size, *sides, _ = (int(n) for n in self._run.get_input_details()["images"]["shape"])
        self.input_size = tuple(sides)

    def __call__(self, crops: Photo | Iterable[Photo]) -> list[dict[str, float]]:
        """Recognises the attributes of faces.

        Args:
            crops: One or several faces aligned as in CelebA, of the size that the model takes: paths of JPEG or PNG
                files, open files or their bytes, Pillow images, or `uint8` arrays or tensors `[height, width, 3]`, RGB.
                An image is turned upright by its EXIF orientation.

        Returns:
            For each crop, attribute -> probability in 0..1.

        Raises:
            FarkerasError: A crop cannot be read, or does not have `input_size`.
        """
        names, arrays = [], []
        for name, crop in named(crops):
            arrays.append(read_crop(crop, name))
            names.append(name)
        rows = self.probabilities(arrays, names)
        return [dict(zip(self.attributes, row, strict=True)) for row in rows.tolist()]

    def probabilities(self, crops: Sequence[np.ndarray], names: Sequence[str] = ()) -> np.ndarray:
        """Returns the probabilities of the attributes, `float32 [crops, attributes]` in 0..1.

        Args:
            crops: Aligned crops, each `uint8 [height, width, 3]`, RGB.
            names: Names of the crops for error messages.

        Raises:
            FarkerasError: A crop has another shape or type.
        """
        expected, rows = (*self.input_size, 3), [np.zeros((0, len(self.attributes)), np.float32)]
        for i, crop in enumerate(crops):
            if crop.shape != expected or crop.dtype != np.uint8:
                raise FarkerasError(
                    f"{names[i] if names else 'The crop'} is {crop.dtype} {list(crop.shape)}; the model takes uint8 "
                    f"{list(expected)}, a face aligned as in CelebA. Align photographs first (python -m "
                    "farkeras.align), or export with `input_size` for crops of another size."
                )
        for start in range(0, len(crops), self.batch_size):
            part = list(crops[start : start + self.batch_size])
            filled = np.stack(part + part[:1] * (self.batch_size - len(part)))
            rows.append(self._run(images=filled)["probabilities"][: len(part)])
        return np.concatenate(rows)


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
    parser = argparse.ArgumentParser("farkeras.clients.litert", description="Face attributes of aligned crops.")
    parser.add_argument("model", help="A .tflite file that export/export_tflite.py wrote.")
    parser.add_argument("crops", nargs="+", help="Image files of aligned faces.")
    parser.add_argument("--threads", type=int, help="Number of CPU threads; by default LiteRT's choice.")
    given = parser.parse_args(arguments)
    escape_output()
    try:
        recognizer = LiteRTRecognizer(given.model, given.threads)
        rows = recognizer(given.crops)
    except FarkerasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(_table([os.path.basename(crop) for crop in given.crops], rows))
    return 0


def _table(names: Sequence[str], rows: Sequence[dict[str, float]]) -> str:
    first = max(map(len, rows[0]))
    widths = [max(len(name), 4) for name in names]
    lines = [f"{'':{first}}  " + "  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))]
    for attribute in rows[0]:
        cells = (f"{row[attribute]:>{width}.0%}" for row, width in zip(rows, widths, strict=True))
        lines.append(f"{attribute:{first}}  " + "  ".join(cells))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
