"""Quantises OpenVINO models to 8 bits with NNCF, except for the parts that must stay float.

These are two of the parts that TFLite's 8 bits leave in float, for the same reasons; export/README.md has the
measurements. The third, `hard_swish`, is there because of XNNPACK, which OpenVINO does not use.

- `ends`: everything before the first convolution and after the last one.
- `early`: feature maps with at least a quarter of the input's height.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from farkeras.clients.openvino import import_openvino
from farkeras.errors import FarkerasError

if TYPE_CHECKING:
    from openvino import Model, Node

FLOAT_PARTS = ("ends", "early")
_CONVOLUTIONS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData")
_NO_OPERATIONS = ("Constant", "Parameter", "Result")


@dataclass(frozen=True)
class Quantization:
    """Settings of the quantisation to 8 bits.

    Attributes:
        images: Calibration images as the model takes them: uint8 `[height, width, 3]`.
        image_height: Height of the network's input in pixels.
        float_parts: Parts that stay float, names in `FLOAT_PARTS`. If empty, NNCF quantises all that it can.
    """

    images: Sequence[np.ndarray]
    image_height: int
    float_parts: Sequence[str] = FLOAT_PARTS


def check_float_parts(names: Sequence[str]) -> None:
    """Raises a `FarkerasError` if a name is not in `FLOAT_PARTS`."""
    if unknown := [name for name in names if name not in FLOAT_PARTS]:
        raise FarkerasError(f"Unknown part '{unknown[0]}' in `float_parts`. Known: {', '.join(FLOAT_PARTS)}.")


def import_nncf() -> ModuleType:
    """Imports NNCF without the usage data that it sends by default; see `import_openvino`.

    Raises:
        FarkerasError: nncf is not installed.
    """
    import_openvino()
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise FarkerasError(f"The int8 export needs {error.name}: pip install 'farkeras[openvino]'") from None
    return nncf


def quantize(model: "Model", quantization: Quantization) -> "Model":
    """Converts a model to 8 bits, with ranges per channel for weights and per tensor for activations."""
    nncf, images = import_nncf(), quantization.images
    names = list(float_nodes(model, quantization))
    with _silent():
        return nncf.quantize(
            model,
            nncf.Dataset([image[None] for image in images]),
            subset_size=len(images),
            ignored_scope=nncf.IgnoredScope(names=names, validate=False),
        )


def float_nodes(model: "Model", quantization: Quantization) -> Iterator[str]:
    """Yields the names of the operations that stay float."""
    parts, operations = quantization.float_parts, model.get_ordered_ops()
    after: set[str] = set()  # operations that follow a convolution, and convolutions
    before: set[str] = set()  # operations that a convolution follows
    sizes: set[tuple[int, ...]] = set()  # height and width of the early feature maps
    for operation in operations:
        name, kind = operation.get_friendly_name(), operation.get_type_name()
        if kind in _CONVOLUTIONS or after.intersection(_inputs(operation)):
            after.add(name)
        if kind in _CONVOLUTIONS:
            _, _, *size = _shape(operation)  # OpenVINO's convolutions are [batch, channels, height, width]
            if size[0] >= quantization.image_height // 4:
                sizes.add(tuple(size))
    for operation in reversed(operations):
        if operation.get_type_name() in _CONVOLUTIONS or operation.get_friendly_name() in before:
            before.update(_inputs(operation))
    for operation in operations:
        name, kind, shape = operation.get_friendly_name(), operation.get_type_name(), _shape(operation)
        if kind in _NO_OPERATIONS:
            continue
        at_end = kind not in _CONVOLUTIONS and (name not in after or name not in before)
        is_early = len(shape) == 4 and (shape[1:3] in sizes or shape[2:] in sizes)
        if ("ends" in parts and at_end) or ("early" in parts and not at_end and is_early):
            yield name


def _inputs(operation: "Node") -> list[str]:
    return [value.get_source_output().get_node().get_friendly_name() for value in operation.inputs()]


def _shape(operation: "Node") -> tuple[int, ...]:
    """Returns the shape of the first output, with -1 for unknown sizes; empty if even their number is unknown."""
    if not operation.outputs() or (shape := operation.get_output_partial_shape(0)).rank.is_dynamic:
        return ()
    return tuple(side.get_length() if side.is_static else -1 for side in shape)


@contextmanager
def _silent() -> Iterator[None]:
    """Hides NNCF's progress bars and log, which it writes to stdout."""
    logger = logging.getLogger("nncf")
    before, logger.disabled = logger.disabled, True
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.disabled = before
