import keras
import numpy as np
from keras import layers, ops

# Mean and standard deviation of ImageNet's channels in 0..255, as in torchvision and timm.
MEAN = np.array([0.485, 0.456, 0.406], "float32") * 255
STD = np.array([0.229, 0.224, 0.225], "float32") * 255


def ResNeSt50(
    include_top: bool = False, weights: None = None, input_tensor: keras.KerasTensor | None = None, classes: int = 1000
) -> keras.Model:
    """Builds ResNeSt-50: a ResNet-50 with split-attention blocks in place of its 3x3 convolutions.

    Published: the network, in the widely used 50-layer variant with radix 2, cardinality 1, bottleneck width 64 and a
    stem of three 3x3 convolutions (32, 32, 64). Average pooling comes before the 1x1 convolution of a shortcut and, in
    a block that halves the size, after the split attention. With a 1000-way top the network has 27,483,240 trainable
    parameters. Our formulation: the equivalent computation in Keras described below.

        split attention: (x1, x2) = halves of the channels of x
                         u_r = relu( bn( conv3x3_r( x_r ) ) ),                       r = 1, 2
                         (a1, a2) = softmax over r of fc2( relu( bn( fc1( mean over h, w of u1 + u2 ) ) ) )
                         output = a1 u1 + a2 u2

    The reference computes u1 and u2 by one convolution with two groups. Here they are two convolutions on halves of
    the channels, with the same result and number of weights, because TensorFlow trains grouped convolutions on the CPU
    only through XLA, several times slower. The softmax over two values is the sigmoid of their difference.

    The table maps the layers to those of PyTorch (timm's `resnest50d`, the authors' `resnest50`), for converting
    weights; `i` starts at 0:

    | Keras, here | PyTorch |
    |---|---|
    | `stem_conv1`, `stem_bn1`, `stem_conv2`, `stem_bn2` | `conv1.0`, `conv1.1`, `conv1.3`, `conv1.4` |
    | `stem_conv3`, `stem_bn3` | `conv1.6`, `bn1` |
    | `stage<s>_block<i + 1>_<name>` | `layer<s>.<i>.<name>`, with a `<name>` of the rows below |
    | `conv1`, `bn1`, `conv3`, `bn3` | the same |
    | `split1_conv`, `split2_conv` | first and second half of the outputs of `conv2.conv` |
    | `split1_bn`, `split2_bn` | first and second half of `conv2.bn0` |
    | `fc1`, `fc1_bn`, `fc2` | `conv2.fc1`, `conv2.bn1`, `conv2.fc2` |
    | `down_conv`, `down_bn` | `downsample.1`, `downsample.2` |
    | `fc` | `fc` |

    The kernel of a convolution is `(height, width, in, out)` in Keras and `(out, in, height, width)` in PyTorch; that
    of `fc` is `(in, out)` and `(out, in)`. Keras's gamma, beta, moving_mean and moving_variance are PyTorch's weight,
    bias, running_mean and running_var.

    Args:
        include_top: Whether to add global average pooling and a linear classifier.
        weights: Must be None. `farkeras.models.backbones.build_backbone` loads weights from a file.
        input_tensor: Keras tensor `(batch, height, width, 3)`, normalised by `preprocess_input`.
        classes: Number of classes of the classifier.

    Returns:
        A functional model with output `(batch, height / 32, width / 32, 2048)` (sizes rounded up), or logits
        `(batch, classes)` with `include_top=True`.

    Raises:
        ValueError: `weights` is not None.

    Reference:
        Zhang et al., ResNeSt: Split-Attention Networks, arXiv 2004.08955.
    """
    if weights is not None:
        raise ValueError(f"ResNeSt50 has no published Keras weights; expected weights=None. Received: {weights}")
    x = input_tensor
    for i, (width, stride) in enumerate([(32, 2), (32, 1), (64, 1)], start=1):
        x = _convolution(x, width, 3, stride, f"stem_conv{i}", f"stem_bn{i}")
    # Padding with zeros does not change the maximum, because x >= 0.
    x = layers.MaxPooling2D(3, 2, name="stem_pool")(layers.ZeroPadding2D(1, name="stem_pool_pad")(x))
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=1):
        for block in range(1, blocks + 1):
            stride = 2 if block == 1 and stage > 1 else 1
            x = _bottleneck(x, width, stride, block == 1, f"stage{stage}_block{block}")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(classes, name="fc")(x)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x, name="resnest50")


def _bottleneck(x: keras.KerasTensor, width: int, stride: int, project: bool, name: str) -> keras.KerasTensor:
    """Applies 1x1 convolution, split attention, 1x1 convolution to four times the width, and a shortcut around them."""
    y = _convolution(x, width, 1, 1, f"{name}_conv1", f"{name}_bn1")
    y = _split_attention(y, name)
    if stride > 1:
        y = layers.ZeroPadding2D(1, name=f"{name}_pool_pad")(y)  # the mean includes the zeros, as in the reference
        y = layers.AveragePooling2D(3, stride, name=f"{name}_pool")(y)
    y = _convolution(y, 4 * width, 1, 1, f"{name}_conv3", f"{name}_bn3", activate=False)
    if project:
        if stride > 1:
            x = layers.AveragePooling2D(stride, stride, padding="same", name=f"{name}_down_pool")(x)
        x = _convolution(x, 4 * width, 1, 1, f"{name}_down_conv", f"{name}_down_bn", activate=False)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([y, x]))


def _split_attention(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Applies split attention; keeps the shape `(batch, h, w, C)`. Each split maps half of the channels to all C."""
    channels = x.shape[-1]
    u1, u2 = (
        _convolution(half, channels, 3, 1, f"{name}_split{r}_conv", f"{name}_split{r}_bn")
        for r, half in enumerate(ops.split(x, 2, axis=-1), start=1)
    )
    z = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_gap")(u1 + u2)
    z = _convolution(z, max(channels // 2, 32), 1, 1, f"{name}_fc1", f"{name}_fc1_bn", use_bias=True)
    z1, z2 = ops.split(layers.Conv2D(2 * channels, 1, kernel_initializer=_he(), name=f"{name}_fc2")(z), 2, axis=-1)
    a1 = ops.sigmoid(z1 - z2)
    return a1 * u1 + (1 - a1) * u2


def _convolution(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    stride: int,
    name: str,
    norm_name: str,
    use_bias: bool = False,
    activate: bool = True,
) -> keras.KerasTensor:
    """Applies convolution, batch normalisation and ReLU. Padding is equal on all sides, unlike strided "same"."""
    if stride > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    padding = "valid" if stride > 1 else "same"
    x = layers.Conv2D(filters, kernel, stride, padding, use_bias=use_bias, kernel_initializer=_he(), name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=norm_name)(x)
    return layers.ReLU(name=f"{norm_name}_relu")(x) if activate else x


def _he() -> keras.initializers.Initializer:
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def preprocess_input(x: keras.KerasTensor) -> keras.KerasTensor:
    """Normalises RGB in 0..255 to zero mean and unit standard deviation per channel, measured on ImageNet."""
    return (x - MEAN) / STD
