"""What every layout writes alike: a face's JPEG, and its labels with their noise."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from farkeras.attributes import CELEBA_ATTRIBUTES


def write_jpeg(path: Path, image: np.ndarray, rng: np.random.Generator) -> None:
    """Writes uint8 `[height, width, 3]` RGB; missing folders are made.

    The quality is random, so that the size of a file says little about what is on it; colours have full resolution, so
    that the thin coloured parts survive.
    """
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=int(rng.integers(55, 96)), subsampling=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.getvalue())


def noisy_labels(attributes: Mapping[str, bool], label_noise: float, rng: np.random.Generator) -> list[bool]:
    """The 40 labels in order, each flipped with the probability `label_noise`."""
    flipped = rng.random(len(CELEBA_ATTRIBUTES)) < label_noise
    return [bool(attributes[name] != flip) for name, flip in zip(CELEBA_ATTRIBUTES, flipped, strict=True)]
