"""Draws eyes with their make-up, and eyebrows."""

import numpy as np
from numpy.typing import ArrayLike

from farkeras.synthetic.canvas import Canvas, Patch
from farkeras.synthetic.curves import ellipse, moved, pair, spline, tapered
from farkeras.synthetic.parameters import FaceParameters

EYE_X, EYE_Y = 19.5, 111.0
_INK = np.array((22.0, 14.0, 14.0))


def draw_eyes(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    """Draws both eyes, centred at the landmarks."""
    eyes = face.eyes
    width, slant = 10.5 * eyes.size, eyes.slant
    up, low = 1.15 * eyes.aperture * width, 0.75 * eyes.aperture * width

    def at(points: ArrayLike) -> np.ndarray:  # maps from the eye's frame, in which x points towards the ear
        return moved(points, EYE_X, EYE_Y)

    line = [(-width, 1.2), (-width * 0.5, -up * 0.75), (0.5, -up), (width * 0.6, -up * 0.75), (width, -slant)]
    upper = at(spline(line, 5))
    lower = at(spline([(width, -slant), (width * 0.45, low * 0.85), (-width * 0.3, low), (-width, 1.2)], 5))
    if eyes.makeup:
        lid = at(spline([(-11, 0), (-7, -10), (1, -13), (11, -10), (15, -4), (3, 3)], 4, True))
        canvas.paint(canvas.polygon(*pair(lid), soft=1.2), eyes.shadow, 0.75 * eyes.makeup, mask)
    crease = tapered(moved(upper, 0, -3.2 - 1.5 * eyes.aperture), 2.2)
    canvas.tint(canvas.polygon(*pair(crease)), (0.5, 0.4, 0.4), 0.7, mask)
    almond = canvas.polygon(*pair(np.concatenate([upper, lower])))
    canvas.paint(almond, (240, 236, 232))
    _draw_irises(canvas, face, almond)
    canvas.tint(canvas.polygon(*pair(tapered(moved(upper, 0, 0.8), 2.6, 0.6))), 0.55, 0.7, almond)
    rim = tapered(lower, 1.0 + 1.2 * eyes.makeup, 0.4)
    canvas.paint(canvas.polygon(*pair(rim)), _INK + 30, 0.35 + 0.6 * eyes.makeup)
    lines = [tapered(upper, 1.6 + 1.1 * eyes.lashes + 1.8 * eyes.makeup, 0.35)]
    if eyes.makeup:
        lines += [at([(width - 2, -slant - 1.5), (width + 6, -slant - 5), (width + 1, -slant + 1)])]
    canvas.paint(canvas.polygon(*(line for right in lines for line in pair(right))), _INK, 0.9)


def _draw_irises(canvas: Canvas, face: FaceParameters, almond: Patch) -> None:
    """Draws iris, pupil and the reflection of the light; both eyes look in the same direction."""
    size, iris = face.eyes.size, np.array(face.eyes.iris)

    def discs(x: float, y: float, radius: float) -> Patch:
        middles = (face.eyes.gaze - EYE_X, face.eyes.gaze + EYE_X)
        return canvas.polygon(*(ellipse(middle + x, EYE_Y - 0.6 + y, radius, radius, 14) for middle in middles))

    canvas.paint(discs(0, 0, 5.6 * size), iris * 0.55, 1, almond)
    canvas.paint(discs(0, 0.3, 4.5 * size), iris, 1, almond)
    canvas.paint(discs(0, 0, 2), (8, 8, 10), 1, almond)
    canvas.paint(discs(-1.5, -1.7, 1.1), (255, 255, 255), 0.95, almond)


def draw_brows(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    """Draws both eyebrows, each a tapered stroke with hairs across it; `arch` raises it, most beyond the middle."""
    brows, arch = face.brows, face.brows.arch
    hair = np.array(face.hair.colour if not face.hair.bald else face.beard.colour)
    colour = hair * 0.45 + np.array(face.skin.colour) * 0.08
    rng = np.random.default_rng(face.beard.seed)
    line = [(8, 1.5), (15, -0.35 * arch), (24, -arch), (30, -0.55 * arch), (34.5, 0.35 * arch + 1)]
    curve = spline(line, 5)
    starts = curve[rng.integers(0, len(curve), 26)]
    starts[:, 1] += 0.55 * brows.thickness * rng.uniform(-1, 1, 26)
    hairs = np.stack([starts, moved(starts, 2.2, -0.42 * brows.thickness)], 1)
    strokes: list[np.ndarray] = []
    strands: list[np.ndarray] = []
    for side, half in ((1, 0.5 * brows.skew), (-1, -0.5 * brows.skew)):
        strokes.append(moved(tapered(curve, brows.thickness, 0.45) * (side, 1), 0, brows.y + half))
        strands.extend(moved(hairs * (side, 1), 0, brows.y + half))
    canvas.paint(canvas.polygon(*strokes, soft=0.45), colour, brows.darkness, mask)
    canvas.paint(canvas.lines(strands, 0.5), colour * 0.6, 0.8, mask)
