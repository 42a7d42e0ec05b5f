"""An exported `.tflite` on a phone's or board's Python: needs numpy, Pillow, ai-edge-litert and lazy_loader only.

    python -m farkeras.clients.litert model.tflite crop.jpg ...

prints a table with a column for each crop.
"""

import argparse
import json
import os
import sys
import zipfile
from collections.abc import Iterable, Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from farkeras.errors import FarkerasError
from farkeras.files import as_path, escape_output
from farkeras.photos.reader import Photo, named, read_crop

LABELS_FILE = "labels.txt"
METADATA_FILE = "farkeras.json"


class LiteRTRecognizer:
    """Recognises face attributes in aligned crops with a file that `export/export_tflite.py` wrote.

    Args:
        path: The `.tflite` file. The names of its attributes lie in it, as TFLite's tools pack them.
        num_threads: CPU threads; by default LiteRT's choice.

    Attributes:
        attributes: The names, in the order of all results.
        metadata: What else the file says of itself: groups, preprocessing, training settings, versions.
        input_size: Height and width of the crops in pixels.
        batch_size: Crops that the file takes in one call (`export_tflite.py --batch_size`); the last are filled up.

    Raises:
        FarkerasError: No such file, or not one of `export/export_tflite.py`.

    Example:

    >>> LiteRTRecognizer("model.tflite")(["crop.jpg"])[0]["Smiling"]  # doctest: +SKIP
    0.93
    """

    def __init__(self, path: str | os.PathLike, num_threads: int | None = None):
        path = as_path(path)
        self.attributes, self.metadata = read_labels(path)
        interpreter = Interpreter(model_path=os.fspath(path), num_threads=num_threads)
        # By name: TFLite may order inputs and outputs as it likes.
        self._run = interpreter.get_signature_runner()
        self.batch_size, *sides, _ = (int(n) for n in self._run.get_input_details()["images"]["shape"])
        self.input_size = tuple(sides)

    def __call__(self, crops: Photo | Iterable[Photo]) -> list[dict[str, float]]:
        """Attribute -> probability in 0..1 for each crop.

        Args:
            crops: One or several faces aligned as CelebA's, of the size that the model takes: paths of JPEG or PNG
                files, open files or their bytes, Pillow images, or `uint8` arrays or tensors `[height, width, 3]`, RGB.
                An image is turned upright by its EXIF orientation.

        Raises:
            FarkerasError: A crop cannot be read or has another size.
        """
        names, arrays = [], []
        for name, crop in named(crops):
            arrays.append(read_crop(crop, name))
            names.append(name)
        rows = self.probabilities(arrays, names)
        return [dict(zip(self.attributes, row, strict=True)) for row in rows.tolist()]

    def probabilities(self, crops: Sequence[np.ndarray], names: Sequence[str] = ()) -> np.ndarray:
        """`uint8 [height, width, 3]`, RGB, each -> `float32 [crops, attributes]` in 0..1; `names` are for the error."""
        expected, rows = (*self.input_size, 3), [np.zeros((0, len(self.attributes)), np.float32)]
        for i, crop in enumerate(crops):
            if crop.shape != expected or crop.dtype != np.uint8:
                raise FarkerasError(
                    f"{names[i] if names else 'The crop'} is {crop.dtype} {list(crop.shape)}; the model takes uint8 "
                    f"{list(expected)}, a face aligned as CelebA's. Align photographs first (python -m farkeras.align) "
                    "or export with `input_size` for crops of another size."
                )
        for start in range(0, len(crops), self.batch_size):
            part = list(crops[start : start + self.batch_size])
            filled = np.stack(part + part[:1] * (self.batch_size - len(part)))
            rows.append(self._run(images=filled)["probabilities"][: len(part)])
        return np.concatenate(rows)


def read_labels(path: str | os.PathLike) -> tuple[tuple[str, ...], dict]:
    """The attributes and the metadata in an exported file, without the model.

    Raises:
        FarkerasError: No such file, or nothing of the kind in it.
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
            f"{path} has no attribute names in it; expected a file that export/export_tflite.py wrote."
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser("farkeras.clients.litert", description="Face attributes of CelebA-aligned crops.")
    parser.add_argument("model", help="A .tflite file of export/export_tflite.py.")
    parser.add_argument("crops", nargs="+", help="Image files of aligned faces.")
    parser.add_argument("--threads", type=int, help="CPU threads; by default LiteRT's choice.")
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
