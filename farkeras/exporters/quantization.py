"""Quantises models to 8 bits, except for the parts that must stay float.

Three parts lose much accuracy or speed when they are quantised, and cost little in float. export/README.md has the
measurements:

- `ends`: everything before the first convolution and after the last one. These are the resize and the scaling of
  pixels, and the attention, fusion and heads, whose products and softmax have values too far apart for 256 steps.
- `early`: feature maps with at least a quarter of the input's height. All later layers inherit their errors.
- `hard_swish`: the activation of MobileNetV3. XNNPACK, which runs LiteRT's models on a CPU, has it only in float, so
  that an 8-bit hard_swish makes the model slower than a float model.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from ai_edge_litert.tools import flatbuffer_utils

from farkeras.errors import FarkerasError

FLOAT_PARTS = ("ends", "early", "hard_swish")
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")


@dataclass(frozen=True)
class Quantization:
    """Settings of the quantisation to 8 bits.

    Attributes:
        images: Calibration images as the model takes them: uint8 `[height, width, 3]`. The largest values decide the
            ranges, so that more images give coarser steps, not better ones.
        image_height: Height of the network's input in pixels.
        float_parts: Parts that stay float, names in `FLOAT_PARTS`. If empty, every operation that TFLite has in 8 bits
            is quantised.
        batch_size: Number of images that the model takes in one call.
    """

    images: Sequence[np.ndarray]
    image_height: int
    float_parts: Sequence[str] = FLOAT_PARTS
    batch_size: int = 1


def check_float_parts(names: Sequence[str]) -> None:
    """Raises a `FarkerasError` if a name is not in `FLOAT_PARTS`."""
    if unknown := [name for name in names if name not in FLOAT_PARTS]:
        raise FarkerasError(f"Unknown part '{unknown[0]}' in `float_parts`. Known: {', '.join(FLOAT_PARTS)}.")


def quantize(converter: tf.lite.TFLiteConverter, quantization: Quantization) -> bytes:
    """Converts a model to 8 bits, with ranges per channel for weights and per tensor for activations."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    batch = (quantization.batch_size, 1, 1, 1)
    converter.representative_dataset = lambda: ([np.tile(image, batch)] for image in quantization.images)
    # The debugger is TensorFlow's public interface for excluding nodes from quantisation.
    options = tf.lite.experimental.QuantizationDebugOptions()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "TensorFlow's own interpreter is deprecated"
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=converter.representative_dataset, debug_options=options
        )
    options.denylisted_nodes = list(float_nodes(debugger.calibrated_model, quantization))
    return debugger.get_nondebug_quantized_model()


def float_nodes(model: bytes, quantization: Quantization) -> Iterator[str]:
    """Yields the names of the tensors that stay float when a float model is quantised."""
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph, parts = parsed.subgraphs[0], quantization.float_parts
    kinds = [flatbuffer_utils.opcode_to_name(parsed, operator.opcodeIndex) for operator in graph.operators]
    operators = list(zip(graph.operators, kinds, strict=True))
    after: set[int] = set()  # tensors computed from the output of a convolution
    before: set[int] = set()  # tensors that the input of a convolution is computed from
    for operator, kind in operators:
        if kind in _CONVOLUTIONS or after.intersection(operator.inputs):
            after.update(operator.outputs)
    for operator, kind in reversed(operators):
        if kind in _CONVOLUTIONS or before.intersection(operator.outputs):
            before.update(operator.inputs)
    for operator, kind in operators:
        for output in operator.outputs:
            tensor = graph.tensors[output]
            at_end = kind not in _CONVOLUTIONS and (output not in after or output not in before)
            is_early = len(tensor.shape) == 4 and tensor.shape[1] >= quantization.image_height // 4
            if (
                ("ends" in parts and at_end)
                or ("early" in parts and not at_end and is_early)
                or ("hard_swish" in parts and kind == "HARD_SWISH")
            ):
                yield tensor.name.decode()
