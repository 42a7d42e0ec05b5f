"""Patterns of the held-out style: noise of a given size, and the surfaces on which it is painted."""

import math

import numpy as np
from PIL import Image

from farkeras.synthetic.canvas import HEIGHT, WIDTH


def noise(rng: np.random.Generator, across: float, down: float | None = None) -> np.ndarray:
    """Returns smooth noise with a variance of about 1, `float32` `[218, 178]`.

    Args:
        rng: The random generator.
        across: Width of a bump in pixels, at least 1.
        down: Height of a bump. None: the same as its width.
    """
    rows, columns = round(HEIGHT / (down or across)) + 1, round(WIDTH / across) + 1
    coarse = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
    return np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def surface(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Returns a pattern over the image with a variance of about 1, `float32` `[218, 178]`.

    Args:
        kind: "canvas" is woven, "brush" has strokes in one direction, "hatching" has slanted lines, "paper" blotches.
        rng: The random generator, which decides phase, size and direction.
    """
    y, x = np.arange(HEIGHT, dtype=np.float32)[:, None], np.arange(WIDTH, dtype=np.float32)
    size, phase = rng.uniform(3, 7), rng.uniform(0, 6)
    if kind == "canvas":
        woven = np.sin(2 * np.pi / size * x + phase) * np.sin(2 * np.pi / size * y)
        return (1.5 * woven + 0.6 * noise(rng, 3)).astype(np.float32)
    if kind == "brush":
        return noise(rng, 24, 3) if rng.random() < 0.5 else noise(rng, 3, 24)
    if kind == "hatching":
        slant = rng.choice((-1, 1))
        return (1.2 * np.sin(2 * np.pi / size * (0.7 * x + slant * 0.7 * y) + noise(rng, 20))).astype(np.float32)
    return 0.6 * noise(rng, 2) + 0.8 * noise(rng, 7)


def dapples(rng: np.random.Generator, size: float, slats: bool) -> np.ndarray:
    """Returns the shadows of leaves, or of a blind's slats, over the image: `float32` `[218, 178]` in 0..1.

    Args:
        rng: The random generator, which decides place and direction.
        size: Size of a shadow in pixels.
        slats: Whether the shadows are stripes.
    """
    if slats:
        y, x = np.arange(HEIGHT, dtype=np.float32)[:, None], np.arange(WIDTH, dtype=np.float32)
        angle, phase = rng.uniform(-0.7, 0.7), rng.uniform(0, 6)
        height = np.sin(np.pi / size * (np.float32(math.sin(angle)) * x + np.float32(math.cos(angle)) * y) + phase)
    else:
        height = noise(rng, size)
    return np.clip(0.5 + 2 * height, 0, 1).astype(np.float32)
