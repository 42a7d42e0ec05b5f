"""Writes torch_golden.npz: what PyTorch's networks answer with the weights of torch_values.py. Run by hand.

    pip install torch==2.13.0 torchvision timm resnest efficientnet_lite_pytorch
    python -m tests.models.make_torch_golden

The file has, for each network, the names and shapes of its state dict and, for each size, the first eight logits and
samples of two feature maps: one at stride 8, and the last one.
"""

import importlib.metadata
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from resnest.torch import resnest50

from tests.models.torch_values import SIZES, contrast, images, sample, value

# Network -> (its builder for a size, the modules at stride 8 and before pooling, mean and deviation of its images).
IMAGENET = (255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225]))
NETWORKS = {
    "timm resnest50d": (lambda _: timm.create_model("resnest50d"), "layer2", "layer4", IMAGENET),
    "resnest resnest50": (lambda _: resnest50(pretrained=False), "layer2", "layer4", IMAGENET),
    "torchvision resnet50": (lambda _: torchvision.models.resnet50(), "layer2", "layer4", IMAGENET),
    "torchvision mobilenet_v2": (lambda _: torchvision.models.mobilenet_v2(), "features.6", "features", IMAGENET),
    "torchvision mobilenet_v3_small": (
        lambda _: torchvision.models.mobilenet_v3_small(), "features.3", "features", IMAGENET,
    ),
    "torchvision mobilenet_v3_large": (
        lambda _: torchvision.models.mobilenet_v3_large(), "features.6", "features", IMAGENET,
    ),
    "torchvision efficientnet_b0": (lambda _: torchvision.models.efficientnet_b0(), "features.3", "features", IMAGENET),
    # This one pads for one size of images, as TensorFlow does. It has no module for the last map: see below.
    "efficientnet_lite_pytorch efficientnet-lite0": (
        lambda size: EfficientNet.from_name("efficientnet-lite0", image_size=size), "_blocks.4", None, (127.0, 128.0),
    ),
}  # fmt: skip


def outputs_of(build, early, last, normalisation, size):
    """Returns the state dict's names and shapes, eight logits, and samples of the two feature maps."""
    network = build(size).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    weights = {name: torch.tensor(value(name, shape)) for name, shape in shapes.items() if shape}
    network.load_state_dict(weights, strict=False)  # counters stay
    maps = {}
    for name, module in network.named_modules():
        if name in (early, last):
            module.register_forward_hook(lambda _module, _inputs, output, name=name: maps.update({name: output}))
    mean, deviation = normalisation
    pixels = ((images(size) - mean) / deviation).transpose(0, 3, 1, 2).astype("float32")
    with torch.no_grad():
        logits = network(torch.tensor(pixels)).numpy()
        if last is None:
            maps[last] = network.extract_features(torch.tensor(pixels))
    return shapes, logits[:, :8], *(sample(maps[name].numpy().transpose(0, 2, 3, 1)) for name in (early, last))


def main():
    libraries = ("torch", "torchvision", "timm", "resnest", "efficientnet_lite_pytorch", "numpy")
    found = {"versions": np.array([f"{library} {importlib.metadata.version(library)}" for library in libraries])}
    for network, arguments in NETWORKS.items():
        for size in SIZES:
            shapes, *outputs = outputs_of(*arguments, size)
            for kind, values in zip(("logits", "early", "last"), outputs, strict=True):
                key = f"{network} {size[0]}x{size[1]} {kind}"
                found[key] = values
                print(f"{key}: largest {np.abs(values).max():.3g}, images differ by {contrast(values):.1%}")
                assert np.isfinite(values).all()
                assert contrast(values) > 0.01
        found[f"{network} names"] = np.array(list(shapes))
        found[f"{network} shapes"] = np.array([" ".join(map(str, shape)) for shape in shapes.values()])
    np.savez_compressed(Path(__file__).with_name("torch_golden.npz"), **found)


if __name__ == "__main__":
    main()
