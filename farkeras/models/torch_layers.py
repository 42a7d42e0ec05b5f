"""What the backbones that equal PyTorch's networks share: convolution units, widths and the normalisation of images."""

from collections.abc import Callable
from typing import Literal

import keras
import numpy as np
from keras import layers

# Mean and standard deviation of ImageNet's channels in 0..255, as in torchvision and timm.
MEAN = np.array([0.485, 0.456, 0.406], "float32") * 255
STD = np.array([0.229, 0.224, 0.225], "float32") * 255


def preprocess_input(x: keras.KerasTensor) -> keras.KerasTensor:
    """Normalises RGB in 0..255 to zero mean and unit standard deviation per channel, measured on ImageNet."""
    return (x - MEAN) / STD


def resnet50_stages(
    x: keras.KerasTensor, bottleneck: Callable[..., keras.KerasTensor], classes: int
) -> keras.KerasTensor:
    """Applies what follows the stem of a 50-layer ResNet: max pooling, 16 blocks in four stages, and the classifier.

    Args:
        x: Output of the stem, not negative, `(batch, height, width, 64)`.
        bottleneck: Applies a block: `bottleneck(x, width, stride, project, name)`; its output has `4 * width` channels.
        classes: Number of classes; 0 leaves out global average pooling and the linear classifier.

    Returns:
        `(batch, height / 16, width / 16, 2048)`, sizes rounded up, or logits `(batch, classes)`.
    """
    # Padding with zeros does not change the maximum, because x >= 0.
    x = layers.MaxPooling2D(3, 2, name="stem_pool")(layers.ZeroPadding2D(1, name="stem_pool_pad")(x))
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=1):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = bottleneck(x, width, stride, block == 1, f"stage{stage}_block{block}")
    if classes:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(classes, name="fc")(x)
    return x


def convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    stride: int,
    name: str,
    norm_name: str,
    *,
    use_bias: bool = False,
    activation: str | None = "relu",
    depthwise: bool = False,
    padding: Literal["symmetric", "same"] = "symmetric",
    epsilon: float = 1e-5,
    momentum: float = 0.9,
) -> keras.KerasTensor:
    """Applies convolution, batch normalisation and activation, as PyTorch's networks have them.

    Args:
        x: `(batch, height, width, C)`.
        filters: Output channels; C with `depthwise`.
        kernel: Height and width of the kernel, odd.
        stride: 1 or 2.
        name: Name of the convolution.
        norm_name: Name of the batch normalisation; that of the activation begins with it.
        use_bias: Whether the convolution has a bias.
        activation: `relu`, `relu6`, a name of `keras.activations`, or None.
        depthwise: Whether each channel is convolved alone.
        padding: `symmetric` pads all sides equally, as PyTorch does. `same` is TensorFlow's, which pads less at the top
            and left when the stride is 2.
        epsilon: Epsilon of the batch normalisation.
        momentum: Momentum of the batch normalisation; PyTorch counts it from the other end, as 1 - momentum.

    Returns:
        `(batch, height / stride, width / stride, filters)`, sizes rounded up.
    """
    border: str = "same"
    if kernel > 1 and stride > 1 and padding == "symmetric":
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        border = "valid"
    if depthwise:
        x = layers.DepthwiseConv2D(
            kernel, stride, border, use_bias=use_bias, depthwise_initializer=he_normal(), name=name
        )(x)
    else:
        x = layers.Conv2D(
            filters, kernel, stride, border, use_bias=use_bias, kernel_initializer=he_normal(), name=name
        )(x)
    x = layers.BatchNormalization(momentum=momentum, epsilon=epsilon, name=norm_name)(x)
    if activation is None:
        return x
    return activated(x, activation, f"{norm_name}_{activation}")


def activated(x: keras.KerasTensor, activation: str, name: str) -> keras.KerasTensor:
    """Applies `relu`, `relu6` or another activation of `keras.activations`, as a layer with this name."""
    limits = {"relu": None, "relu6": 6.0}
    if activation in limits:
        return layers.ReLU(limits[activation], name=name)(x)
    return layers.Activation(activation, name=name)(x)


def he_normal() -> keras.initializers.Initializer:
    """Returns the initialiser of torchvision's convolutions (`kaiming_normal_` with `fan_out`)."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def check_no_weights(name: str, weights: None) -> None:
    """Raises a ValueError unless `weights` is None: these backbones have no weights that Keras could download."""
    if weights is not None:
        raise ValueError(f"{name} has no published Keras weights; expected weights=None. Received: {weights}")
