"""One call for every export of a trained model."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from farkeras.errors import FarkerasError
from farkeras.exporters.artifact import Exported
from farkeras.exporters.reference import ParityImages
from farkeras.files import as_path

FORMATS = ("saved_model", "tflite", "onnx")


def export_run(
    path: str | os.PathLike,
    formats: Sequence[str] = FORMATS,
    output: str | os.PathLike = "",
    images: ParityImages | None = None,
    **options: Any,
) -> list[Exported]:
    """Exports the model of a training run and compares every export with the Keras model on test images.

    Args:
        path: Workdir of a training run, or its `.keras` file.
        formats: `saved_model` for TF Serving, `tflite` for LiteRT in four precisions, `onnx` for ONNX Runtime.
        output: Folder to write, for one format; by default `export/<format>` beside the model.
        images: What to compare on, by default 512 images of the test split trained on;
            `ParityImages(0)` leaves the comparison out.
        **options: Arguments of the format's own function, such as `precisions` or `input_size`, for one format:
            `farkeras.exporters.saved_model.write_saved_model`, `.tflite.write_tflite`, `.onnx.write_onnx`.

    Returns:
        Every export with its folder and the report of its comparison, also written there as `parity.json`.

    Raises:
        FarkerasError: No model there, an unknown format, a folder that exists already, no data to compare on, or a
            package that the format needs is missing.
        ParityError: An export differs from the Keras model by more than its limits. It is kept in a folder that ends
            in `.rejected`; those before it stay.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise FarkerasError(f"Unknown format '{unknown[0]}'. Known: {', '.join(FORMATS)}.")
    if len(formats) != 1 and (output or options):
        raise FarkerasError(f"An output folder and {', '.join(options) or 'options'} are of one format: give one.")
    images = images or ParityImages()
    return [export for name in formats for export in export_each(path, name, output, images, **options)]


def export_each(
    path: str | os.PathLike, name: str, output: str | os.PathLike, images: ParityImages, **options: Any
) -> Iterator[Exported]:
    """As `export_run` for one format; yields each export when it is written."""
    folder = output or export_folder(path) / name
    parity = images if images.number else None
    if name == "saved_model":
        from farkeras.exporters.saved_model import write_saved_model

        yield write_saved_model(path, folder, parity, **options)
    elif name == "onnx":
        from farkeras.exporters.onnx import write_onnx

        yield write_onnx(path, folder, parity, **options)
    else:
        from farkeras.exporters.tflite import write_tflite

        yield from write_tflite(path, folder, images, **options)


def export_folder(path: str | os.PathLike) -> Path:
    """The folder of all exports of a model: `export` in the workdir, or beside the `.keras` file."""
    path = as_path(path)
    return (path.parent if path.suffix == ".keras" else path) / "export"
