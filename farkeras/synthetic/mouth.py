"""Draws nose and mouth."""

import numpy as np

from farkeras.synthetic.canvas import Canvas, Patch, Spot
from farkeras.synthetic.curves import ellipse, moved, pair, spline, tapered
from farkeras.synthetic.parameters import FaceParameters, Mouth

_SHADE = (0.6, 0.5, 0.48)
MOUTH_Y = 152.0


def draw_nose(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    """Draws ridge, wings, tip and nostrils; a pointed tip is narrow and hangs, a round tip is a ball."""
    nose = face.nose
    width, tip = nose.width, nose.tip_y
    skin = np.array(face.skin.colour)
    lit = np.minimum(skin * 1.2 + 16, 255)
    for side in (-1, 1):  # the sides of the ridge are darker away from the light
        dark = 0.3 + 0.45 * max(0.0, -side * face.light.x)
        edge = [(side * 5, 99), (side * 4.5, 112), (side * (4 + 0.18 * width), tip - 8)]
        flank = tapered(spline(edge, 6), 4.5, 0.3)
        canvas.tint(canvas.polygon(flank, soft=1.4), _SHADE, dark, mask)
    ridge = 1.5 if nose.point else 2.6
    canvas.paint(canvas.polygon(ellipse(0, tip - 16, ridge, 15), soft=1.2), lit, 0.55, mask)
    under = 0.42 * width
    if nose.point:
        sharp = np.array([(-6.5, tip - 5), (-4.2, tip + 1.5), (0, tip + 10), (4.2, tip + 1.5)])
        sharp = np.concatenate([sharp, [(6.5, tip - 5), (0, tip - 14)]])
        canvas.paint(canvas.polygon(sharp, soft=0.5, lift=10), lit, 0.6, mask)
        point = np.array([(-10, tip - 1), (0, tip + 12), (10, tip - 1), (0, tip + 6)])
        canvas.tint(canvas.polygon(point, soft=0.4, lift=8), (0.36, 0.28, 0.27), 0.95, mask)
    else:
        canvas.paint(canvas.glow(Spot(0, tip - 3, 5.5, 4.5)), lit, 0.7, mask)
        base = spline([(-under - 2, tip + 3.5), (0, tip + 6), (under + 2, tip + 3.5)], 6)
        canvas.tint(canvas.polygon(tapered(base, 3), soft=0.8), _SHADE, 0.9, mask)
    edge = [(width - 4, tip - 6), (width, tip - 1), (width - 1, tip + 3), (width - 5, tip + 4.5)]
    wing = tapered(spline(edge, 5), 2.6)
    canvas.tint(canvas.polygon(*pair(wing)), (0.5, 0.4, 0.38), 0.85, mask)
    canvas.paint(canvas.glow(*Spot(width - 4.5, tip - 0.5, 0.28 * width, 3).both()), lit, 0.35, mask)
    nostril = ellipse(0.5 * width, tip + 3.4, 0.2 * width, 1.5, 12)
    canvas.tint(canvas.polygon(*pair(nostril)), (0.3, 0.2, 0.2), 0.85, mask)


def corners(mouth: Mouth) -> np.ndarray:
    """Returns the landmarks of the mouth's corners, `[2, 2]` in face coordinates, the left of the image first."""
    y = MOUTH_Y - 0.55 * mouth.smile
    half = 0.5 * mouth.skew
    return np.array([(-mouth.width, y - half), (mouth.width, y + half)], np.float32)


def draw_mouth(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    """Draws lips around a line, or around a gap with teeth; a smile lifts the corners."""
    mouth = face.mouth
    left, right = corners(mouth)
    w, y, bow = mouth.width, MOUTH_Y, 0.45 * mouth.smile
    gap, lips = mouth.gap, mouth.lips
    top, bottom = y + bow - 0.35 * gap, y + bow + 0.65 * gap
    inner_up = spline([left, (-0.5 * w, top - 0.3 * bow), (0, top + 0.4), (0.5 * w, top - 0.3 * bow), right])
    inner_low = spline([right, (0.5 * w, bottom - 0.4 * bow), (0, bottom), (-0.5 * w, bottom - 0.4 * bow), left])
    peak = top - 0.85 * lips
    outer_up = spline(
        [
            *(moved(left, -0.8, 0), (-0.55 * w, peak + 0.3 * lips), (-0.2 * w, peak - 0.6)),
            (0, peak + 0.9),
            *((0.2 * w, peak - 0.6), (0.55 * w, peak + 0.3 * lips), moved(right, 0.8, 0)),
        ]
    )
    low = bottom + 1.1 * lips
    outer_low = spline(
        [
            *(moved(right, 0.8, 0), (0.6 * w, low - 0.42 * lips - 0.3 * bow), (0, low)),
            *((-0.6 * w, low - 0.42 * lips - 0.3 * bow), moved(left, -0.8, 0)),
        ]
    )
    canvas.tint(canvas.glow(Spot(0, low + 3, 0.7 * w, 2.6)), _SHADE, 0.45, mask)
    colour = np.array(mouth.colour)
    edge = 0.15 if mouth.lipstick else 0.6
    canvas.paint(canvas.polygon(np.concatenate([outer_up, outer_low]), soft=edge), colour)
    upper = canvas.polygon(np.concatenate([outer_up, inner_up[::-1]]))
    canvas.tint(upper, 0.8)
    gloss = canvas.glow(Spot(0, bottom + 0.5 * lips, 0.4 * w, 0.2 * lips))
    canvas.paint(gloss, np.minimum(colour + 70, 255), 0.35 + 0.35 * mouth.lipstick)
    if gap:
        hole = canvas.polygon(np.concatenate([inner_up, inner_low]))
        canvas.paint(hole, (48, 14, 18))
        teeth = ellipse(0, top + 0.1 * gap, 0.78 * w, 0.52 * gap)
        canvas.paint(canvas.polygon(teeth), (240, 236, 226), 0.95, hole)
    else:
        canvas.paint(canvas.polygon(tapered(inner_up, 2.0, 0.4)), colour * 0.28, 0.9)
    if mouth.smile > 1:  # folds that a smile makes
        for side, (x, corner_y) in zip((-1, 1), (left, right), strict=True):
            steps = [(x + side * 1, corner_y - 12), (x + side * 6, corner_y - 4), (x + side * 5.5, corner_y + 4)]
            fold = spline(steps, 6)
            canvas.tint(canvas.polygon(tapered(fold, 2.2), soft=0.6), _SHADE, 0.75, mask)
