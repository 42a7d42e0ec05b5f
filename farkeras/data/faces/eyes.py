"""Eyes with their make-up, and brows."""

import numpy as np

from farkeras.data.faces.canvas import Canvas, Patch
from farkeras.data.faces.curves import ellipse, moved, spline, tapered
from farkeras.data.faces.parameters import FaceParameters

EYE_X, EYE_Y = 19.5, 111.0
_INK = np.array((22.0, 14.0, 14.0))


def draw_eyes(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    """Both eyes, at the points that are the landmarks."""
    for side in (-1, 1):
        _draw_eye(canvas, face, side, mask)


def _draw_eye(canvas: Canvas, face: FaceParameters, side: int, mask: Patch) -> None:
    eyes = face.eyes
    width = 9.0 * eyes.size
    up, low = 1.15 * eyes.aperture * width, 0.75 * eyes.aperture * width

    def at(points):  # from the eye's own frame (x towards the ear) to the face's
        return np.asarray(points, np.float32) * (side, 1) + (side * EYE_X, EYE_Y)

    slant = eyes.slant
    upper = [(-width, 1.2), (-width * 0.5, -up * 0.75), (0.5, -up), (width * 0.6, -up * 0.75)]
    upper = at(spline([*upper, (width, -slant)], 5))
    lower = at(spline([(width, -slant), (width * 0.45, low * 0.85), (-width * 0.3, low)], 5))
    lower = np.concatenate([lower, at([(-width, 1.2)])])
    if eyes.makeup:
        lid = at(spline([(-11, 0), (-7, -10), (1, -13), (11, -10), (15, -4), (3, 3)], 4, True))
        canvas.paint(canvas.polygon(lid, soft=1.2), eyes.shadow, 0.75 * eyes.makeup, mask)
    crease = moved(upper, 0, -3.2 - 1.5 * eyes.aperture)
    canvas.tint(canvas.polygon(tapered(crease, 2.2), soft=0.4), (0.5, 0.4, 0.4), 0.8, mask)
    almond = canvas.polygon(np.concatenate([upper, lower]))
    canvas.paint(almond, (240, 236, 232), 1)
    iris_x, iris_y = eyes.gaze + side * EYE_X, EYE_Y - 0.6
    iris = np.array(eyes.iris)
    radius = 4.9 * eyes.size
    canvas.paint(canvas.polygon(ellipse(iris_x, iris_y, radius, radius)), iris * 0.55, 1, almond)
    inner = ellipse(iris_x, iris_y + 0.3, radius * 0.8, radius * 0.8, 16)
    canvas.paint(canvas.polygon(inner), iris, 1, almond)
    canvas.paint(canvas.polygon(ellipse(iris_x, iris_y, 2, 2, 12)), (8, 8, 10), 1, almond)
    glint = canvas.polygon(ellipse(iris_x - 1.5, iris_y - 1.7, 1.1, 1.1, 8))
    canvas.paint(glint, (255, 255, 255), 0.95, almond)
    shadow = tapered(moved(upper, 0, 0.8), 2.4, 0.6)
    canvas.tint(canvas.polygon(shadow, soft=0.5), 0.55, 0.8, almond)
    lash = 1.6 + 1.1 * eyes.lashes + 1.8 * eyes.makeup
    canvas.paint(canvas.polygon(tapered(upper, lash, 0.35)), _INK, 0.9)
    rim = 0.35 + 0.6 * eyes.makeup
    canvas.paint(canvas.polygon(tapered(lower, 1.0 + 1.2 * eyes.makeup, 0.4)), _INK + 30, rim)
    if eyes.makeup:
        wing = at([(width - 2, -slant - 1.5), (width + 6, -slant - 5), (width + 1, -slant + 1)])
        canvas.paint(canvas.polygon(wing), _INK, 0.9)


def draw_brows(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    """Both brows: a tapered stroke with hairs across it; an arch lifts its outer half."""
    brows = face.brows
    hair = np.array(face.hair.colour if not face.hair.bald else face.beard.colour)
    colour = hair * 0.45 + np.array(face.skin.colour) * 0.08
    rng = np.random.default_rng(face.beard.seed)
    for side in (-1, 1):
        y = brows.y + 0.5 * side * brows.skew
        arch = brows.arch
        line = [(8, y + 1.5), (15, y - 0.35 * arch), (24, y - arch), (30, y - 0.55 * arch)]
        curve = spline([*line, (34.5, y + 0.35 * arch + 1)], 5) * (side, 1)
        thick = np.linspace(1.15, 0.7, len(curve))[:, None]
        stroke = tapered(curve, brows.thickness, 0.45)
        brow = canvas.polygon(stroke, soft=0.45, lift=1)
        canvas.paint(brow, colour, brows.darkness, mask)
        starts = curve[rng.integers(0, len(curve), 26)]
        starts = starts + (0, brows.thickness * 0.5) * thick[0] * rng.uniform(-1, 1, (26, 1))
        ends = starts + np.array((side * 2.2, -0.42 * brows.thickness))
        hairs = np.stack([starts, ends], 1)
        canvas.paint(canvas.lines(hairs, 0.5), colour * 0.6, 0.8, mask)
