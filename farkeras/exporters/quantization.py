"""8-bit models that keep their accuracy: which parts compute in integers, and which in float.

Three parts lose much accuracy when they are quantised, and cost little in float; export/README.md has the measurements:

- `ends`: everything before the first convolution and after the last one: the resize and the scaling of pixels, and the
  attention, fusion and heads, whose products and softmax have values too far apart for 256 steps;
- `early`: maps of at least a quarter of the network's height, whose errors all later layers inherit;
- `hard_swish`: the activation of MobileNetV3. XNNPACK, which runs LiteRT's models on a CPU, has it only in float, so
  that an 8-bit one makes the model slower than a float model.
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
    """How a model becomes integer.

    Attributes:
        images: Images to calibrate on, as the model takes them: uint8 `[height, width, 3]`. The largest values decide
            the ranges, so that more images make coarser steps, not better ones.
        image_height: Height of the network's input in pixels.
        float_parts: Names in `FLOAT_PARTS`; with none, all operations are 8-bit that TFLite has in 8 bits.
        batch_size: Number of images that the model takes in one call.
    """

    images: Sequence[np.ndarray]
    image_height: int
    float_parts: Sequence[str] = FLOAT_PARTS
    batch_size: int = 1


def check_float_parts(names: Sequence[str]) -> None:
    """Raises a `FarkerasError` for an unknown part."""
    if unknown := [name for name in names if name not in FLOAT_PARTS]:
        raise FarkerasError(f"Unknown part '{unknown[0]}' to leave in float. Known: {', '.join(FLOAT_PARTS)}.")


def quantize(converter: tf.lite.TFLiteConverter, quantization: Quantization) -> bytes:
    """Converts to 8 bits: weights by channel, activations by tensor."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    batch = (quantization.batch_size, 1, 1, 1)
    converter.representative_dataset = lambda: ([np.tile(image, batch)] for image in quantization.images)
    # The debugger is TensorFlow's public way to leave nodes out.
    options = tf.lite.experimental.QuantizationDebugOptions()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "TensorFlow's own interpreter is deprecated"
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=converter.representative_dataset, debug_options=options
        )
    options.denylisted_nodes = list(float_nodes(debugger.calibrated_model, quantization))
    return debugger.get_nondebug_quantized_model()


def float_nodes(model: bytes, quantization: Quantization) -> Iterator[str]:
    """Names of the tensors of a float model that stay float when it is quantised."""
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph, parts = parsed.subgraphs[0], quantization.float_parts
    kinds = [flatbuffer_utils.opcode_to_name(parsed, operator.opcodeIndex) for operator in graph.operators]
    operators = list(zip(graph.operators, kinds, strict=True))
    after: set[int] = set()  # tensors that come from a convolution
    before: set[int] = set()  # tensors that lead to one
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
