import keras
from keras import layers

from farkeras.models.torch_layers import check_no_weights, convolution, resnet50_stages


def TorchResNet50(
    include_top: bool = False, weights: None = None, input_tensor: keras.KerasTensor | None = None, classes: int = 1000
) -> keras.Model:
    """Builds ResNet-50 as torchvision has it, so that its weights give the same numbers.

    Published: the network with 25,557,032 parameters in its 1000-way form ("v1.5"): a block that halves the size does
    so in its 3x3 convolution. `ResNet50` of keras.applications halves it in the 1x1 convolution before, has biases, and
    expects other weights.

    Args:
        include_top: Whether to add global average pooling and a linear classifier.
        weights: Must be None. `farkeras.models.backbones.build_backbone` loads weights from a file.
        input_tensor: Keras tensor `(batch, height, width, 3)`, normalised by
            `farkeras.models.torch_layers.preprocess_input`.
        classes: Number of classes of the classifier.

    Returns:
        A functional model with output `(batch, height / 32, width / 32, 2048)` (sizes rounded up), or logits
        `(batch, classes)` with `include_top=True`.

    Raises:
        ValueError: `weights` is not None.

    References:
        He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385; torchvision's `resnet50`.
    """
    check_no_weights("TorchResNet50", weights)
    x = convolution(input_tensor, 64, 7, 2, "stem_conv", "stem_bn")
    x = resnet50_stages(x, _bottleneck, classes * include_top)
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x, name="torch_resnet50")


def _bottleneck(x: keras.KerasTensor, width: int, stride: int, project: bool, name: str) -> keras.KerasTensor:
    """Applies 1x1, 3x3 and 1x1 convolutions, the last to four times the width, and a shortcut around them."""
    y = convolution(x, width, 1, 1, f"{name}_conv1", f"{name}_bn1")
    y = convolution(y, width, 3, stride, f"{name}_conv2", f"{name}_bn2")
    y = convolution(y, 4 * width, 1, 1, f"{name}_conv3", f"{name}_bn3", activation=None)
    if project:
        x = convolution(x, 4 * width, 1, stride, f"{name}_down_conv", f"{name}_down_bn", activation=None)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([y, x]))
