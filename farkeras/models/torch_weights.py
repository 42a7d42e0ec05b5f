"""Weights of PyTorch's networks for the backbones that equal them: which network it is, and which tensor goes where."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from farkeras.errors import FarkerasError, few

_Modules = dict[str, tuple[str, int | None]]
"""Layer of the backbone -> (PyTorch's module, which half of its outputs: 0, 1, or None for all of them)."""


@dataclass(frozen=True)
class _Source:
    """A network of PyTorch, and how its modules map to the layers of a backbone."""

    network: str
    backbone: str
    marks: tuple[str, ...]  # tensors that it has
    without: tuple[str, ...]  # tensors that only similar networks have
    classifier: str  # the module of the top
    modules: Callable[[list[str]], _Modules]


_AXES = {"Dense": (1, 0), "DepthwiseConv2D": (2, 3, 0, 1), "Conv2D": (2, 3, 1, 0)}
"""The order of PyTorch's axes that gives Keras's: (out, in, height, width) -> (height, width, in, out) for Conv2D."""

_TENSORS = {"kernel": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
_TENSORS |= {"moving_mean": "running_mean", "moving_variance": "running_var"}


def architecture_of(state: Mapping[str, np.ndarray]) -> str:
    """Names the backbone that a PyTorch state dict belongs to, by the names of its tensors.

    Names and shapes do not tell everything: a network with the same tensors but another padding or another
    normalisation of the images is taken for the one in the table of `docs/weights.md`.

    Args:
        state: Tensor name -> values, with or without the classifier.

    Returns:
        A backbone of `farkeras.models.backbones`, such as `TorchResNet50`.

    Raises:
        FarkerasError: The tensors belong to no network that farkeras has.
    """
    return _source_of(state).backbone


def load_state_dict(backbone: keras.Model, name: str, state: Mapping[str, np.ndarray]) -> list[str]:
    """Assigns a PyTorch state dict to the backbone that equals its network; nothing is assigned if anything is amiss.

    Args:
        backbone: A model that `farkeras.models.backbones.build_backbone` or the backbone's builder has made; with its
            classification top (`include_top=True`), the top's weights are loaded, too.
        name: The backbone's name, such as `TorchResNet50`.
        state: Tensor name -> values. Each tensor must fit a weight of the backbone, except for the classifier and the
            counters of batch normalisation (`num_batches_tracked`).

    Returns:
        The names of the tensors that were left out.

    Raises:
        FarkerasError: The tensors belong to another backbone or to none; one is missing, unexpected, of another shape,
            or not finite.
    """
    source = _source_of(state)
    if source.backbone != name:
        raise FarkerasError(
            f"The weights are those of {source.network}, which fit the backbone {source.backbone}. Received: {name}. "
            f"Set `backbone` to {source.backbone}, or use a file with weights of {name}."
        )
    layers = [layer for layer in backbone.layers if layer.weights]
    modules = source.modules([layer.name for layer in layers])
    values, used = [], set()
    for layer in layers:
        module, half = modules[layer.name]
        for weight in layer.weights:
            tensor = f"{module}.{_TENSORS[weight.name]}"
            axes = _AXES[type(layer).__name__] if weight.name == "kernel" else (0,)
            shape = [weight.shape[axes.index(axis)] for axis in range(len(axes))]
            shape[0] *= 1 if half is None else 2
            value = _checked(state, tensor, tuple(shape), source)
            if half is not None:
                value = np.split(value, 2)[half]
            values.append(np.transpose(value, axes))
            used.add(tensor)
    left_out = [tensor for tensor in state if tensor not in used]
    for tensor in left_out:
        of_top = tensor.startswith(f"{source.classifier}.") and "fc" not in modules
        if not of_top and not tensor.endswith(".num_batches_tracked"):
            raise FarkerasError(
                f"The weights look like those of {source.network}, but that network has no tensor '{tensor}'. "
                f"Received one of shape {np.shape(state[tensor])}. Use a file with the weights of {source.network}."
            )
    for weight, value in zip([weight for layer in layers for weight in layer.weights], values, strict=True):
        weight.assign(value)
    return left_out


def _checked(state: Mapping[str, np.ndarray], tensor: str, shape: tuple[int, ...], source: _Source) -> np.ndarray:
    """Returns a tensor as float32, or raises the error that says what is wrong with it."""
    looks = f"The weights look like those of {source.network}"
    if tensor not in state:
        raise FarkerasError(
            f"{looks}, but tensor '{tensor}' of shape {shape} is missing. Received: {len(state)} tensors. Save the "
            "whole network with torch.save(model.state_dict(), 'name.pth')."
        )
    if np.shape(state[tensor]) != shape:
        raise FarkerasError(
            f"{looks}, but tensor '{tensor}' does not fit {source.backbone}: expected shape {shape}. Received: "
            f"{np.shape(state[tensor])}. Use weights of the same variant and width."
        )
    value = np.asarray(state[tensor], "float32")
    if not np.isfinite(value).all():
        raise FarkerasError(
            f"{looks}, but tensor '{tensor}' has values that are not finite in float32. Use weights of a finished "
            "training."
        )
    return value


def _source_of(state: Mapping[str, np.ndarray]) -> _Source:
    for source in _SOURCES:
        if all(mark in state for mark in source.marks) and not any(mark in state for mark in source.without):
            return source
    received = few([f"'{tensor}'" for tensor in state]) or "no tensors"
    if "conv_stem.weight" in state:
        raise FarkerasError(
            "The tensors are named as in timm's MobileNets and EfficientNets, where networks with different padding "
            f"and normalisation have the same names, so farkeras cannot tell them apart. Received: {received}. Use the "
            f"weights of {_known(source for source in _SOURCES if 'resne' not in source.network)}."
        )
    raise FarkerasError(
        f"The tensors belong to no network that farkeras has. Expected: those of {_known(_SOURCES)}. Received: "
        f"{received}. Use weights of one of these networks, or a .keras file."
    )


def _known(sources: Iterable[_Source]) -> str:
    *others, last = (f"{source.network} ({source.backbone})" for source in sources)
    return f"{', '.join(others)} or {last}"


def _resnet(layers: list[str], stem: dict[str, str], blocks: dict[str, str]) -> _Modules:
    """Maps `stage<s>_block<b>_<name>` to `layer<s>.<b - 1>.<name>`, with other names in `blocks`."""
    found: _Modules = {}
    for layer in layers:
        if layer in stem:
            found[layer] = stem[layer], None
            continue
        stage, block, name = _parts(layer)
        half = re.fullmatch(
            r"split(\d)_(\w+)", name
        )  # ResNeSt's 3x3 convolution in two groups is two convolutions here
        if half:
            name = f"split_{half[2]}"
        module = f"layer{stage}.{block - 1}.{blocks.get(name, name)}"
        found[layer] = module, int(half[1]) - 1 if half else None
    return found


def _resnet50(layers: list[str]) -> _Modules:
    stem = {"stem_conv": "conv1", "stem_bn": "bn1", "fc": "fc"}
    return _resnet(layers, stem, {"down_conv": "downsample.0", "down_bn": "downsample.1"})


def _resnest50(layers: list[str]) -> _Modules:
    stem = {"stem_conv1": "conv1.0", "stem_bn1": "conv1.1", "stem_conv2": "conv1.3", "stem_bn2": "conv1.4"}
    stem |= {"stem_conv3": "conv1.6", "stem_bn3": "bn1", "fc": "fc"}
    blocks = {"split_conv": "conv2.conv", "split_bn": "conv2.bn0", "down_conv": "downsample.1"}
    blocks |= {"fc1": "conv2.fc1", "fc1_bn": "conv2.bn1", "fc2": "conv2.fc2", "down_bn": "downsample.2"}
    return _resnet(layers, stem, blocks)


def _torchvision(layers: list[str], inside: str, staged: bool) -> _Modules:
    """Maps the layers of inverted residuals to torchvision's, which are numbered, not named.

    A block's convolutions are numbered in their order, so that a number depends on which of them the block has. With
    `staged`, `features.3.1` is a block of the third stage, else `features.3` is the third block. MobileNetV2 has the
    last convolution and its normalisation side by side; the others have each pair inside one module.
    """
    blocks: dict[tuple[int, int], list[str]] = {}
    for layer in layers:
        if layer.startswith("stage"):
            stage, block, name = _parts(layer)
            parts = blocks.setdefault((stage, block), [])
            if (part := name.split("_")[0]) not in parts:
                parts.append(part)
    top = 1 + (max(stage for stage, _ in blocks) if staged else len(blocks))
    found = {"stem_conv": "features.0.0", "stem_bn": "features.0.1"}
    found |= {"top_conv": f"features.{top}.0", "top_bn": f"features.{top}.1"}
    found |= {"hidden1": "classifier.0", "fc": "classifier.3" if "hidden1" in layers else "classifier.1"}
    for number, ((stage, block), parts) in enumerate(blocks.items(), start=1):
        path = f"features.{stage}.{block - 1}" if staged else f"features.{number}"
        for i, part in enumerate(parts):
            if part == "gate":
                modules = {"squeeze": f"{i}.fc1", "excite": f"{i}.fc2"}
            elif part == "project" and inside == "conv":
                modules = {"conv": f"{i}", "bn": f"{i + 1}"}
            else:
                modules = {"conv": f"{i}.0", "bn": f"{i}.1"}
            for name, module in modules.items():
                found[f"stage{stage}_block{block}_{part}_{name}"] = f"{path}.{inside}.{module}"
    return {layer: (found[layer], None) for layer in layers}


def _lite(layers: list[str]) -> _Modules:
    found = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1", "fc": "_fc"}
    blocks = dict.fromkeys(_parts(layer)[:2] for layer in layers if layer.startswith("stage"))
    for number, (stage, block) in enumerate(blocks):
        for i, part in enumerate(["expand", "depthwise", "project"]):
            found[f"stage{stage}_block{block}_{part}_conv"] = f"_blocks.{number}._{part}_conv"
            found[f"stage{stage}_block{block}_{part}_bn"] = f"_blocks.{number}._bn{i}"
    return {layer: (found[layer], None) for layer in layers}


def _parts(layer: str) -> tuple[int, int, str]:
    """Splits `stage3_block1_expand_conv` into 3, 1 and `expand_conv`."""
    stage, block, name = layer.split("_", 2)
    return int(stage.removeprefix("stage")), int(block.removeprefix("block")), name


_SOURCES = (
    _Source(
        "timm's resnest50d or the authors' resnest50", "ResNeSt50",
        ("conv1.0.weight", "layer1.0.conv2.fc1.weight"), (), "fc", _resnest50,
    ),
    _Source(
        "torchvision's resnet50", "TorchResNet50",
        ("conv1.weight", "layer1.0.conv3.weight", "layer1.0.downsample.0.weight"), (), "fc", _resnet50,
    ),
    _Source(
        "torchvision's mobilenet_v2", "TorchMobileNetV2",
        ("features.0.0.weight", "features.1.conv.0.0.weight"), (), "classifier",
        lambda layers: _torchvision(layers, "conv", staged=False),
    ),
    _Source(
        "torchvision's mobilenet_v3_small", "TorchMobileNetV3Small",
        ("features.0.0.weight", "features.1.block.1.fc1.weight", "features.12.0.weight"), (), "classifier",
        lambda layers: _torchvision(layers, "block", staged=False),
    ),
    _Source(
        "torchvision's mobilenet_v3_large", "TorchMobileNetV3Large",
        ("features.0.0.weight", "features.1.block.1.0.weight", "features.16.0.weight"), (), "classifier",
        lambda layers: _torchvision(layers, "block", staged=False),
    ),
    _Source(
        "torchvision's efficientnet_b0", "TorchEfficientNetB0",
        ("features.0.0.weight", "features.1.0.block.1.fc1.weight"), (), "classifier",
        lambda layers: _torchvision(layers, "block", staged=True),
    ),
    _Source(
        "efficientnet_lite_pytorch's efficientnet-lite0", "EfficientNetLite0",
        ("_conv_stem.weight", "_blocks.0._depthwise_conv.weight"), ("_blocks.0._se_reduce.weight",), "_fc", _lite,
    ),
)  # fmt: skip
