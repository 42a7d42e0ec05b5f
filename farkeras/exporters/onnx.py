"""Exports ONNX files that include the preprocessing and map aligned crops to probabilities."""

import importlib
import json
import os
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from farkeras.errors import FarkerasError
from farkeras.exporters.artifact import Exported, new_artifact, writing
from farkeras.exporters.metadata import export_metadata, write_metadata
from farkeras.exporters.parity import FLOAT32, Runtime, compare_with_reference, image_runtime, write_parity
from farkeras.exporters.reference import ParityImages, keras_reference
from farkeras.files import as_path
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, load_model
from farkeras.photos.alignment import CROP_HEIGHT, CROP_WIDTH

if TYPE_CHECKING:  # the `onnx` extra is loaded only for an export
    from onnx import GraphProto, ModelProto
    from tf2onnx.graph import Graph, Node

ONNX_FILE = "model.onnx"
OPSET = 17
"""Opset of ONNX 1.12 (2022). It has all operations that the models need, and every runtime in use supports it."""


def write_onnx(
    model_path: str | os.PathLike,
    target: str | os.PathLike,
    parity: ParityImages | None = None,
    input_size: tuple[int, int] = (CROP_HEIGHT, CROP_WIDTH),
    calibrate: str = "auto",
) -> Exported:
    """Writes a folder with `model.onnx`, its metadata and the comparison. The folder appears when it is complete.

    The model maps `images`, uint8 `[batch, *input_size, 3]`, RGB crops aligned as in CelebA, to `probabilities`,
    float32 `[batch, attributes]`, in the attribute order of the metadata. The `metadata_props` of the file hold
    `labels`, one per line, and `farkeras`, the same JSON as the file `farkeras.json` in the folder.

    Args:
        model_path: Workdir of a training run, or its `.keras` file.
        target: Path of the new folder.
        parity: The images on which ONNX Runtime is compared with the Keras model; None skips the comparison.
        input_size: Height and width of the crops in pixels.
        calibrate: "auto": with the temperatures and thresholds in the model file; "none": without.

    Returns:
        The folder and the comparison.

    Raises:
        FarkerasError: The `onnx` extra is not installed, there is no model, the folder exists or cannot be written, or
            an image for the comparison does not have the input size.
        ParityError: The export differs from the model by more than the limits; it is kept as `<target>.rejected`.
    """
    try:
        onnx, *_ = [importlib.import_module(name) for name in ("onnx", "onnxruntime", "tf2onnx")]
    except ModuleNotFoundError as error:
        raise FarkerasError(f"The ONNX export needs {error.name}: pip install 'farkeras[onnx]'") from None
    model, metadata = load_model(model_path, calibrate)
    target, report = as_path(target), None
    with new_artifact(target) as aside:
        reference = keras_reference(model, metadata, parity) if parity else None
        values = export_metadata(
            metadata,
            "onnx",
            ("onnx", "tf2onnx", "onnxruntime"),
            opset=OPSET,
            input_size=list(input_size),
            calibrate=calibrate,
        )
        proto = _convert(model, metadata, input_size)
        labels = "\n".join(metadata.grouping.attributes)
        onnx.helper.set_model_props(proto, {"labels": labels, "farkeras": json.dumps(values)})
        proto.doc_string = f"Face attributes. Input: {values['input']}."
        onnx.checker.check_model(proto, full_check=True)
        with writing(target):
            onnx.save(proto, aside / ONNX_FILE)
            write_metadata(aside, values)
        if reference:
            report = compare_with_reference(reference, {"ONNX Runtime": onnx_runtime(aside / ONNX_FILE)}, FLOAT32)
            write_parity(aside, report)
    return Exported(target, report)


def onnx_runtime(path: str | os.PathLike) -> Runtime:
    """Loads an ONNX file in ONNX Runtime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[1:]

    def run(images: np.ndarray) -> np.ndarray:
        if list(images.shape[1:]) != size:
            raise FarkerasError(
                f"The images for the comparison have {images.shape[1]} x {images.shape[2]} pixels (height x width), "
                f"but the export takes {size[0]} x {size[1]}. Set `input_size={images.shape[1]},{images.shape[2]}`."
            )
        return session.run(["probabilities"], {"images": images})[0]

    return image_runtime(run)


def _convert(model: LogitsModel, metadata: ModelMetadata, input_size: tuple[int, int]) -> "ModelProto":
    import tf2onnx

    def predict(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model.probabilities(metadata.preprocessing.resize(images))}

    signature = [tf.TensorSpec([None, *input_size, 3], tf.uint8, name="images")]
    function = tf.function(predict, signature)
    proto, _ = tf2onnx.convert.from_function(
        function, signature, opset=OPSET, custom_op_handlers={"ResizeBilinear": (_resize_bilinear, [])}
    )
    _fill_in_constants(proto.graph, function.get_concrete_function())
    for tensor in (*proto.graph.input, *proto.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    return proto


def _fill_in_constants(graph: "GraphProto", function: tf.types.experimental.ConcreteFunction) -> None:
    """Turns inputs of the graph that are constants into initializers with their values.

    tf2onnx declares some constants as inputs, such as the normalisation of ResNet50.
    """
    from onnx import numpy_helper

    captured = zip(function.captured_inputs, function.inputs[1:], strict=True)
    constants = {tensor.name: value.numpy() for value, tensor in captured if value.dtype != tf.resource}
    used = {name for node in graph.node for name in node.input}  # tf2onnx has folded some constants into others
    inputs = [node for node in graph.input if node.name not in constants]
    graph.initializer.extend(
        numpy_helper.from_array(constants[node.name], node.name)
        for node in graph.input
        if node.name in constants and node.name in used
    )
    del graph.input[:]
    graph.input.extend(inputs)


def _resize_bilinear(graph: "Graph", node: "Node", name: str, args: list) -> None:
    """Replaces `ResizeBilinear` with half-pixel centres, between two known sizes, by two matrix products.

    This is a handler for tf2onnx. ONNX has a Resize operation, but its sample positions differ in the last bits: it
    changed probabilities by 2.4e-5, and these products change them by 3.5e-6, in the same time. In addition, tf2onnx
    writes the scale of Resize in float32, where 218 * (112 / 218) is slightly less than 112, which gives 111 pixels.
    """
    from tf2onnx.utils import make_name

    def weights(length: int, new_length: int) -> np.ndarray:
        """Returns the weight of each sample in each new sample, `[new_length, length]`, rounded as in TensorFlow."""
        step = np.float32(length) / np.float32(new_length)
        centres = (np.arange(new_length, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5)
        lower = np.floor(centres)
        rows, upper_share, matrix = np.arange(new_length), centres - lower, np.zeros((new_length, length), np.float32)
        matrix[rows, np.maximum(lower, 0).astype(int)] += 1 - upper_share
        matrix[rows, np.minimum(np.ceil(centres), length - 1).astype(int)] += upper_share
        return matrix

    def constant(matrix: np.ndarray) -> str:
        return graph.make_const(make_name("resize"), np.ascontiguousarray(matrix)).output[0]

    if not node.get_attr_int("half_pixel_centers"):
        raise NotImplementedError("ResizeBilinear without half_pixel_centers")
    _, height, width, _ = graph.get_shape(node.input[0])
    new_height, new_width = node.inputs[1].get_tensor_value()
    images = graph.make_node("Transpose", [node.input[0]], {"perm": [0, 3, 1, 2]}).output[0]
    lines = graph.make_node("MatMul", [images, constant(weights(width, new_width).T)]).output[0]
    resized = graph.make_node("MatMul", [constant(weights(height, new_height)), lines]).output
    shapes, dtypes = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    graph.make_node(
        "Transpose", resized, {"perm": [0, 2, 3, 1]}, name=node.name, outputs=node.output, shapes=shapes, dtypes=dtypes
    )
