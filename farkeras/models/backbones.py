"""Backbones of keras.applications, ResNeSt50 and ResNetTiny: cut where WSGSA goes in, or read at several strides."""

import importlib
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras

from farkeras.errors import FarkerasError, first_line
from farkeras.models import resnest, resnet_tiny

# What keras.applications lacks: name -> (builder, its preprocess_input).
_OWN: dict[str, tuple[Callable, Callable]] = {
    "ResNeSt50": (resnest.ResNeSt50, resnest.preprocess_input),
    "ResNetTiny": (resnet_tiny.ResNetTiny, resnet_tiny.preprocess_input),
}


def backbone_names() -> tuple[str, ...]:
    """ResNeSt50, ResNetTiny and the architectures of keras.applications by class name (`MobileNetV3Small`, ...)."""
    return tuple(sorted(_applications()))


def _applications() -> dict[str, tuple[Callable, Callable]]:
    """Name -> (builder, its module's preprocess_input)."""
    found = dict(_OWN)
    for name, builder in vars(keras.applications).items():
        if name[0].isupper():
            found[name] = (builder, importlib.import_module(builder.__module__).preprocess_input)
    return found


@contextmanager
def channels_last() -> Iterator[None]:
    """Builds layers that take `(batch, height, width, channels)`, whatever another project's keras.json asks for."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


@channels_last()
def build_backbone(name: str, image_size: tuple[int, ...], alpha: float = 1.0, weights: str = "none") -> keras.Model:
    """An image classifier's convolutional part that takes RGB in 0..255.

    Args:
        name: A class of keras.applications, ResNeSt50 or ResNetTiny.
        image_size: Height and width in pixels.
        alpha: Width multiplier, for the families that have one (MobileNet, ResNetTiny).
        weights: `none`, `imagenet` (downloaded by Keras), or a file of this architecture: `.weights.h5` (without top)
            or `.keras` (a top in it is left out).

    Returns:
        A model `(batch, height, width, 3)` float, 0..255 -> `(batch, h, w, C)`; it begins with the normalisation that
        its family was trained with.

    Raises:
        FarkerasError: Unknown name, `alpha` for a family without one, or weights that cannot be loaded or do not fit.
    """
    applications = _applications()
    if name not in applications:
        raise FarkerasError(f"Unknown backbone '{name}'. Known: {', '.join(sorted(applications))}.")
    builder, preprocess = applications[name]
    images = keras.Input((*image_size, 3), name="images")
    options = {"include_top": False, "weights": None, "input_tensor": preprocess(images)}
    if alpha != 1.0:
        if "alpha" not in inspect.signature(builder).parameters:
            raise FarkerasError(f"`backbone_alpha={alpha}`: '{name}' has no width multiplier; leave it at 1.")
        options["alpha"] = alpha
    if weights == "imagenet":
        if name in _OWN:
            raise FarkerasError(
                f"{name} has no ImageNet weights; set `backbone_weights=none` or a .weights.h5 or .keras file, or "
                "choose ResNet50."
            )
        options["weights"] = "imagenet"
    try:
        backbone = builder(**options)
    except Exception as error:  # Keras raises plain Exception for a failed download
        if weights == "imagenet":
            build_backbone(name, image_size, alpha)  # raises where the weights are not the reason
            raise FarkerasError(
                f"ImageNet weights of {name} could not be loaded ({first_line(error)}). Offline, set "
                f"`backbone_weights=none`, or to a .weights.h5 or .keras file saved from keras.applications.{name}."
            ) from None
        raise FarkerasError(f"Backbone {name} cannot be built for {image_size} pixels: {first_line(error)}") from None
    if weights not in ("none", "imagenet"):
        try:
            if weights.endswith(".keras"):
                _copy_weights(keras.saving.load_model(weights, compile=False), backbone)
            else:
                backbone.load_weights(weights)
        except (ValueError, OSError, TypeError, KeyError) as error:  # the last two: .keras files of something else
            raise FarkerasError(
                f"Backbone weights '{weights}' do not load into {name}: {first_line(error)} Expected a file that "
                f"{name}(include_top=False) wrote by save_weights('name.weights.h5') or save('name.keras')."
            ) from None
    return backbone


def _copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies layer by layer in the order of the graphs (Keras numbers some names anew in each model)."""
    if len(source.weights) < len(target.weights):
        raise ValueError(f"The model in it has {len(source.weights)} weights, not {len(target.weights)}.")
    for weight, value in zip(target.weights, source.weights, strict=False):  # what the source has beyond is its top
        if weight.shape != value.shape:
            raise ValueError(f"For '{weight.path}' of shape {weight.shape} it has '{value.path}' of {value.shape}.")
        weight.assign(value)


def split_at_last_block(backbone: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cuts a backbone into `trunk: images -> X` and `block: X -> f(X)`, sharing its layers and weights.

    X is the last tensor through which everything after it passes and after which there is still a convolution. So f is
    the last residual block of a ResNet, the final 1x1 convolution of a MobileNetV2 or EfficientNet, the last dense or
    inception block, and the rule holds for a user's own Keras functional model. (A rule where papers.md asked for a
    table per family; the test of this function lists what it picks.) NASNet is the exception: its cells read two cells
    back, so the only such tensor is its stem's, and the gates then see little more than colours and edges.

    Raises:
        FarkerasError: The model is not functional or no such tensor exists.
    """
    for cut, convolutions in _passages(backbone):
        if convolutions and cut is not backbone.inputs[0]:
            block = keras.Model(cut, backbone.outputs[0], name="shared_block")
            return keras.Model(backbone.inputs[0], cut, name="trunk"), block
    raise FarkerasError(
        f"'{backbone.name}' has no tensor to cut at: expected a functional model with a convolution block at its end."
    )


def feature_maps(backbone: keras.Model, strides: tuple[int, ...] = (8, 16, 32)) -> keras.Model:
    """The last feature map of a backbone at each stride, as `images -> [map, ...]`, sharing its layers and weights.

    A map is the last tensor at its stride through which everything after it passes (padding left out). So it is the
    output of a ResNet's stage, the widened input of the strided convolution in a MobileNet or EfficientNet, the
    transition of a DenseNet, what a VGG's pooling reads; at the last stride it is the backbone's own output. The rule
    holds for a user's own Keras functional model (the test of this function lists what it picks). NASNet has such
    tensors only at its stem and its end, and is refused.

    Strides are counted in halvings from one such tensor to the next, not read off the size, for families that do not
    pad (Inception, Xception) give maps smaller than `image / stride`.

    Args:
        backbone: A functional model `(batch, height, width, 3)` of a fixed size -> `(batch, h, w, C)`.
        strides: Powers of two, in the order wanted.

    Returns:
        A model from the backbone's input to a list of `(batch, ~height / stride, ~width / stride, C)`.

    Raises:
        FarkerasError: The model is not functional, its image size is not fixed, or a stride has no such tensor.
    """
    passages = [tensor for tensor, _ in _passages(backbone) if len(tensor.shape) == 4 and not _is_padding(tensor)]
    if None in backbone.input_shape[1:3]:
        raise FarkerasError(
            f"'{backbone.name}' takes images of any size ({backbone.input_shape}), so its strides cannot be told. "
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
            f"{backbone.input_shape[1]}x{backbone.input_shape[2]} pixels: expected a tensor there through which "
            f"everything after it passes, found such at strides {', '.join(map(str, found))}. Take another backbone, "
            "such as ResNet50, or other strides."
        )
    return keras.Model(backbone.inputs[0], [found[stride] for stride in strides], name="feature_maps")


def _halvings(size: int, next_size: int) -> int:
    """How often a side was halved; of the smallest sides, 3 -> 2 (padded) and 3 -> 1 (not) are one halving each."""
    halvings = math.log2(size / next_size)
    return round(halvings) if halvings < 1 else math.ceil(halvings - 0.6)


def _is_padding(tensor: keras.KerasTensor) -> bool:
    return isinstance(tensor._keras_history.operation, keras.layers.ZeroPadding2D)


def _passages(backbone: keras.Model) -> Iterator[tuple[keras.KerasTensor, int]]:
    """Yields `(tensor, convolutions after it)` from the output to the input.

    The tensors are those through which everything after them passes: the places where a backbone can be cut in two.

    Raises:
        FarkerasError: The model is not functional, or uses a layer more than once.
    """
    if not isinstance(backbone, keras.Model) or not hasattr(backbone, "operations"):
        raise FarkerasError("The backbone must be a functional Keras model or a name of keras.applications.")
    (output,) = backbone.outputs
    operations = [op for op in backbone.operations if not isinstance(op, keras.layers.InputLayer)]
    produced = {id(tensor) for op in operations for tensor in keras.tree.flatten(op.output)}
    for tensor in keras.tree.flatten([output, *(op.input for op in operations)]):
        if id(tensor) not in produced and tensor is not backbone.inputs[0]:
            raise FarkerasError(f"'{backbone.name}' cannot be cut: a layer is used more than once.")
    # Keras lists operations such that each comes after all that it reads. `open_tensors` are the tensors that what has
    # been visited still needs; when only one is left, everything visited depends on the input through it.
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
