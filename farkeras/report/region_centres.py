"""Computes the centre of a facial region from a model's masks, and from MediaPipe's landmarks."""

import numpy as np

from farkeras.photos.regions import FaceRegions
from farkeras.report.overlay import smooth_mask

MESH_POINTS = {
    "Eyes": (33, 133, 362, 263, 105, 334),  # both corners of each eye, the middle of each eyebrow
    "Nose": (6, 4, 2, 98, 327),  # bridge, tip, base and both wings
    "Mouth": (61, 291, 0, 17),  # both corners, the upper and the lower lip's edge
}
"""Region -> landmarks whose mean is the region's centre."""


def region_centre(face: FaceRegions, region: str) -> np.ndarray:
    """Computes the centre of the area in a region's outline: `[2]`, `x, y` in image pixels; NaN if there is none."""
    mask, points = smooth_mask(face, region)
    if mask.max() < 0.5:
        return np.full(2, np.nan)
    return points[mask >= 0.5].mean(axis=0)


def mesh_centre(points: np.ndarray, region: str) -> np.ndarray:
    """Computes the centre of the region in the landmarks `[478, 2]` of `find_face`: `[2]`, `x, y` in image pixels."""
    return points[list(MESH_POINTS[region])].mean(axis=0)
