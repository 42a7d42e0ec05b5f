"""Draws a beard: stubble, mustache, goatee and sideburns."""

import numpy as np

from farkeras.synthetic.canvas import Canvas, Patch
from farkeras.synthetic.curves import mirrored, moved, spline
from farkeras.synthetic.mouth import MOUTH_Y
from farkeras.synthetic.parameters import FaceParameters


def draw_beard(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    """Draws every form of beard that the face has; it is called before `draw_mouth`, so that the lips lie over it."""
    beard = face.beard
    rng = np.random.default_rng(beard.seed)
    if beard.stubble:
        _draw_stubble(canvas, face, mask, rng)
    colour = np.array(beard.colour)
    if beard.sideburns:
        for side in (-1, 1):
            edge = face.head.cheek
            strip = [(side * (edge - 9), 90), (side * (edge - 13), 128), (side * (edge - 15), 154)]
            strip += [(side * (edge + 2), 154), (side * (edge + 2), 90)]
            _draw_fur(canvas, np.array(strip), colour, beard.sideburns, mask, rng)
    if beard.mustache:
        smile = 0.4 * face.mouth.smile
        half = [(0, 143.5), (7, 142.5), (15, 146 - smile), (21, 153 - smile), (15, 151.5 - smile)]
        _draw_fur(canvas, spline(mirrored([*half, (0, 149)]), 4, True), colour, 1, mask, rng)
    if beard.goatee:
        low = face.head.chin_y
        half = [(0, 161), (6, 162), (13, 163), (15, low - 8), (10, low + 3), (0, low + 5)]
        _draw_fur(canvas, spline(mirrored(half), 4, True), colour, 1, None, rng)


def _draw_stubble(canvas: Canvas, face: FaceParameters, mask: Patch, rng: np.random.Generator) -> None:
    """Draws a grey veil with speckles over jaw, chin and upper lip."""
    low, high = face.head.chin_y, MOUTH_Y - 14
    half = [(0, high + 2), (14, high), (22, high + 9), (34, high - 2), (50, high - 18), (52, high + 30)]
    region = spline(mirrored([*half, (30, low + 6), (0, low + 6)]), 4, True)
    veil = canvas.polygon(region, soft=2.5)
    strength = 0.75 * face.beard.stubble
    canvas.tint(veil, (0.62, 0.64, 0.68), strength, mask)
    speckle = rng.random(veil.alpha.shape, dtype=np.float32)
    canvas.tint(Patch(veil.window, veil.alpha * (speckle > 0.72)), 0.55, strength, mask)


def _draw_fur(
    canvas: Canvas, shape: np.ndarray, colour: np.ndarray, amount: float, mask: Patch | None, rng: np.random.Generator
) -> None:
    patch = canvas.polygon(shape, soft=0.6)
    if mask is not None:
        patch = patch.within(mask)
    canvas.paint(patch, colour, 0.85 * amount)
    low, high = shape.min(0), shape.max(0)
    starts = rng.uniform(low, high, (int(0.12 * np.prod(high - low)), 2))
    fall = np.stack([0.08 * starts[:, 0], np.full(len(starts), 4.0)], -1)
    hairs = np.stack([starts, starts + fall], 1)
    canvas.paint(canvas.lines(hairs, 0.5), colour * 0.5, 0.8, patch)
    canvas.paint(canvas.lines(moved(hairs[::3], 1, 0), 0.5), np.minimum(colour + 50, 255), 0.5, patch)
