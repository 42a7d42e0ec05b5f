"""Draws the masks of the eight facial regions from the 478 landmarks of MediaPipe's Face Landmarker.

Published (MGMTN, arXiv 2601.01408): the names of the regions, and that the keypoints of a face become binary mask
labels. Ours: the shapes of the regions. The paper uses 98 points of another model, and its regions were not available
to us. Here a region is a union of convex hulls of mesh points, each dilated. The mesh does not cover hair and ears;
their hulls use points on the face's outline that are pushed away from the face. The numbers were chosen once, by eye,
on a photograph and on procedural faces.

Mirroring an image swaps the meanings of left and right points. The masks are still the mirrored masks, because every
region contains both sides of the face and treats them alike.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import zip_longest
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from farkeras.attributes import REGIONS

OVAL = tuple(
    map(
        int,
        "10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 "
        "152 148 176 149 150 136 172 58 132 93 234 127 162 21 54 103 67 109".split(),
    )
)
"""Points of the face's outline in order, from the middle of the forehead down the image's right (MediaPipe's list)."""

_BRIDGE, _FOREHEAD, _CHIN = 6, 10, 152
_EYE_CORNERS = (33, 263)  # the outer corners, from the image's left to its right


class Hull(NamedTuple):
    """A dilated convex hull of points.

    Attributes:
        points: Triples (i, out, down). Mesh point i is pushed away from the bridge of the nose by the fraction `out` of
            its distance from the bridge, then down the face by the fraction `down` of the face's height (forehead to
            chin). So if the face is turned, the ear that shows more is wider.
        dilation: Dilation in face sizes. A face size is the square root of the area of `OVAL`, which a rotation of the
            image does not change. 0.01 is 0.8 pixels of CelebA's aligned crop for the photograph on which the numbers
            were chosen.
    """

    points: tuple[tuple[int, float, float], ...]
    dilation: float


def _hull(mesh: str, dilation: float, pushed: Mapping[tuple[float, float], str] | None = None) -> Hull:
    """Makes a hull from mesh points at their place and from pushed mesh points, given as (out, down) -> points."""
    groups = {(0.0, 0.0): mesh} | dict(pushed or {})
    return Hull(tuple((int(i), *push) for push, indices in groups.items() for i in indices.split()), dilation)


HULLS: dict[str, tuple[Hull, ...]] = {
    # Above and around the face, with space for volume and hats, and for long hair next to the jaw, but not `BARE_FACE`.
    "Hair": (
        _hull(
            "",
            0.05,
            {
                (0.0, -0.42): "10",
                (0.1, -0.38): "109 338",
                (0.3, -0.25): "103 332",
                (0.4, -0.05): "162 389",
                (0.4, 0.0): "234 454 58 288",
                (0.35, 0.1): "172 397",
            },
        ),
    ),
    # The eye, the eyebrow (both from MediaPipe's lists) and the bag under the eye.
    "Eyes": (
        _hull(
            "7 33 133 144 145 153 154 155 157 158 159 160 161 163 173 246 "
            "46 52 53 55 63 65 66 70 105 107 228 229 230 231",
            0.03,
        ),
        _hull(
            "249 263 362 373 374 380 381 382 384 385 386 387 388 390 398 466 "
            "276 282 283 285 293 295 296 300 334 336 448 449 450 451",
            0.03,
        ),
    ),
    # MediaPipe's list. The dilation includes the wings and makes the bridge wider than a line.
    "Nose": (_hull("1 2 4 5 6 19 45 48 64 94 97 98 115 168 195 197 220 275 278 294 326 327 344 440", 0.04),),
    # From the cheekbone to the fold next to the mouth.
    "Cheeks": (
        _hull("116 117 118 101 36 203 206 216 207 187 147 123", 0.02),
        _hull("345 346 347 330 266 423 426 436 427 411 376 352", 0.02),
    ),
    # The lips' outer line and some skin, because a closed mouth with thin lips would be a sliver.
    "Mouth": (_hull("0 17 37 39 40 61 84 91 146 181 185 267 269 270 291 314 321 375 405 409", 0.05),),
    # From the sideburn, inside the outline, to beyond the ear, and down to where an earring hangs.
    "Ear": tuple(
        _hull(
            "",
            0.03,
            {
                (-0.1, 0.0): temple,
                (0.15, 0.0): temple,
                (0.22, 0.0): side,
                (0.18, 0.06): jaw,
                (-0.1, 0.06): jaw,
            },
        )
        for temple, side, jaw in (("127", "234 93", "132"), ("356", "454 323", "361"))
    ),
    # From the moustache over the jaw to a double chin.
    "Lower_Face": (
        _hull(
            "97 326 216 436 58 288 172 397 136 365 150 379 149 378 176 400 148 377 152",
            0.03,
            {(0.0, 0.08): "149 378", (0.0, 0.1): "152"},
        ),
    ),
    # The face. `region_masks` adds all other regions.
    "Object": (_hull(" ".join(map(str, OVAL)), 0.02),),
}
"""Region -> its hulls, in the order of `REGIONS`. A region is the union of its hulls."""

BARE_FACE = _hull(
    "151 104 333 21 251 162 389 127 356 234 454 93 323 132 361 58 288 172 397 136 365 150 379 149 378 152",
    0.0,
    {(0.0, 0.3): "150 379"},
)
"""The hull that Hair leaves out: the neck, and the face below the middle of the forehead, where a fringe may end."""

FINEST = 48
"""Masks of at least twice as many pixels per side are drawn on a coarser grid, whose distances are interpolated.

Distances are linear except at corners: 98 to 99.8 % of a region of 112 x 96 pixels stay the same, in a third of the
time.
"""

_NUM_DIRECTIONS = 24
_TURNS = 2 * np.pi * np.arange(_NUM_DIRECTIONS) / _NUM_DIRECTIONS
_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=-1).astype(np.float32)


def region_masks(points: keras.KerasTensor, size: tuple[int, int]) -> keras.KerasTensor:
    """Draws the masks of all regions from the landmarks of a face, on any Keras backend.

    A convex hull is computed as the intersection of half planes in 24 directions that rotate with the face, so a
    rotated or mirrored face has rotated or mirrored masks. With 24 directions, a region is 2 to 6 % larger than with
    the exact hulls. Borders are soft over one pixel of the mask: the value on the border is 0.5.

    Args:
        points: `[478, 2]` or `[B, 478, 2]`, x, y as fractions of the frame's width and height, counted from its left
            and top edge. Points may lie outside 0..1.
        size: Height and width h, w of the masks in pixels.

    Returns:
        Masks `[h, w, R]` or `[B, h, w, R]` in 0..1, regions in the order of `REGIONS`; float64 for float64 points, else
        float32.
    """
    dtype = "float64" if keras.backend.standardize_dtype(points.dtype) == "float64" else "float32"
    points = ops.cast(points, dtype) * ops.convert_to_tensor(size[::-1], dtype)  # in mask pixels
    hulls = [hull for parts in HULLS.values() for hull in parts]
    step = max(1, min(size) // FINEST)
    grid = -(-size[0] // step) + 2, -(-size[1] // step) + 2  # one point beyond each border
    *distances, bare_face = _distances(points, [*hulls, BARE_FACE], grid, step)
    rest = iter(distances)
    # For signed distances, the minimum gives the union and the maximum the intersection.
    regions = {name: reduce(ops.minimum, [next(rest) for _ in parts]) for name, parts in HULLS.items()}
    regions["Hair"] = ops.maximum(regions["Hair"], -bare_face)
    regions["Object"] = reduce(ops.minimum, regions.values())
    distance = ops.reshape(ops.stack(list(regions.values()), axis=-1), (-1, *grid, len(REGIONS)))
    if step > 1:
        fine = tuple(side * step for side in grid)
        distance = ops.image.resize(distance, fine, "bilinear", data_format="channels_last")
    distance = distance[:, step : step + size[0], step : step + size[1]]
    masks = ops.clip(0.5 - distance, 0.0, 1.0)
    return masks if len(points.shape) == 3 else masks[0]


def _distances(
    points: keras.KerasTensor, hulls: Sequence[Hull], grid: tuple[int, int], step: int
) -> list[keras.KerasTensor]:
    """Returns for each hull the distance to its border in mask pixels, negative inside: `[..., rows * columns]`.

    Neighbouring rows and columns of the grid are `step` pixels apart, and the first lie before the first pixel.
    """
    # Hulls with fewer points repeat their first point, so that all hulls form one array.
    rows = zip(*zip_longest(*(hull.points for hull in hulls)), strict=True)
    table = [[point or hull.points[0] for point in row] for row, hull in zip(rows, hulls, strict=True)]
    indices, out, down = np.moveaxis(np.array(table, np.float32), -1, 0)
    bridge, forehead, chin = (points[..., None, i : i + 1, :] for i in (_BRIDGE, _FOREHEAD, _CHIN))
    corners = ops.take(points, indices.astype(np.int32), axis=-2)  # [..., hulls, points, 2]
    out, down = (ops.convert_to_tensor(share[..., None], points.dtype) for share in (out, down))
    corners += out * (corners - bridge) + down * (chin - forehead)

    directions = _directions(points)  # [..., T, 2]
    reach = ops.max(ops.matmul(corners, ops.swapaxes(directions[..., None, :, :], -1, -2)), axis=-2)
    dilations = ops.convert_to_tensor([hull.dilation for hull in hulls], points.dtype)
    reach += (dilations * _face_size(points)[..., None])[..., None]  # [..., hulls, T]

    y, x = step * (np.mgrid[: grid[0], : grid[1]] - 0.5)
    pixels = ops.matmul(directions, ops.convert_to_tensor(np.stack([x.ravel(), y.ravel()]), points.dtype))
    # Hull by hull, the largest array stays in the processor's cache, which is faster than all hulls at once.
    return [ops.max(pixels - reach[..., hull, :, None], axis=-2) for hull in range(len(hulls))]


def _directions(points: keras.KerasTensor) -> keras.KerasTensor:
    """Returns evenly spaced unit vectors `[..., T, 2]`; the first points from the image's left eye to its right eye."""
    right, left = (points[..., i, :] for i in _EYE_CORNERS)
    across = ops.divide_no_nan(left - right, ops.norm(left - right, axis=-1, keepdims=True))
    down = ops.stack([-across[..., 1], across[..., 0]], axis=-1)
    return ops.matmul(ops.convert_to_tensor(_CIRCLE, points.dtype), ops.stack([across, down], axis=-2))


def _face_size(points: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the square root of the area that the face's outline encloses, `[...]`."""
    outline = ops.take(points, OVAL, axis=-2)
    x, y = outline[..., 0], outline[..., 1]
    area = ops.sum(x * ops.roll(y, -1, axis=-1) - y * ops.roll(x, -1, axis=-1), axis=-1) / 2
    return ops.sqrt(ops.abs(area))
