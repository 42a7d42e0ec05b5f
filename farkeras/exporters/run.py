"""Exports a trained model to several formats with one call."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from farkeras.errors import FarkerasError
from farkeras.exporters.artifact import Exported
from farkeras.exporters.reference import ParityImages
from farkeras.files import as_path

FORMATS = ("saved_model", "tflite", "onnx", "openvino")
DEFAULT_FORMATS = ("saved_model", "tflite", "onnx")


def export_run(
    path: str | os.PathLike,
    formats: Sequence[str] = DEFAULT_FORMATS,
    output: str | os.PathLike = "",
    images: ParityImages | None = None,
    calibrate: str = "auto",
    **options: Any,
) -> list[Exported]:
    """Exports the model of a training run and compares every export with the Keras model on test images.

    Args:
        path: Workdir of a training run, or its `.keras` file.
        formats: `saved_model` for TF Serving, `tflite` for LiteRT in four precisions, `onnx` for ONNX Runtime,
            `openvino` for OpenVINO in two precisions; by default all but `openvino`.
        output: Folder to write, if there is a single format; by default `export/<format>` next to the model.
        images: Images for the comparison; by default 512 images of the test split of the training data.
            `ParityImages(0)` skips the comparison.
        calibrate: "auto": the exports have the temperatures and thresholds in the model file. "none": they return the
            model's own probabilities, and their thresholds are 0.5.
        **options: Arguments of the format's own function, such as `precisions` or `input_size`, if there is a single
            format: `farkeras.exporters.saved_model.write_saved_model`, `.tflite.write_tflite`, `.onnx.write_onnx`,
            `.openvino.write_openvino`.

    Returns:
        The exports, each with its folder and the report of its comparison. The export also contains the report, as
        `parity.json`.

    Raises:
        FarkerasError: There is no model, a format is unknown, a target folder exists, the data for the comparison are
            missing, or a package that the format needs is missing.
        ParityError: An export differs from the Keras model by more than its limits. It is kept in a folder whose name
            ends in `.rejected`. Exports that were written before it stay.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise FarkerasError(f"Unknown format '{unknown[0]}'. Known: {', '.join(FORMATS)}.")
    if len(formats) != 1 and (output or options):
        given = ", ".join(f"`{option}`" for option in (["output"] if output else []) + list(options))
        raise FarkerasError(f"{given} can be set for a single format only. Received: formats={list(formats)}.")
    images = images or ParityImages()
    return [export for name in formats for export in export_each(path, name, output, images, calibrate, **options)]


def export_each(
    path: str | os.PathLike,
    name: str,
    output: str | os.PathLike,
    images: ParityImages,
    calibrate: str = "auto",
    **options: Any,
) -> Iterator[Exported]:
    """Exports to one format and yields each export when it is written; see `export_run`."""
    options["calibrate"] = calibrate
    folder = output or export_folder(path) / name
    parity = images if images.number else None
    if name == "saved_model":
        from farkeras.exporters.saved_model import write_saved_model

        yield write_saved_model(path, folder, parity, **options)
    elif name == "onnx":
        from farkeras.exporters.onnx import write_onnx

        yield write_onnx(path, folder, parity, **options)
    elif name == "openvino":
        from farkeras.exporters.openvino import write_openvino

        yield from write_openvino(path, folder, images, **options)
    else:
        try:
            from farkeras.exporters.tflite import write_tflite
        except ModuleNotFoundError as error:
            raise FarkerasError(f"The TFLite export needs {error.name}: pip install 'farkeras[litert]'") from None

        yield from write_tflite(path, folder, images, **options)


def export_folder(path: str | os.PathLike) -> Path:
    """Returns the folder of a model's exports: `export` in the workdir, or next to the `.keras` file."""
    path = as_path(path)
    return (path.parent if path.suffix == ".keras" else path) / "export"
