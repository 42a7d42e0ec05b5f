"""The runtimes that farkeras exports for, and the files that they run."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speed.machine import cores

FORMS = {
    "OpenVINO float32": ("float32", "float32"),
    "OpenVINO bfloat16": ("float32", "bfloat16"),
    "OpenVINO int8 and float32": ("int8", "float32"),
    "OpenVINO int8 and bfloat16": ("int8", "bfloat16"),
    "OpenVINO int8 with float_parts=ends and float32": ("ends", "float32"),
    "OpenVINO int8 with float_parts=ends and bfloat16": ("ends", "bfloat16"),
}
"""Form of OpenVINO's export -> kind of the file, see `openvino_files`, and precision in which the rest is computed."""


def forms() -> dict[str, tuple[str, str]]:
    """Returns the `FORMS` that this processor can compute."""
    from farkeras.clients.openvino import has_bfloat16

    return {name: form for name, form in FORMS.items() if form[1] != "bfloat16" or has_bfloat16()}


def openvino_files(model: Any, folder: str, images: Any, **options: Any) -> dict[str, str]:
    """Exports a model, or a run, for OpenVINO; returns kind -> file: `float32`, `int8`, and `ends`.

    `ends` is int8 with only the ends of the network in float.
    """
    import farkeras

    farkeras.export_run(model, ["openvino"], f"{folder}/openvino", images, **options)
    ends: dict[str, Any] = {"precisions": ["int8"], "float_parts": ["ends"]}
    farkeras.export_run(model, ["openvino"], f"{folder}/ends", images, **ends, **options)
    return {
        "float32": f"{folder}/openvino/float32/model.xml",
        "int8": f"{folder}/openvino/int8/model.xml",
        "ends": f"{folder}/ends/int8/model.xml",
    }


def openvino(path: str, precision: str, batch_size: int, image_size: Sequence[int]) -> Callable[[], object]:
    """Builds OpenVINO's side, as farkeras runs it.

    Args:
        path: The exported file.
        precision: "float32" or "bfloat16", for what the file has not in int8.
        batch_size: Images in a call.
        image_size: Height and width of the images that the file takes.
    """
    from farkeras.clients.openvino import OpenVINORecognizer

    recognizer, images = OpenVINORecognizer(path, cores(), precision), list(noise(batch_size, image_size))
    return lambda: recognizer.probabilities(images)


def onnx(path: str, batch_size: int, image_size: Sequence[int]) -> Callable[[], object]:
    """Builds ONNX Runtime's side.

    Args:
        path: The exported file.
        batch_size: Images in a call.
        image_size: Height and width of the images that the file takes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    images = {session.get_inputs()[0].name: noise(batch_size, image_size)}
    return lambda: session.run(["probabilities"], images)


def litert(path: str, threads: int = 0) -> Callable[[], object]:
    """Builds LiteRT's side with one image in a call; `threads` 0 means all cores."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=path, num_threads=threads or cores()).get_signature_runner()
    images = noise(1, run.get_input_details()["images"]["shape"][1:3])
    return lambda: run(images=images)


def noise(batch_size: int, image_size: Sequence[int]) -> np.ndarray:
    """Returns random images, uint8 `[batch_size, height, width, 3]`."""
    return np.random.default_rng(0).integers(0, 256, (batch_size, *image_size, 3), np.uint8)


def untrained_model(flagfile: str, folder: str) -> tuple[str, list[int]]:
    """Saves a model of a flagfile with random weights; returns its file and its image size."""
    import farkeras
    from speed.networks import config_of, grouping_of

    config = config_of(flagfile, bare=False)
    model = farkeras.models.FARAMTN.from_settings(config, grouping_of(8))
    path = os.path.join(folder, f"{flagfile}.keras")
    farkeras.save(model, path, config)
    return path, list(config.image_size)


def write_inference_files(folder: str) -> dict[str, Any]:
    """Writes FAR-AMTN with ResNet50, random weights, for all runtimes; returns kind of file -> path, and the size."""
    import farkeras

    model, size = untrained_model("celeba", folder)
    farkeras.draw_faces(farkeras.FaceSettings(64, seed=6), f"{folder}/faces")
    options: dict[str, Any] = {"input_size": tuple(size)}
    images = farkeras.ParityImages(0, source="celeba", data_dir=f"{folder}/faces")
    farkeras.export_run(model, ["onnx"], f"{folder}/onnx", images, **options)
    farkeras.export_run(model, ["tflite"], f"{folder}/tflite", images, precisions=["float32"], **options)
    return {
        "onnx": f"{folder}/onnx/model.onnx",
        "tflite": f"{folder}/tflite/float32/model.tflite",
        "image_size": size,
        **openvino_files(model, folder, images, calibration_images=16, **options),
    }


def write_mobile_files(folder: str) -> dict[str, Any]:
    """Writes FAR-AMTN mobile as int8 and its bare backbone as float32, random weights, for LiteRT."""
    from farkeras.exporters import tflite
    from farkeras.exporters.benchmark import bare_backbone_file
    from farkeras.exporters.quantization import FLOAT_PARTS, Quantization
    from farkeras.models.model_file import load_model

    path, size = untrained_model("celeba_mobile", folder)
    model, metadata = load_model(path)
    quantization = Quantization(list(noise(32, size)), size[0], FLOAT_PARTS)
    saved_model = f"{folder}/saved_model"
    tflite.write_graph(model, metadata.preprocessing, (1, *size), saved_model)
    int8, float32, bare = (Path(folder) / f"{name}.tflite" for name in ("int8", "float32", "bare"))
    int8.write_bytes(tflite.convert(saved_model, "int8", quantization))
    float32.write_bytes(tflite.convert(saved_model, "float32"))
    bare.write_bytes(bare_backbone_file(model, metadata, (size[0], size[1])))
    return {"int8": str(int8), "float32": str(float32), "bare": str(bare)}
