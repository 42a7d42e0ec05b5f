"""What the runners of exported files share: reading crops, batches, checks, and the command that prints a table."""

import argparse
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from farkeras.consistency.answers import Consistency
from farkeras.consistency.arguments import add_consistency, consistency_of
from farkeras.decisions import check_share, decide, thresholds_of
from farkeras.errors import FarkerasError
from farkeras.files import escape_output
from farkeras.photos.reader import Photo, named, read_crop


class FileRecognizer(ABC):
    """Recognises face attributes in aligned crops with an exported file. Threads may share a recognizer.

    A subclass sets the attributes and implements `_run`.

    Attributes:
        attributes: Names of the attributes, in the order of the outputs.
        metadata: Content of the file's `farkeras.json`: groups, preprocessing, training settings, versions.
        input_size: Height and width of the crops in pixels.
        batch_size: Largest number of crops in one call of the model. More crops take several calls.
    """

    attributes: tuple[str, ...]
    metadata: dict
    input_size: tuple[int, ...]
    batch_size: int

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
            rows.append(self._run(list(crops[start : start + self.batch_size])))
        return np.concatenate(rows)

    @property
    def thresholds(self) -> dict[str, float]:
        """Attribute -> probability from which on it is present; 0.5 for an export without calibration."""
        return thresholds_of(self.attributes, self.metadata.get("calibration"))

    def decide(
        self,
        probabilities: Mapping[str, float],
        min_confidence: float = 0.0,
        consistency: Consistency | None = None,
    ) -> dict[str, bool | None]:
        """Decides which attributes of a face are present.

        Args:
            probabilities: The result of a call for one crop.
            min_confidence: The lowest confidence of an answer, 0..1. The confidence is 0.5 at the attribute's
                threshold, so that every answer is given up to 0.5.
            consistency: `farkeras.Consistency(recognizer.attributes)`, to answer without contradictions; by default
                each attribute is decided alone.

        Returns:
            Attribute -> True if its probability reaches its threshold, False if not, None ("unsure") below
            `min_confidence`.

        Raises:
            FarkerasError: `min_confidence` is not in 0..1.
        """
        check_share("min_confidence", min_confidence)
        return decide(probabilities, self.thresholds, min_confidence, consistency)

    @abstractmethod
    def _run(self, crops: list[np.ndarray]) -> np.ndarray:
        """Returns the probabilities `[crops, attributes]` of 1 to `batch_size` crops. Threads call it concurrently."""


def run_command(
    module: str,
    model: str,
    load: Callable[[argparse.Namespace], FileRecognizer],
    define: Callable[[argparse.ArgumentParser], object],
    arguments: Sequence[str] | None,
) -> int:
    """Runs the command of a runner, which prints a table with one column per crop, and returns its exit code.

    Args:
        module: Name of the runner's module.
        model: Help of the first argument, the path of the model.
        load: Loads the model `given.model`.
        define: Defines the runner's own arguments.
        arguments: The arguments; by default those of the process.
    """
    parser = argparse.ArgumentParser(module, description="Face attributes of aligned crops.")
    parser.add_argument("model", help=model)
    parser.add_argument("crops", nargs="+", help="Image files of aligned faces.")
    parser.add_argument(
        "--min_confidence",
        type=float,
        default=0.0,
        help="Confidence, 0 to 1, below which an answer is marked as unsure; by default none is.",
    )
    add_consistency(parser)
    define(parser)
    given = parser.parse_args(arguments)
    escape_output()
    try:
        recognizer = load(given)
        rows = recognizer(given.crops)
        consistency = consistency_of(given, recognizer.attributes)
        decisions = [recognizer.decide(row, given.min_confidence, consistency) for row in rows]
    except FarkerasError as error:
        print(f"error: {str(error).replace('`min_confidence`', '--min_confidence')}", file=sys.stderr)
        return 1
    print(_table([os.path.basename(crop) for crop in given.crops], rows, decisions))
    return 0


def _table(
    names: Sequence[str], rows: Sequence[dict[str, float]], decisions: Sequence[Mapping[str, bool | None]]
) -> str:
    """Returns a table of the probabilities; "*" marks the attributes that are present, "?" unsure answers."""
    first, marks = max(map(len, rows[0])), {True: "*", None: "?", False: " "}
    widths = [max(len(name), 5) for name in names]
    lines = [f"{'':{first}}  " + "  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))]
    for attribute in rows[0]:
        cells = (
            f"{marks[decided[attribute]] + format(row[attribute], '.0%'):>{width}}"
            for row, decided, width in zip(rows, decisions, widths, strict=True)
        )
        lines.append(f"{attribute:{first}}  " + "  ".join(cells))
    return "\n".join(lines)
