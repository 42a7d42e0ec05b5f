"""Exports TFLite files for LiteRT on phones, boards and in browsers. They include the preprocessing."""

import os
import tempfile
from collections.abc import Iterator, Sequence

import tensorflow as tf

from farkeras.clients.litert import LiteRTRecognizer
from farkeras.errors import FarkerasError, first_line
from farkeras.exporters.artifact import Exported, new_artifact, new_targets, writing
from farkeras.exporters.calibration import read_calibration_images
from farkeras.exporters.crop_graph import write_graph
from farkeras.exporters.metadata import export_metadata, write_metadata
from farkeras.exporters.parity import (
    FLOAT16,
    FLOAT32,
    INT8,
    Runtime,
    compare_with_reference,
    write_parity,
)
from farkeras.exporters.quantization import FLOAT_PARTS, Quantization, check_float_parts, quantize
from farkeras.exporters.reference import ParityImages, keras_reference
from farkeras.exporters.tflite_metadata import with_metadata
from farkeras.models.model_file import load_model
from farkeras.photos.alignment import CROP_HEIGHT, CROP_WIDTH

MODEL_FILE = "model.tflite"
PRECISIONS = {"float32": FLOAT32, "float16": FLOAT16, "dynamic": INT8, "int8": INT8}
"""Precision -> limits of the differences from the Keras model. float16 has 16-bit weights, dynamic has 8-bit weights,
and both have float feature maps."""


def write_tflite(
    model_path: str | os.PathLike,
    export_dir: str | os.PathLike,
    images: ParityImages,
    precisions: Sequence[str] = tuple(PRECISIONS),
    input_size: tuple[int, int] = (CROP_HEIGHT, CROP_WIDTH),
    calibration_images: int = 100,
    float_parts: Sequence[str] = FLOAT_PARTS,
    batch_size: int = 1,
    calibrate: str = "auto",
) -> Iterator[Exported]:
    """Writes `<export_dir>/<precision>/model.tflite` for each precision, and compares it with the Keras model.

    The signature `serving_default` maps `images`, uint8 `[B, height, width, 3]` RGB, faces aligned as in CelebA, to
    `probabilities`, float32 `[B, attributes]`, where B is `batch_size`. The file uses only TFLite's builtin operations.
    The names of the attributes and `farkeras.json` are inside the file, as TFLite's metadata tools pack them, and next
    to it.

    Args:
        model_path: Workdir of a training run, or its `.keras` file.
        export_dir: Folder in which each precision has its folder.
        images: The images for the comparison, and the data set whose training split calibrates int8.
            `ParityImages(0)` skips the comparison.
        precisions: Keys of `PRECISIONS`.
        input_size: Height and width of the crops that the file takes, in pixels.
        calibration_images: Largest number of training images that calibrate int8.
        float_parts: Parts that int8 leaves in float; see `farkeras.exporters.quantization`.
        batch_size: Number of crops that the file takes in one call. TFLite's shapes are fixed, so that a smaller batch
            must be padded, as `LiteRTRecognizer` does.
        calibrate: "auto": with the temperatures and thresholds in the model file; "none": without.

    Yields:
        Each export, when it is written.

    Raises:
        FarkerasError: There is no model, the data for the comparison or calibration are missing, a precision or part is
            unknown, a target exists or cannot be written, or TFLite's builtin operations cannot run the model.
        ParityError: An export exceeds its limits. Exports that were yielded before stay.
    """
    check_float_parts(float_parts)
    if batch_size < 1:
        raise FarkerasError(f"`batch_size` must be at least 1. Received: {batch_size}.")
    targets = new_targets(export_dir, precisions, tuple(PRECISIONS))
    model, metadata = load_model(model_path, calibrate)
    reference = keras_reference(model, metadata, images) if images.number else None
    quantization = None
    if "int8" in precisions:
        crops = read_calibration_images(metadata, images, calibration_images, input_size)
        quantization = Quantization(crops, metadata.preprocessing.image_size[0], float_parts, batch_size)
    with tempfile.TemporaryDirectory() as saved_model:
        with writing(next(iter(targets.values()), export_dir)):
            write_graph(model, metadata.preprocessing, (batch_size, *input_size), saved_model)
        for precision, target in targets.items():
            details: dict[str, object] = {
                "precision": precision,
                "input_size": list(input_size),
                "calibrate": calibrate,
            }
            details |= {"batch_size": batch_size} if batch_size > 1 else {}
            if quantization and precision == "int8":
                details |= {"calibration_images": len(quantization.images), "float_parts": list(float_parts)}
            values = export_metadata(metadata, "tflite", ("ai-edge-litert",), **details)
            converted = convert(saved_model, precision, quantization)
            report = None
            with new_artifact(target) as folder:
                (folder / MODEL_FILE).write_bytes(with_metadata(converted, model.name, values))
                write_metadata(folder, values)
                if reference:
                    name = f"LiteRT {precision}"
                    report = compare_with_reference(
                        reference, {name: runtime(folder / MODEL_FILE)}, PRECISIONS[precision]
                    )
                    write_parity(folder, report)
            yield Exported(target, report)


def convert(saved_model: str, precision: str, quantization: Quantization | None = None) -> bytes:
    """Converts a SavedModel to a TFLite model.

    Args:
        saved_model: Folder of the SavedModel.
        precision: A key of `PRECISIONS`.
        quantization: Settings for `int8`; other precisions ignore them.

    Raises:
        FarkerasError: TFLite's builtin operations cannot run the model.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        if quantization and precision == "int8":
            return quantize(converter, quantization)
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
    except Exception as error:  # the converter raises many kinds of errors, some of them private
        raise FarkerasError(
            f"TFLite cannot convert this model to {precision} with its builtin operations: {first_line(error)}"
        ) from error


def runtime(path: str | os.PathLike) -> Runtime:
    """Loads an exported file in LiteRT."""
    recognizer = LiteRTRecognizer(path)
    return lambda faces: recognizer.probabilities(faces.crops, ["An image for the comparison"] * len(faces.crops))
