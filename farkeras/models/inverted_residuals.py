"""MobileNetV2, MobileNetV3 and EfficientNet-B0 as torchvision has them, and EfficientNet-Lite0: one kind of block."""

from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

from farkeras.models.torch_layers import activated, check_no_weights, convolution, he_normal


@dataclass(frozen=True)
class _Block:
    """One inverted residual: 1x1 to `expanded` channels, depthwise, a gate on the channels, 1x1 to `filters`."""

    kernel: int
    expanded: int
    filters: int
    stride: int
    activation: str
    squeezed: int = 0  # channels inside the gate (squeeze-and-excite); 0 means no gate


@dataclass(frozen=True)
class _Style:
    """What all blocks of a network share."""

    activation: str  # of the stem and the top
    momentum: float = 0.9
    epsilon: float = 1e-5
    padding: Literal["symmetric", "same"] = "symmetric"
    gate: tuple[str, str] = ("relu", "hard_sigmoid")  # activations inside the gate and of its output


def TorchMobileNetV2(
    include_top: bool = False,
    weights: None = None,
    input_tensor: keras.KerasTensor | None = None,
    classes: int = 1000,
    alpha: float = 1.0,
) -> keras.Model:
    """Builds MobileNetV2 as torchvision has it, so that its weights give the same numbers.

    Published: the network with 3,504,872 parameters in its 1000-way form. `MobileNetV2` of keras.applications has the
    same layers, but pads its strided convolutions less at the top and left, and divides by another epsilon.

    Args:
        include_top: Whether to add global average pooling and a linear classifier.
        weights: Must be None. `farkeras.models.backbones.build_backbone` loads weights from a file.
        input_tensor: Keras tensor `(batch, height, width, 3)`, normalised by
            `farkeras.models.torch_layers.preprocess_input`.
        classes: Number of classes of the classifier.
        alpha: Width multiplier, torchvision's `width_mult`.

    Returns:
        A functional model with output `(batch, height / 32, width / 32, 1280)` (sizes rounded up), or logits
        `(batch, classes)` with `include_top=True`.

    Raises:
        ValueError: `weights` is not None.

    References:
        Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv 1801.04381; torchvision's
        `mobilenet_v2`.
    """
    rows = [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 3, 2, 32, 3), (6, 3, 2, 64, 4)]
    rows += [(6, 3, 1, 96, 3), (6, 3, 2, 160, 3), (6, 3, 1, 320, 1)]
    stem = _channels(32 * alpha)
    stages = _stages(stem, [(*row[:3], _channels(row[3] * alpha), row[4]) for row in rows], "relu6")
    top = _channels(1280 * max(1.0, alpha))
    check_no_weights("TorchMobileNetV2", weights)
    return _network("torch_mobilenet_v2", input_tensor, stem, stages, [top], classes * include_top, _Style("relu6"))


def TorchMobileNetV3Small(
    include_top: bool = False,
    weights: None = None,
    input_tensor: keras.KerasTensor | None = None,
    classes: int = 1000,
    alpha: float = 1.0,
) -> keras.Model:
    """Builds MobileNetV3 Small as torchvision has it, so that its weights give the same numbers.

    Published: the network with 2,542,856 parameters in its 1000-way form. `MobileNetV3Small` of keras.applications
    pads its strided convolutions less at the top and left, and has other weights.

    Args:
        include_top: Whether to add global average pooling and a classifier with one hidden layer.
        weights: Must be None. `farkeras.models.backbones.build_backbone` loads weights from a file.
        input_tensor: Keras tensor `(batch, height, width, 3)`, normalised by
            `farkeras.models.torch_layers.preprocess_input`.
        classes: Number of classes of the classifier.
        alpha: Width multiplier, torchvision's `width_mult`.

    Returns:
        A functional model with output `(batch, height / 32, width / 32, 576)` (sizes rounded up), or logits
        `(batch, classes)` with `include_top=True`.

    Raises:
        ValueError: `weights` is not None.

    References:
        Howard et al., Searching for MobileNetV3, arXiv 1905.02244; torchvision's `mobilenet_v3_small`.
    """
    rows = [(3, 16, 16, 2, "relu", True), (3, 72, 24, 2, "relu", False), (3, 88, 24, 1, "relu", False)]
    rows += [(5, 96, 40, 2, "hard_swish", True), *2 * [(5, 240, 40, 1, "hard_swish", True)]]
    rows += [(5, 120, 48, 1, "hard_swish", True), (5, 144, 48, 1, "hard_swish", True)]
    rows += [(5, 288, 96, 2, "hard_swish", True), *2 * [(5, 576, 96, 1, "hard_swish", True)]]
    check_no_weights("TorchMobileNetV3Small", weights)
    return _mobilenet_v3("torch_mobilenet_v3_small", rows, 1024, alpha, input_tensor, classes * include_top)


def TorchMobileNetV3Large(
    include_top: bool = False,
    weights: None = None,
    input_tensor: keras.KerasTensor | None = None,
    classes: int = 1000,
    alpha: float = 1.0,
) -> keras.Model:
    """Builds MobileNetV3 Large as torchvision has it, so that its weights give the same numbers.

    Published: the network with 5,483,032 parameters in its 1000-way form. `MobileNetV3Large` of keras.applications
    pads its strided convolutions less at the top and left, and has other weights.

    Args:
        include_top: Whether to add global average pooling and a classifier with one hidden layer.
        weights: Must be None. `farkeras.models.backbones.build_backbone` loads weights from a file.
        input_tensor: Keras tensor `(batch, height, width, 3)`, normalised by
            `farkeras.models.torch_layers.preprocess_input`.
        classes: Number of classes of the classifier.
        alpha: Width multiplier, torchvision's `width_mult`.

    Returns:
        A functional model with output `(batch, height / 32, width / 32, 960)` (sizes rounded up), or logits
        `(batch, classes)` with `include_top=True`.

    Raises:
        ValueError: `weights` is not None.

    References:
        Howard et al., Searching for MobileNetV3, arXiv 1905.02244; torchvision's `mobilenet_v3_large`.
    """
    rows = [(3, 16, 16, 1, "relu", False), (3, 64, 24, 2, "relu", False), (3, 72, 24, 1, "relu", False)]
    rows += [(5, 72, 40, 2, "relu", True), *2 * [(5, 120, 40, 1, "relu", True)]]
    rows += [(3, 240, 80, 2, "hard_swish", False), (3, 200, 80, 1, "hard_swish", False)]
    rows += [*2 * [(3, 184, 80, 1, "hard_swish", False)], (3, 480, 112, 1, "hard_swish", True)]
    rows += [(3, 672, 112, 1, "hard_swish", True), (5, 672, 160, 2, "hard_swish", True)]
    rows += 2 * [(5, 960, 160, 1, "hard_swish", True)]
    check_no_weights("TorchMobileNetV3Large", weights)
    return _mobilenet_v3("torch_mobilenet_v3_large", rows, 1280, alpha, input_tensor, classes * include_top)


def TorchEfficientNetB0(
    include_top: bool = False, weights: None = None, input_tensor: keras.KerasTensor | None = None, classes: int = 1000
) -> keras.Model:
    """Builds EfficientNet-B0 as torchvision has it, so that its weights give the same numbers.

    Published: the network with 5,288,548 parameters in its 1000-way form. `EfficientNetB0` of keras.applications pads
    its strided convolutions less at the top and left, and has other weights. Unlike both, this network drops no blocks
    during training (stochastic depth).

    Args:
        include_top: Whether to add global average pooling and a linear classifier.
        weights: Must be None. `farkeras.models.backbones.build_backbone` loads weights from a file.
        input_tensor: Keras tensor `(batch, height, width, 3)`, normalised by
            `farkeras.models.torch_layers.preprocess_input`.
        classes: Number of classes of the classifier.

    Returns:
        A functional model with output `(batch, height / 32, width / 32, 1280)` (sizes rounded up), or logits
        `(batch, classes)` with `include_top=True`.

    Raises:
        ValueError: `weights` is not None.

    References:
        Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv 1905.11946;
        torchvision's `efficientnet_b0`.
    """
    stages = _stages(32, _EFFICIENTNET_ROWS, "silu", gated=True)
    style = _Style("silu", gate=("silu", "sigmoid"))
    check_no_weights("TorchEfficientNetB0", weights)
    return _network("torch_efficientnet_b0", input_tensor, 32, stages, [1280], classes * include_top, style)


def EfficientNetLite0(
    include_top: bool = False, weights: None = None, input_tensor: keras.KerasTensor | None = None, classes: int = 1000
) -> keras.Model:
    """Builds EfficientNet-Lite0: EfficientNet-B0 with ReLU6 and without gates on the channels, made for int8.

    Published: the network with 4,652,008 parameters in its 1000-way form, TensorFlow's padding, and images scaled as
    `(x - 127) / 128`. The weights that were converted to PyTorch keep both. This network drops no blocks during
    training (stochastic depth).

    Args:
        include_top: Whether to add global average pooling and a linear classifier.
        weights: Must be None. `farkeras.models.backbones.build_backbone` loads weights from a file.
        input_tensor: Keras tensor `(batch, height, width, 3)`, scaled by `preprocess_lite`.
        classes: Number of classes of the classifier.

    Returns:
        A functional model with output `(batch, height / 32, width / 32, 1280)` (sizes rounded up), or logits
        `(batch, classes)` with `include_top=True`.

    Raises:
        ValueError: `weights` is not None.

    References:
        Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv 1905.11946; the
        folder `models/official/efficientnet/lite` of the repository `tensorflow/tpu`.
    """
    style = _Style("relu6", momentum=0.99, epsilon=1e-3, padding="same")
    stages = _stages(32, _EFFICIENTNET_ROWS, "relu6")
    check_no_weights("EfficientNetLite0", weights)
    return _network("efficientnet_lite0", input_tensor, 32, stages, [1280], classes * include_top, style)


def preprocess_lite(x: keras.KerasTensor) -> keras.KerasTensor:
    """Scales RGB from 0..255 to about -1..1, as EfficientNet-Lite was trained."""
    return (x - 127.0) / 128.0


# Expansion, kernel, stride, filters and number of blocks of each stage of EfficientNet-B0.
_EFFICIENTNET_ROWS = [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3)]
_EFFICIENTNET_ROWS += [(6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1)]


def _stages(
    channels: int, rows: list[tuple[int, int, int, int, int]], activation: str, gated: bool = False
) -> list[list[_Block]]:
    """Spells out rows of (expansion, kernel, stride, filters, number of blocks); only the first block has the stride.

    The gate inside a block has a quarter of the block's input channels.
    """
    stages = []
    for expansion, kernel, stride, filters, count in rows:
        blocks = []
        for number in range(count):
            squeezed = channels // 4 if gated else 0
            step = stride if number == 0 else 1
            blocks.append(_Block(kernel, channels * expansion, filters, step, activation, squeezed))
            channels = filters
        stages.append(blocks)
    return stages


def _mobilenet_v3(
    name: str,
    rows: list[tuple[int, int, int, int, str, bool]],
    hidden: int,
    alpha: float,
    x: keras.KerasTensor,
    classes: int,
) -> keras.Model:
    """Builds one of both MobileNetV3 from rows of (kernel, expanded, filters, stride, activation, gated)."""
    stages = []
    for kernel, expanded, filters, stride, activation, gated in rows:
        expanded = _channels(expanded * alpha)
        squeezed = _channels(expanded // 4) if gated else 0
        stages.append([_Block(kernel, expanded, _channels(filters * alpha), stride, activation, squeezed)])
    top = [6 * stages[-1][0].filters, _channels(hidden * alpha)]
    style = _Style("hard_swish", momentum=0.99, epsilon=1e-3)
    return _network(name, x, _channels(16 * alpha), stages, top, classes, style)


def _channels(channels: float) -> int:
    """Rounds to a multiple of 8, of at least 8, that takes off at most a tenth: torchvision's `_make_divisible`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def _network(
    name: str,
    images: keras.KerasTensor,
    stem: int,
    stages: list[list[_Block]],
    top: list[int],
    classes: int,
    style: _Style,
) -> keras.Model:
    """Builds stem, stages, top and, unless `classes` is 0, a classifier with hidden layers of widths `top[1:]`."""
    unit: dict[str, Any] = {"epsilon": style.epsilon, "momentum": style.momentum, "padding": style.padding}
    x = convolution(images, stem, 3, 2, "stem_conv", "stem_bn", activation=style.activation, **unit)
    for s, blocks in enumerate(stages, start=1):
        for b, block in enumerate(blocks, start=1):
            x = _inverted_residual(x, block, style, unit, f"stage{s}_block{b}")
    x = convolution(x, top[0], 1, 1, "top_conv", "top_bn", activation=style.activation, **unit)
    if classes:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        for i, width in enumerate(top[1:], start=1):
            x = activated(layers.Dense(width, name=f"hidden{i}")(x), style.activation, f"hidden{i}_{style.activation}")
        x = layers.Dense(classes, name="fc")(x)
    return keras.Model(keras.utils.get_source_inputs(images), x, name=name)


def _inverted_residual(
    x: keras.KerasTensor, block: _Block, style: _Style, unit: dict[str, Any], name: str
) -> keras.KerasTensor:
    """Applies a block, with a shortcut around it where size and channels stay. A block may have no expansion."""

    def convolved(y: keras.KerasTensor, filters: int, kernel: int, part: str, **options: Any) -> keras.KerasTensor:
        options = {"stride": 1, "activation": block.activation, **unit, **options}
        return convolution(y, filters, kernel, name=f"{name}_{part}_conv", norm_name=f"{name}_{part}_bn", **options)

    channels, y = x.shape[-1], x
    if block.expanded != channels:
        y = convolved(y, block.expanded, 1, "expand")
    y = convolved(y, block.expanded, block.kernel, "depthwise", stride=block.stride, depthwise=True)
    if block.squeezed:
        inside, outside = style.gate
        z = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_gate_pool")(y)
        z = layers.Conv2D(block.squeezed, 1, kernel_initializer=he_normal(), name=f"{name}_gate_squeeze")(z)
        z = activated(z, inside, f"{name}_gate_{inside}")
        z = layers.Conv2D(block.expanded, 1, kernel_initializer=he_normal(), name=f"{name}_gate_excite")(z)
        z = activated(z, outside, f"{name}_gate_{outside}")
        y = layers.Multiply(name=f"{name}_gate")([y, z])
    y = convolved(y, block.filters, 1, "project", activation=None)
    if block.stride == 1 and block.filters == channels:
        y = layers.Add(name=f"{name}_add")([y, x])
    return y
