"""Writes the parts that all layouts share: a face's JPEG file, and its labels with noise."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from farkeras.attributes import CELEBA_ATTRIBUTES


def write_jpeg(path: Path, image: np.ndarray, rng: np.random.Generator, style: str) -> None:
    """Writes an RGB image, `uint8` `[height, width, 3]`, as JPEG; missing folders are created.

    The JPEG quality is random, so that the size of a file says little about its content. Chroma is not subsampled, so
    that thin coloured parts survive. The held-out style has a lower quality.
    """
    encoded = io.BytesIO()
    quality = int(rng.integers(55, 96)) - (20 if style == "held_out" else 0)
    Image.fromarray(image).save(encoded, "JPEG", quality=quality, subsampling=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.getvalue())


def noisy_labels(attributes: Mapping[str, bool], label_noise: float, rng: np.random.Generator) -> list[bool]:
    """Returns the 40 labels in order, each flipped with probability `label_noise`."""
    flipped = rng.random(len(CELEBA_ATTRIBUTES)) < label_noise
    return [bool(attributes[name] != flip) for name, flip in zip(CELEBA_ATTRIBUTES, flipped, strict=True)]
