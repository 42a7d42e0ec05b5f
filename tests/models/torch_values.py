"""Weights and images that depend on names and numbers alone: the same for PyTorch's networks and for our backbones.

They come from uniform random numbers only, which NumPy's RandomState gives alike on each machine and in each version.
"""

import zlib

import numpy as np

SIZES = ((96, 80), (97, 75))
"""Even and odd at the strided convolutions, because paddings differ there."""


def value(name, shape):
    """Returns a weight for a name of a state dict, such as `layer1.0.bn1.running_var`, as float32 of this shape."""
    uniform = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)
    kind = name.rsplit(".", 1)[1]
    if kind == "running_var" or (kind == "weight" and len(shape) == 1):  # of a normalisation: 0.5 to 1.5
        small = 0.3 if name.endswith("bn3.weight") else 1.0  # ends a block of a ResNet, whose output adds up
        return (small * (uniform + 0.5)).astype("float32")
    # The others have mean 0: kernels keep the size of what they read, biases and means are smaller.
    size = 0.2 if len(shape) == 1 else (2 / np.prod(shape[1:])) ** 0.5
    return ((2 * uniform - 1) * 3**0.5 * size).astype("float32")


def images(size):
    """Returns three images in 0..255 of large patches and noise, each with another brightness."""
    random = np.random.RandomState(0)
    patches = random.random_sample((3, 4, 4, 3)) * np.reshape([1.0, 0.6, 0.25], (3, 1, 1, 1))
    patches = patches.repeat(-(-size[0] // 4), axis=1).repeat(-(-size[1] // 4), axis=2)[:, : size[0], : size[1]]
    noise = random.random_sample((3, *size, 3))
    return (255 * (0.8 * patches + 0.2 * noise)).astype("float32")


def sample(feature_map):
    """Returns about 16 channels in two corners and the middle of `(batch, h, w, C)`, as `(batch, n)`."""
    _, height, width, channels = feature_map.shape
    picked = feature_map[..., :: max(1, channels // 16)]
    places = [picked[:, 0, 0], picked[:, height // 2, width // 2], picked[:, -1, -1]]
    return np.concatenate(places, axis=-1)


def difference(received, expected):
    """Returns the largest difference, relative to the largest value."""
    return np.abs(received - expected).max() / np.abs(expected).max()


def contrast(values):
    """Returns how far the most similar two images of `(batch, n)` are apart, relative to their values."""
    pairs = [(0, 1), (0, 2), (1, 2)]
    return min(np.linalg.norm(values[i] - values[j]) / np.linalg.norm(values[i]) for i, j in pairs)
