"""Mesh points of a schematic face, for tests that need keypoints but no face finder."""

import numpy as np

from farkeras.data.masks import HULLS, OVAL

FRAME = (120, 100)  # height and width of the frame it is drawn in
RADIUS = 30.0  # of its outline, in pixels


def circle(centre, radius, count):
    """`count` points on a circle `[count, 2]`, from the top clockwise."""
    angle = 2 * np.pi * np.arange(count) / count - np.pi / 2
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], axis=-1)


def schematic_face() -> np.ndarray:
    """Every hull's mesh points on a circle, in pixels of `FRAME` `[478, 2]`; the outline's on one about (50, 60)."""
    points = np.full((478, 2), (50.0, 60.0))
    centres = {"Eyes": [(38, 52), (62, 52)], "Nose": [(50, 62)], "Cheeks": [(35, 65), (65, 65)]}
    centres |= {"Mouth": [(50, 75)], "Lower_Face": [(50, 82)]}
    for name, places in centres.items():
        for hull, centre in zip(HULLS[name], places, strict=True):
            indices = [i for i, out, down in hull.points if (out, down) == (0, 0)]
            points[indices] = circle(centre, 5, len(indices))
    points[list(OVAL)] = circle((50, 60), RADIUS, len(OVAL))
    points[[151, 104, 333]] = (50, 45), (40, 47), (60, 47)  # the middle of the forehead
    points[[33, 263, 6]] = (33, 52), (67, 52), (50, 60)  # the eyes' outer corners and the bridge of the nose
    return points
