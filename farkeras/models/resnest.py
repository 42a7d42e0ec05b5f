import keras
from keras import layers, ops

from farkeras.models.torch_layers import check_no_weights, convolution, he_normal, resnet50_stages


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

    `farkeras.models.torch_weights` maps the layers to those of timm's `resnest50d` and the authors' `resnest50`.

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
    check_no_weights("ResNeSt50", weights)
    x = input_tensor
    for i, (width, stride) in enumerate([(32, 2), (32, 1), (64, 1)], start=1):
        x = convolution(x, width, 3, stride, f"stem_conv{i}", f"stem_bn{i}")
    x = resnet50_stages(x, _bottleneck, classes * include_top)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x, name="resnest50")


def _bottleneck(x: keras.KerasTensor, width: int, stride: int, project: bool, name: str) -> keras.KerasTensor:
    """Applies 1x1 convolution, split attention, 1x1 convolution to four times the width, and a shortcut around them."""
    y = convolution(x, width, 1, 1, f"{name}_conv1", f"{name}_bn1")
    y = _split_attention(y, name)
    if stride > 1:
        y = layers.ZeroPadding2D(1, name=f"{name}_pool_pad")(y)  # the mean includes the zeros, as in the reference
        y = layers.AveragePooling2D(3, stride, name=f"{name}_pool")(y)
    y = convolution(y, 4 * width, 1, 1, f"{name}_conv3", f"{name}_bn3", activation=None)
    if project:
        if stride > 1:
            x = layers.AveragePooling2D(stride, stride, padding="same", name=f"{name}_down_pool")(x)
        x = convolution(x, 4 * width, 1, 1, f"{name}_down_conv", f"{name}_down_bn", activation=None)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([y, x]))


def _split_attention(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Applies split attention; keeps the shape `(batch, h, w, C)`. Each split maps half of the channels to all C."""
    channels = x.shape[-1]
    u1, u2 = (
        convolution(half, channels, 3, 1, f"{name}_split{r}_conv", f"{name}_split{r}_bn")
        for r, half in enumerate(ops.split(x, 2, axis=-1), start=1)
    )
    z = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_gap")(u1 + u2)
    z = convolution(z, max(channels // 2, 32), 1, 1, f"{name}_fc1", f"{name}_fc1_bn", use_bias=True)
    z1, z2 = ops.split(
        layers.Conv2D(2 * channels, 1, kernel_initializer=he_normal(), name=f"{name}_fc2")(z), 2, axis=-1
    )
    a1 = ops.sigmoid(z1 - z2)
    return a1 * u1 + (1 - a1) * u2
