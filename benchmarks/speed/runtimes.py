"""The runtimes that farkeras exports for, and the files that they run."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speed.machine import cores

HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""Precision -> OpenVINO's name of it. An int8 file has no hint: what it leaves in float takes the processor's best."""


def openvino(path: str, precision: str, batch_size: int, image_size: Sequence[int]) -> Callable[[], object]:
    """Builds OpenVINO's side; see `onnx` for the arguments, and `HINTS` for `precision`."""
    run = openvino_runtime(path, precision)
    images = noise(batch_size, image_size)
    return lambda: run(images)


def openvino_runtime(path: str, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    """Loads a file in OpenVINO, on the CPU: a function from images, uint8 `[B, H, W, 3]`, to probabilities."""
    from openvino import Core

    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": cores()}
    if precision in HINTS:
        options["INFERENCE_PRECISION_HINT"] = HINTS[precision]
    model = Core().compile_model(path, "CPU", options)
    return lambda images: model(images)[0]


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
    nothing = farkeras.ParityImages(0)
    farkeras.export_run(model, ["onnx"], f"{folder}/onnx", nothing, input_size=tuple(size))
    farkeras.export_run(model, ["tflite"], f"{folder}/tflite", nothing, precisions=["float32"], input_size=tuple(size))
    onnx_file = f"{folder}/onnx/model.onnx"
    int8 = quantize(onnx_file, list(noise(16, size)[:, None]), f"{folder}/int8.xml")
    return {"onnx": onnx_file, "tflite": f"{folder}/tflite/float32/model.tflite", "int8": int8, "image_size": size}


def quantize(onnx_file: str, images: Sequence[np.ndarray], target: str) -> str:
    """Quantizes an ONNX file to int8 with NNCF.

    Args:
        onnx_file: The exported file.
        images: Images that calibrate it, uint8 `[1, height, width, 3]`.
        target: The `.xml` file to write, next to its `.bin` file.

    Returns:
        `target`.
    """
    import nncf
    import openvino

    quantized = nncf.quantize(openvino.convert_model(onnx_file), nncf.Dataset(images), subset_size=len(images))
    openvino.save_model(quantized, target, compress_to_fp16=False)
    return target


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
