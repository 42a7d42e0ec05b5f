"""Cuts CelebA's aligned crop out of a photograph: 178 x 218 pixels, the eyes at fixed positions.

Points are `x, y` in pixels. Whole numbers are pixel centres, so `(0, 0)` is the centre of the top left pixel.
"""

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from farkeras.errors import FarkerasError

CROP_HEIGHT, CROP_WIDTH = 218, 178
CROP_EYES = ((69.0, 111.0), (108.0, 111.0))
"""Positions of the two pupils in CelebA's aligned crop: `x, y` in pixels, the left one in the image first."""


def similarity_from_eyes(eyes: ArrayLike, targets: ArrayLike = CROP_EYES) -> np.ndarray:
    """Computes the rotation, scaling and shift that map two eye centres to two target points.

    Args:
        eyes: `[2, 2]`, `x, y` of the eye centres in pixels; the eye on the left of the image comes first.
        targets: `[2, 2]`, `x, y` of the points to which the eyes are mapped, in the same order.

    Returns:
        `float64` matrix `[2, 3]`; `matrix @ (x, y, 1)` is the point in the target.

    Raises:
        FarkerasError: The eyes are less than one pixel apart.
    """
    left, right = np.asarray(eyes, np.float64) @ (1, 1j)  # as complex numbers, a similarity is z -> turn * z + shift
    target_left, target_right = np.asarray(targets, np.float64) @ (1, 1j)
    if not abs(right - left) >= 1:
        raise FarkerasError("The two eyes lie less than one pixel apart; expected a larger face.")
    turn = (target_right - target_left) / (right - left)
    shift = target_left - turn * left
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def inverse(similarity: np.ndarray) -> np.ndarray:
    """Inverts the `[2, 3]` matrix of `similarity_from_eyes`; the result, `float64` `[2, 3]`, maps target to source."""
    turn, shift = similarity[:, :2], similarity[:, 2:]
    back = turn.T / (turn[:, 0] @ turn[:, 0])  # a rotation times a scale; LAPACK would start threads
    return np.column_stack([back, -back @ shift])


def cut_crop(image: np.ndarray, eyes: ArrayLike) -> np.ndarray:
    """Cuts CelebA's aligned crop out of a photograph.

    A photograph that must be scaled down is low-pass filtered, so that fine detail does not alias. Where the crop
    reaches beyond the photograph, the photograph's edge pixels are repeated.

    Args:
        image: `uint8` array `[height, width, 3]`.
        eyes: `[2, 2]`, `x, y` of the pupils in pixels; the pupil on the left of the image comes first.

    Returns:
        `uint8` array `[218, 178, 3]` with the pupils at `CROP_EYES`.

    Raises:
        FarkerasError: The eyes are less than one pixel apart.
    """
    back, shift = np.split(inverse(similarity_from_eyes(eyes)), [2], axis=1)  # from crop to photograph
    scale = np.hypot(*back[:, 0])  # pixels of the photograph per pixel of the crop

    corners = np.array([(x, y) for x in (-0.5, CROP_WIDTH - 0.5) for y in (-0.5, CROP_HEIGHT - 0.5)])
    corners = corners @ back.T + shift.T
    margin = 3 * max(scale, 1)  # reach of the filters below around a pixel
    start = np.floor(corners.min(axis=0) - margin).astype(int)
    stop = np.ceil(corners.max(axis=0) + margin).astype(int)
    columns, rows = (np.clip(np.arange(start[axis], stop[axis]), 0, image.shape[1 - axis] - 1) for axis in (0, 1))
    patch = Image.fromarray(image[np.ix_(rows, columns)])

    full = np.array(patch.size)
    if scale > 1:
        patch = patch.resize(np.ceil(full / scale).astype(int), Image.Resampling.BICUBIC)
    # Pillow's coordinates start at the corner of the top left pixel, half a pixel before its centre.
    offset = back @ (-0.5, -0.5) + shift[:, 0] + 0.5 - start
    coefficients = np.column_stack([back, offset]) * (patch.size / full)[:, None]
    crop = patch.transform(
        (CROP_WIDTH, CROP_HEIGHT),
        Image.Transform.AFFINE,
        coefficients.ravel().tolist(),
        Image.Resampling.BICUBIC,
    )
    return np.array(crop)
