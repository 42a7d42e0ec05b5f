"""Backbones of keras.applications and our own, cut in two for WSGSA or read at several strides."""

import importlib
import inspect
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras

from farkeras.errors import FarkerasError, first_line
from farkeras.models import inverted_residuals, resnest, resnet_tiny, torch_layers, torch_resnet
from farkeras.models.torch_files import TORCH_SUFFIXES, naming, read_state_dict
from farkeras.models.torch_weights import load_state_dict

# Backbones that keras.applications lacks: name -> (builder, its preprocess_input).
_OWN: dict[str, tuple[Callable, Callable]] = {
    "ResNeSt50": (resnest.ResNeSt50, torch_layers.preprocess_input),
    "ResNetTiny": (resnet_tiny.ResNetTiny, resnet_tiny.preprocess_input),
    "TorchResNet50": (torch_resnet.TorchResNet50, torch_layers.preprocess_input),
    "TorchMobileNetV2": (inverted_residuals.TorchMobileNetV2, torch_layers.preprocess_input),
    "TorchMobileNetV3Small": (inverted_residuals.TorchMobileNetV3Small, torch_layers.preprocess_input),
    "TorchMobileNetV3Large": (inverted_residuals.TorchMobileNetV3Large, torch_layers.preprocess_input),
    "TorchEfficientNetB0": (inverted_residuals.TorchEfficientNetB0, torch_layers.preprocess_input),
    "EfficientNetLite0": (inverted_residuals.EfficientNetLite0, inverted_residuals.preprocess_lite),
}


def backbone_names() -> tuple[str, ...]:
    """Lists the backbones: ResNeSt50, ResNetTiny, others of our own, and the classes of keras.applications."""
    return tuple(sorted(_applications()))


def _applications() -> dict[str, tuple[Callable, Callable]]:
    """Returns name -> (builder, its module's preprocess_input)."""
    found = dict(_OWN)
    for name, builder in vars(keras.applications).items():
        if name[0].isupper():
            found[name] = (builder, importlib.import_module(builder.__module__).preprocess_input)
    return found


@contextmanager
def channels_last() -> Iterator[None]:
    """Builds layers for `(batch, height, width, channels)`, regardless of the data format in the user's keras.json."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


@channels_last()
def build_backbone(
    name: str, image_size: tuple[int, ...], alpha: float = 1.0, weights: str | os.PathLike | None = "none"
) -> keras.Model:
    """Builds the convolutional part of an image classifier, for RGB images in 0..255.

    Args:
        name: A name of `backbone_names`.
        image_size: Height and width in pixels.
        alpha: Width multiplier, for the families that have one (MobileNet, ResNetTiny).
        weights: `none` or None, `imagenet` (downloaded by Keras), or a file with weights of this architecture:
            `.weights.h5` (without the classification top), `.keras` (a top is ignored), or PyTorch's `.pth`, `.pt` or
            `.safetensors` for the backbones that equal a network of PyTorch (the classifier is ignored).

    Returns:
        A model from `(batch, height, width, 3)` float in 0..255 to `(batch, h, w, C)`. Its first layers are the input
        normalisation that its family was trained with.

    Raises:
        FarkerasError: The name is unknown, the family has no width multiplier, the backbone cannot be built for this
            size, or the weights cannot be loaded or do not fit.
    """
    applications = _applications()
    weights = os.fspath(weights or "none")
    if name not in applications:
        raise FarkerasError(f"Unknown backbone '{name}'. Known: {', '.join(sorted(applications))}.")
    builder, preprocess = applications[name]
    state = read_state_dict(weights) if weights.lower().endswith(TORCH_SUFFIXES) else {}
    images = keras.Input((*image_size, 3), name="images")
    options = {"include_top": False, "weights": None, "input_tensor": preprocess(images)}
    if alpha != 1.0:
        if "alpha" not in inspect.signature(builder).parameters:
            raise FarkerasError(
                f"Backbone {name} has no width multiplier. Set `backbone_alpha` to 1. Received: {alpha}"
            )
        options["alpha"] = alpha
    if weights == "imagenet":
        if name in _OWN:
            raise FarkerasError(
                f"Keras has no ImageNet weights of {name} to download. Set `backbone_weights` to none, or to a file "
                f"with weights of {name} (.pth, .keras or .weights.h5), or use another backbone, such as ResNet50."
            )
        options["weights"] = "imagenet"
    try:
        backbone = builder(**options)
    except Exception as error:  # Keras raises plain Exception for a failed download
        if weights == "imagenet":
            build_backbone(name, image_size, alpha)  # raises if the weights are not the cause
            raise FarkerasError(
                f"The ImageNet weights of {name} could not be loaded ({first_line(error)}). If you are offline, set "
                f"`backbone_weights` to none, or to a .weights.h5 or .keras file saved from keras.applications.{name}."
            ) from None
        height, width = image_size
        reason = first_line(error)
        raise FarkerasError(f"Backbone {name} cannot be built for {height} x {width} pixels: {reason}") from None
    if state:
        with naming(weights):
            load_state_dict(backbone, name, state)
    elif weights not in ("none", "imagenet"):
        try:
            if weights.endswith(".keras"):
                _copy_weights(keras.saving.load_model(weights, compile=False), backbone)
            else:
                backbone.load_weights(weights)
        except (ValueError, OSError, TypeError, KeyError) as error:  # the last two: other .keras files
            raise FarkerasError(
                f"Backbone weights '{weights}' cannot be loaded into {name}: {first_line(error)} Expected a file that "
                f"{name}(include_top=False) saved with save_weights('name.weights.h5') or save('name.keras')."
            ) from None
    return backbone


def _copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies weights in the order of the layers, not by name, because Keras numbers some names anew in each model."""
    if len(source.weights) < len(target.weights):
        raise ValueError(f"The model in the file has {len(source.weights)} weights, not {len(target.weights)}.")
    for weight, value in zip(target.weights, source.weights, strict=False):  # further weights are the source's top
        if weight.shape != value.shape:
            raise ValueError(
                f"Weight '{weight.path}' has shape {weight.shape}, but '{value.path}' in the file has {value.shape}."
            )
        weight.assign(value)


def split_at_last_block(backbone: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cuts a backbone into two models: `trunk`, from the images to X, and `block`, from X to f(X).

    Published: ResNet50 is cut before the last residual block of conv5. Our formulation, for any functional Keras model:
    X is the last tensor on which everything after it depends, with at least one convolution after it. So f is the last
    residual block of a ResNet, the final 1x1 convolution of a MobileNetV2 or EfficientNet, or the last dense or
    inception block. The test of this function lists the cut of each family. NASNet is an exception: each of its cells
    reads the two cells before it, so the only such tensor is the output of its stem, and the gates then read little
    more than colours and edges.

    Args:
        backbone: A functional Keras model.

    Returns:
        A pair `(trunk, block)` that shares the backbone's layers and weights.

    Raises:
        FarkerasError: The model is not functional, uses a layer more than once, or has no such tensor.
    """
    for cut, convolutions in _passages(backbone):
        if convolutions and cut is not backbone.inputs[0]:
            return _cut(backbone, cut, "shared_block")
    raise FarkerasError(
        f"The backbone '{backbone.name}' cannot be cut before its last block: expected a functional model that ends "
        "with a block of convolutions."
    )


def split_at_last_stage(backbone: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cuts a backbone into two models: `trunk`, from the images to the last map of the stride before the backbone's
    own, and `stage`, from there to the backbone's output.

    For ResNet50, the stage is conv5. In a MobileNet or EfficientNet it begins with a strided convolution in the middle
    of a block, as the maps of `feature_maps` end there.

    Args:
        backbone: A functional Keras model with a known height and width.

    Returns:
        A pair `(trunk, stage)` that shares the backbone's layers and weights.

    Raises:
        FarkerasError: The model is not functional, uses a layer more than once, or has no such map.
    """
    fixed = None not in backbone.input_shape[1:3]
    for cut, convolutions in _passages(backbone) if fixed else ():
        sizes = [max(tensor.shape[1:3]) for tensor in (cut, backbone.outputs[0])]
        if convolutions and cut is not backbone.inputs[0] and not _is_padding(cut) and _halvings(*sizes):
            return _cut(backbone, cut, "stage")
    raise FarkerasError(
        f"The backbone '{backbone.name}' cannot be cut before its last stage: expected a functional model for images "
        "of a fixed size, with a strided convolution on which everything after it depends."
    )


def _cut(backbone: keras.Model, tensor: keras.KerasTensor, name: str) -> tuple[keras.Model, keras.Model]:
    rest = keras.Model(tensor, backbone.outputs[0], name=name)
    return keras.Model(backbone.inputs[0], tensor, name="trunk"), rest


def feature_maps(backbone: keras.Model, strides: tuple[int, ...] = (8, 16, 32)) -> keras.Model:
    """Builds a model from images to the backbone's last feature map at each stride.

    Published: ResNeSt50's maps at strides 8, 16 and 32. Our formulation, for any functional Keras model: a feature map
    is the last tensor at its stride on which everything after it depends; outputs of padding layers do not count. So it
    is the output of a stage of a ResNet, the expanded input of the strided convolution in a MobileNet or EfficientNet,
    the output of a transition in a DenseNet, or the input of a pooling layer in a VGG. At the last stride it is the
    backbone's output. The test of this function lists the maps of each family. NASNet has such tensors only at its stem
    and its end, so it raises an error.

    Strides are counted in halvings from one such tensor to the next. They are not derived from the sizes, because
    families without padding (Inception, Xception) have maps smaller than `image / stride`.

    Args:
        backbone: A functional model from `(batch, height, width, 3)`, with a fixed height and width, to
            `(batch, h, w, C)`.
        strides: Powers of two, in the order of the outputs.

    Returns:
        A model that shares the backbone's layers and weights. Its outputs are a list of maps, each about
        `(batch, height / stride, width / stride, C)`.

    Raises:
        FarkerasError: The model is not functional, uses a layer more than once, has no fixed image size, or has no
            such tensor at one of the strides.
    """
    passages = [tensor for tensor, _ in _passages(backbone) if len(tensor.shape) == 4 and not _is_padding(tensor)]
    if None in backbone.input_shape[1:3]:
        raise FarkerasError(
            f"'{backbone.name}' takes images of any size ({backbone.input_shape}), so its strides are unknown. "
            "Build it for a fixed height and width."
        )
    found, halvings, size = {}, 0, max(backbone.input_shape[1:3])
    for tensor in reversed(passages):
        halvings += _halvings(size, max(tensor.shape[1:3]))
        size = max(tensor.shape[1:3])
        found[2**halvings] = tensor
    missing = [stride for stride in strides if stride not in found]
    if missing:
        raise FarkerasError(
            f"Backbone '{backbone.name}' has no feature map at stride {missing[0]} for images of "
            f"{backbone.input_shape[1]}x{backbone.input_shape[2]} pixels: expected a tensor there on which all later "
            f"layers depend, found such tensors at strides {', '.join(map(str, found))}. Use another backbone, such as "
            "ResNet50, or other strides."
        )
    return keras.Model(backbone.inputs[0], [found[stride] for stride in strides], name="feature_maps")


def _halvings(size: int, next_size: int) -> int:
    """Counts the halvings between two sizes; 3 -> 2 (with padding) and 3 -> 1 (without) both count as one halving."""
    halvings = math.log2(size / next_size)
    return round(halvings) if halvings < 1 else math.ceil(halvings - 0.6)


def _is_padding(tensor: keras.KerasTensor) -> bool:
    return isinstance(tensor._keras_history.operation, keras.layers.ZeroPadding2D)


def _passages(backbone: keras.Model) -> Iterator[tuple[keras.KerasTensor, int]]:
    """Yields `(tensor, number of convolutions after it)` for each tensor at which a backbone can be cut in two.

    Everything after such a tensor depends on the input through this tensor alone. The order is from output to input.

    Raises:
        FarkerasError: The model is not functional, or uses a layer more than once.
    """
    if not isinstance(backbone, keras.Model) or not hasattr(backbone, "operations"):
        raise FarkerasError(
            "The backbone must be a functional Keras model or the name of a backbone. "
            f"Received: {type(backbone).__name__}"
        )
    (output,) = backbone.outputs
    operations = [op for op in backbone.operations if not isinstance(op, keras.layers.InputLayer)]
    produced = {id(tensor) for op in operations for tensor in keras.tree.flatten(op.output)}
    for tensor in keras.tree.flatten([output, *(op.input for op in operations)]):
        if id(tensor) not in produced and tensor is not backbone.inputs[0]:
            raise FarkerasError(f"The backbone '{backbone.name}' cannot be cut because a layer is used more than once.")
    # In Keras's list, each operation comes after those whose outputs it reads. `open_tensors` are the tensors that the
    # visited operations need; when only one is left, they all depend on the input through it.
    open_tensors = {id(output): output}
    convolutions = 0
    yield output, convolutions
    for operation in reversed(operations):
        node_outputs = [t for t in keras.tree.flatten(operation.output) if id(t) in open_tensors]
        if not node_outputs:
            continue
        for tensor in node_outputs:
            del open_tensors[id(tensor)]
        convolutions += "Conv" in type(operation).__name__
        for tensor in keras.tree.flatten(operation.input):
            open_tensors[id(tensor)] = tensor
        if len(open_tensors) == 1:
            (tensor,) = open_tensors.values()
            yield tensor, convolutions
