"""Exports OpenVINO models for Intel and AMD processors. They include the preprocessing.

The model is converted from TensorFlow's graph, not from our ONNX file, which would need two more packages. On ResNet50
both are equally fast. On MobileNetV3, tf2onnx leaves transpositions in the graph that double its time.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from farkeras.clients.openvino import RT_INFO, OpenVINORecognizer, import_openvino
from farkeras.errors import FarkerasError
from farkeras.exporters.artifact import Exported, new_artifact, new_targets, writing
from farkeras.exporters.calibration import read_calibration_images
from farkeras.exporters.crop_graph import write_graph
from farkeras.exporters.metadata import export_metadata, write_metadata
from farkeras.exporters.openvino_quantization import FLOAT_PARTS, Quantization, check_float_parts, import_nncf, quantize
from farkeras.exporters.parity import FLOAT32, INT8, Runtime, compare_with_reference, write_parity
from farkeras.exporters.reference import ParityImages, keras_reference
from farkeras.models.model_file import load_model
from farkeras.photos.alignment import CROP_HEIGHT, CROP_WIDTH

if TYPE_CHECKING:  # the `openvino` extra is loaded only for an export
    from openvino import Model

MODEL_FILE = "model.xml"
WEIGHTS_FILE = "model.bin"
PRECISIONS = {"float32": FLOAT32, "int8": INT8}
"""Precision -> limits of the differences from the Keras model. The runner can compute either in bfloat16 as well."""


def write_openvino(
    model_path: str | os.PathLike,
    export_dir: str | os.PathLike,
    images: ParityImages,
    precisions: Sequence[str] = tuple(PRECISIONS),
    input_size: tuple[int, int] = (CROP_HEIGHT, CROP_WIDTH),
    calibration_images: int = 100,
    float_parts: Sequence[str] = FLOAT_PARTS,
    calibrate: str = "auto",
) -> Iterator[Exported]:
    """Writes `<export_dir>/<precision>/model.xml` and `model.bin`, and compares them with the Keras model.

    The model maps `images`, uint8 `[batch, *input_size, 3]`, RGB crops aligned as in CelebA, to `probabilities`,
    float32 `[batch, attributes]`, for any batch. The content of `farkeras.json` is also inside `model.xml`, as
    `rt_info`, so that the file describes itself.

    Args:
        model_path: Workdir of a training run, or its `.keras` file.
        export_dir: Folder in which each precision has its folder.
        images: The images for the comparison, and the data set whose training split calibrates int8.
            `ParityImages(0)` skips the comparison.
        precisions: Keys of `PRECISIONS`.
        input_size: Height and width of the crops in pixels.
        calibration_images: Largest number of training images that calibrate int8.
        float_parts: Parts that int8 leaves in float; see `farkeras.exporters.openvino_quantization`.
        calibrate: "auto": with the temperatures and thresholds in the model file; "none": without.

    Yields:
        Each export, when it is written.

    Raises:
        FarkerasError: The `openvino` extra is not installed, there is no model, the data for the comparison or
            calibration are missing, a precision or part is unknown, a target exists or cannot be written, or OpenVINO
            cannot convert the model.
        ParityError: An export exceeds its limits. Exports that were yielded before stay.
    """
    check_float_parts(float_parts)
    targets = new_targets(export_dir, precisions, tuple(PRECISIONS))
    openvino = import_openvino()
    if "int8" in precisions:
        import_nncf()  # an error comes before work that takes minutes
    model, metadata = load_model(model_path, calibrate)
    reference = keras_reference(model, metadata, images) if images.number else None
    quantization = None
    if "int8" in precisions:
        crops = read_calibration_images(metadata, images, calibration_images, input_size)
        quantization = Quantization(crops, metadata.preprocessing.image_size[0], float_parts)
    with tempfile.TemporaryDirectory() as place:
        saved_model = os.path.join(place, "saved_model")
        with writing(next(iter(targets.values()), export_dir)):
            write_graph(model, metadata.preprocessing, (None, *input_size), saved_model)
        for precision, target in targets.items():
            packages = ["openvino"]
            details: dict[str, object] = {
                "precision": precision,
                "input_size": list(input_size),
                "calibrate": calibrate,
            }
            converted = convert(saved_model)
            if quantization and precision == "int8":
                packages.append("nncf")
                details |= {"calibration_images": len(quantization.images), "float_parts": list(float_parts)}
                converted = quantize(converted, quantization)
            values = export_metadata(metadata, "openvino", tuple(packages), **details)
            converted.set_rt_info(json.dumps(values), RT_INFO)
            report = None
            with new_artifact(target) as folder:
                _save(openvino, converted, Path(place), folder)
                write_metadata(folder, values)
                if reference:
                    name = f"OpenVINO {precision}"
                    report = compare_with_reference(
                        reference, {name: runtime(folder / MODEL_FILE)}, PRECISIONS[precision]
                    )
                    write_parity(folder, report)
            yield Exported(target, report)


def convert(saved_model: str) -> "Model":
    """Converts a SavedModel that `write_graph` wrote.

    Raises:
        FarkerasError: OpenVINO lacks an operation of the model.
    """
    try:
        return import_openvino().Core().read_model(saved_model)
    except RuntimeError as error:
        lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("No conversion rule")), lines[-1])
        raise FarkerasError(f"OpenVINO cannot convert this model: {reason}.") from error


def runtime(path: str | os.PathLike) -> Runtime:
    """Loads an exported file in OpenVINO, in float32."""
    recognizer = OpenVINORecognizer(path)
    return lambda faces: recognizer.probabilities(faces.crops, ["An image for the comparison"] * len(faces.crops))


def _save(openvino: ModuleType, model: "Model", place: Path, folder: Path) -> None:
    """Writes the model's files. Python copies them to their folder, because its errors name the reason."""
    openvino.save_model(model, place / MODEL_FILE, compress_to_fp16=False)  # by default it rounds weights to 16 bits
    for name in (MODEL_FILE, WEIGHTS_FILE):
        shutil.copyfile(place / name, folder / name)
