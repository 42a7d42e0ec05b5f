"""Draws hat, eyeglasses and earrings."""

import numpy as np

from farkeras.synthetic.canvas import Canvas, Spot
from farkeras.synthetic.curves import across, ellipse, mirrored, moved, pair, spline
from farkeras.synthetic.eyes import EYE_X, EYE_Y
from farkeras.synthetic.parameters import Glasses, Hat, Jewel


def draw_hat(canvas: Canvas, hat: Hat) -> None:
    """Draws a beanie with its fold, a cap with its visor, or a hat with a brim and a band."""
    colour, band = np.array(hat.colour), np.array(hat.band)
    canvas.tint(canvas.polygon(ellipse(0, 89, 44, 7), soft=2), (0.5, 0.45, 0.45), 0.7)
    if hat.kind == "beanie":
        dome = spline(across([(-55, 84), (-54, 60), (-40, 32), (-20, 22), (0, 20)]))
        shape = canvas.polygon(np.concatenate([dome, [(0, 90)]]))
        canvas.paint(shape, colour)
        ribs = [spline([(0.35 * x, 20), (0.9 * x, 48), (x, 84)]) for x in np.linspace(-52, 52, 15)]
        canvas.tint(canvas.lines(ribs, 1), 0.6, 0.7, shape)
        fold = spline(across([(-56, 70), (-30, 74), (0, 75)]))
        fold = np.concatenate([fold, spline(across([(-57, 87), (-30, 91), (0, 92)]))[::-1]])
        canvas.paint(canvas.polygon(fold), band)
        ribs = [np.array([(x, 71), (x, 93)]) for x in np.linspace(-55, 55, 19)]
        canvas.tint(canvas.lines(ribs, 1), 0.6, 0.6, canvas.polygon(fold))
    elif hat.kind == "cap":
        dome = spline(across([(-53, 84), (-52, 62), (-40, 38), (-20, 28), (0, 26)]))
        canvas.paint(canvas.polygon(np.concatenate([dome, [(0, 84)]])), colour)
        seams = [spline([(0, 26), (x, 48), (1.4 * x, 76)]) for x in (-24, 24)]
        canvas.tint(canvas.lines(seams, 1), 0.5, 0.8)
        canvas.paint(canvas.polygon(ellipse(0, 54, 11, 10)), band)
        visor = spline(mirrored([(0, 74), (30, 77), (54, 84), (50, 92), (28, 91), (0, 92)]), 5, True)
        canvas.paint(canvas.polygon(visor), colour * 0.6)
        canvas.paint(canvas.lines([visor[:16]], 1), np.minimum(colour * 1.3 + 20, 255), 0.8)
    else:
        crown = spline(across([(-47, 80), (-45, 52), (-38, 26), (-20, 22), (0, 26)]))
        canvas.paint(canvas.polygon(crown), colour)
        strip = across([(-47, 78), (-46.5, 63), (0, 66)])
        canvas.paint(canvas.polygon(np.concatenate([strip, [(0, 82)]])), band)
        canvas.paint(canvas.polygon(ellipse(0, 81, 58, 9, 40)), colour * 0.85)
        canvas.tint(canvas.polygon(ellipse(0, 85, 53, 5, 40), soft=1), 0.6, 0.8)
    canvas.paint(canvas.glow(Spot(-14, 44, 14, 10)), np.minimum(colour * 1.3 + 25, 255), 0.35)


def draw_glasses(canvas: Canvas, glasses: Glasses) -> None:
    """Draws two lenses, whose shape lies between rectangle and ellipse, with bridge and arms."""
    angle = np.linspace(0, 2 * np.pi, 33)[:-1]
    power = 0.45 + 0.55 * glasses.roundness  # exponent of a superellipse: 1 is round, less is squarer
    cos, sin = np.cos(angle), np.sin(angle)
    lens = np.stack([np.sign(cos) * abs(cos) ** power, np.sign(sin) * abs(sin) ** power], -1)
    lens = lens * (15.2, 10.5 + 2.5 * glasses.roundness)
    lenses = [moved(lens, side * EYE_X, EYE_Y + 1.5) for side in (-1, 1)]
    colour = np.array(glasses.colour)
    canvas.paint(canvas.polygon(*lenses), colour * 0.4, glasses.tint)
    for side in (-1, 1):
        streak = moved([(-9, -4), (-4, -8), (-1, -8), (-9, 1)], side * EYE_X, EYE_Y + 1.5)
        canvas.paint(canvas.polygon(streak, soft=0.5), (255, 255, 255), 0.35)
    rims = [np.concatenate([outline, outline[:2]]) for outline in lenses]
    bridge = spline([(-5, EYE_Y - 1), (0, EYE_Y - 4), (5, EYE_Y - 1)])
    arms = [np.array([(side * 34, EYE_Y - 3), (side * 48, EYE_Y - 4)]) for side in (-1, 1)]
    frame = [*rims, bridge, *arms]
    canvas.tint(canvas.lines([moved(c, 0, 1.5) for c in frame], glasses.width, soft=0.8), 0.6, 0.6)
    canvas.paint(canvas.lines(frame, glasses.width), colour)


def draw_earrings(canvas: Canvas, jewel: Jewel) -> None:
    """Draws studs, hoops or drops under both ears, in front of the hair, with a shadow."""
    colour, size = np.array(jewel.colour), jewel.size
    x, y = 50.5, 135.0
    if jewel.kind == 1:
        hoop = ellipse(x, y + 8 * size, 6 * size, 8 * size, 24)
        rings = pair(np.concatenate([hoop, hoop[:2]]))
        canvas.tint(canvas.lines(rings, 4.5, soft=0.5), 0.45, 0.8)
        canvas.paint(canvas.lines(rings, 2.5), colour)
    else:
        if jewel.kind == 0:
            shape = ellipse(0, 0, 4.5 * size, 4.5 * size)
        else:
            y += 6 * size
            shape = spline(np.array([(0, -8), (4.5, 2), (3, 6), (0, 8), (-3, 6), (-4.5, 2)]) * size, 3, True)
        canvas.tint(canvas.polygon(*pair(moved(1.3 * shape, x, y)), soft=0.5), 0.45, 0.8)
        canvas.paint(canvas.polygon(*pair(moved(shape, x, y))), colour)
    canvas.paint(canvas.glow(*Spot(x - 1.2, y + 1, 1.3, 1.3).both()), (255, 255, 255), 0.9)
