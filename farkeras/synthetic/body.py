"""Draws the neck, clothes, and a necklace or necktie."""

import numpy as np

from farkeras.synthetic.canvas import Canvas, Spot
from farkeras.synthetic.curves import across, ellipse, moved, pair, spline
from farkeras.synthetic.parameters import FaceParameters, Jewel


def draw_body(canvas: Canvas, face: FaceParameters) -> None:
    """Draws the shoulders, the neck in the chin's shadow, the clothes, with a necktie if worn, then a necklace."""
    skin = np.array(face.skin.colour)
    neck, chin = face.head.neck, face.head.chin_y
    outline = [(-74, 229), (-62, 205), (-neck - 9, 193), (-neck, 183), (-neck + 1, 150), (0, 150)]
    shoulders = spline(across(outline))
    canvas.paint(canvas.polygon(shoulders), skin * 0.9)
    shadow = canvas.glow(Spot(0, chin + 2, neck * 0.9, 9))
    canvas.tint(shadow, (0.56, 0.5, 0.5), 0.85, clip=canvas.polygon(shoulders))
    _draw_clothes(canvas, face)
    if face.necklace:
        _draw_necklace(canvas, face.necklace, neck)


def _draw_clothes(canvas: Canvas, face: FaceParameters) -> None:
    clothes, neck = face.clothes, face.head.neck
    colour = np.array(clothes.colour)
    low = {"round": 207.0, "vee": 219.0, "shirt": 215.0}[clothes.kind]
    side = [(-neck - 3, 188), (-neck + 2, 195)]
    if clothes.kind == "round":
        opening = spline(across([*side, (-neck * 0.6, low - 2.0), (0, low)]))
    else:
        opening = across([*side, (0, low)])
    outer = np.array([(120, 202), (120, 250), (-120, 250), (-120, 202), (-70, 196)])
    cloth = np.concatenate([outer, opening, [(70, 196)]])
    canvas.paint(canvas.polygon(cloth), colour)
    canvas.tint(canvas.lines([opening], 1.2), 0.6, 0.7)
    if clothes.kind == "shirt":
        _draw_shirt(canvas, face)


def _draw_shirt(canvas: Canvas, face: FaceParameters) -> None:
    clothes, neck = face.clothes, face.head.neck
    shirt = np.array(clothes.shirt)
    if clothes.closed:
        canvas.paint(canvas.polygon(across([(-neck - 6, 189), (-15, 250), (0, 250)])), shirt)
        canvas.tint(canvas.lines([np.array([(0, 194), (0, 230)])], 1), 0.6, 0.7)
    if clothes.tie:
        tie = np.array(clothes.tie)
        blade = across([(-7, 197), (-12, 240), (0, 240)])
        knot = across([(-10, 186), (-7, 199), (0, 199)])
        canvas.paint(canvas.polygon(blade), tie)
        stripes = [np.array([(-14, y), (14, y - 8 * clothes.stripes)]) for y in range(200, 240, 5)]
        canvas.tint(canvas.lines(stripes, 1.5), 0.55, 0.6, clip=canvas.polygon(blade))
    wing = np.array([(neck + 3, 179), (neck - 3, 185), (7, 196), (15, 211), (neck + 8, 197)])
    canvas.paint(canvas.polygon(*pair(wing)), shirt)
    canvas.tint(canvas.lines(pair(wing[1:]), 1), 0.55, 0.6)
    if clothes.tie:
        canvas.paint(canvas.polygon(knot), tie * 0.85)
        canvas.tint(canvas.lines([knot], 1), 0.4, 0.7)


def _draw_necklace(canvas: Canvas, jewel: Jewel, neck: float) -> None:
    colour = np.array(jewel.colour)
    curve = spline(across([(-neck - 1, 180), (-neck * 0.74, 190), (-neck * 0.4, 198), (0, 201)]))
    canvas.tint(canvas.lines([moved(curve, 0, 1.5)], 2 * jewel.size), 0.5, 0.6)
    if jewel.kind == 0:  # beads
        beads = [ellipse(x, y, 3 * jewel.size, 3 * jewel.size, 10) for x, y in curve[::2]]
        canvas.paint(canvas.polygon(*beads), colour)
        glints = [ellipse(x - 0.8, y - 1, 0.9, 0.9, 6) for x, y in curve[::2]]
        canvas.paint(canvas.polygon(*glints), (255, 255, 255), 0.8)
        return
    canvas.paint(canvas.lines([curve], 2.5 * jewel.size if jewel.kind == 2 else 2), colour)
    pendant = ellipse(0, 205, 4.2 * jewel.size, 5 * jewel.size, 6 if jewel.kind == 1 else 16)
    canvas.paint(canvas.polygon(pendant), colour * 0.9)
    canvas.paint(canvas.glow(Spot(-1, 204, 1.5, 1.5)), (255, 255, 255), 0.8)
