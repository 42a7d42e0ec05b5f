import keras
from keras import layers


def ResNetTiny(
    include_top: bool = False, weights: None = None, input_tensor: keras.KerasTensor | None = None, alpha: float = 1.0
) -> keras.Model:
    """Builds a small residual network of 3x3 convolutions for laptops and small images.

    The network is our own design, without published weights. On a CPU it trains faster than MobileNets of the same
    width, because dense convolutions use the processor better than depthwise convolutions. It has five stages at
    strides 2, 4, 8, 16 and 32; stages three to five end in a residual block. Batch normalisation has momentum 0.9,
    which suits short runs.

    Args:
        include_top: Must be False: there is no classification layer.
        weights: Must be None: there are no published weights.
        input_tensor: Keras tensor `(batch, height, width, 3)`, values in -1..1.
        alpha: Width multiplier of the stages' 16, 32, 64, 128 and 256 channels; each stage keeps at least 8.

    Returns:
        A functional model with output `(batch, height / 32, width / 32, 256 alpha)` (sizes rounded up).

    Raises:
        ValueError: `include_top` is not False, or `weights` is not None.
    """
    if include_top or weights is not None:
        raise ValueError(
            "ResNetTiny has no top and no published weights; expected include_top=False, weights=None. "
            f"Received: include_top={include_top}, weights={weights}"
        )

    def convolution(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    x = input_tensor
    for stage, width in enumerate((16, 32, 64, 128, 256), start=1):
        filters = max(8, round(width * alpha))
        x = layers.ReLU(name=f"stage{stage}_down_relu")(convolution(x, filters, 2, f"stage{stage}_down"))
        if stage >= 3:
            y = layers.ReLU(name=f"stage{stage}_1_relu")(convolution(x, filters, 1, f"stage{stage}_1"))
            y = convolution(y, filters, 1, f"stage{stage}_2")
            x = layers.ReLU(name=f"stage{stage}_out")(layers.Add(name=f"stage{stage}_add")([x, y]))
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x, name="resnet_tiny")


def preprocess_input(x: keras.KerasTensor) -> keras.KerasTensor:
    """Scales RGB from 0..255 to -1..1."""
    return x / 127.5 - 1.0
