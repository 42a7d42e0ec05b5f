"""Neck, clothes, and what is worn around the neck."""

import numpy as np

from farkeras.data.faces.canvas import Canvas
from farkeras.data.faces.curves import across, ellipse, moved, spline
from farkeras.data.faces.parameters import FaceParameters, Jewel


def draw_body(canvas: Canvas, face: FaceParameters) -> None:
    """Shoulders, the neck in the chin's shadow, clothes, then a necklace or a tie."""
    skin = np.array(face.skin.colour)
    neck, chin = face.head.neck, face.head.chin_y
    outline = [(-74, 236), (-62, 212), (-neck - 9, 200), (-neck, 190), (-neck + 1, 150), (0, 150)]
    shoulders = spline(across(outline))
    canvas.paint(canvas.polygon(shoulders), skin * 0.9)
    shadow = canvas.glow((0, chin + 2), neck * 0.9, 9)
    canvas.tint(shadow, (0.56, 0.5, 0.5), 0.85, clip=canvas.polygon(shoulders))
    _draw_clothes(canvas, face)
    if face.necklace:
        _draw_necklace(canvas, face.necklace, neck)


def _draw_clothes(canvas: Canvas, face: FaceParameters) -> None:
    clothes, neck = face.clothes, face.head.neck
    colour = np.array(clothes.colour)
    low = {"round": 211.0, "vee": 226.0, "shirt": 222.0}[clothes.kind]
    opening = [(-neck - 3, 196), (-neck + 2, 203)]
    if clothes.kind == "round":
        opening += [(-neck * 0.6, low - 2), (0, low)]
        opening = spline(across(opening))
    else:
        opening = across([*opening, (0, low)])
    outer = np.array([(96, 205), (100, 250), (-100, 250), (-96, 205), (-70, 203)])
    cloth = np.concatenate([outer, opening, [(70, 203)]])
    canvas.paint(canvas.polygon(cloth), colour)
    canvas.tint(canvas.lines([opening], 1.2), 0.6, 0.7)
    if clothes.kind == "shirt":
        _draw_shirt(canvas, face)


def _draw_shirt(canvas: Canvas, face: FaceParameters) -> None:
    clothes, neck = face.clothes, face.head.neck
    shirt = np.array(clothes.shirt)
    if clothes.tie:
        canvas.paint(canvas.polygon(across([(-neck - 6, 197), (-15, 250), (0, 250)])), shirt)
        tie = np.array(clothes.tie)
        blade = across([(-6, 206), (-11, 240), (0, 240)])
        knot = across([(-9, 197), (-6, 208), (0, 208)])
        canvas.paint(canvas.polygon(blade), tie)
        rows = np.arange(208, 240, 5)
        stripes = [np.array([(-12, y), (12, y - 6 * clothes.stripes)]) for y in rows]
        canvas.tint(canvas.lines(stripes, 1.5), 0.55, 0.6, clip=canvas.polygon(blade))
        canvas.paint(canvas.polygon(knot), tie * 0.85)
        canvas.tint(canvas.lines([knot], 1), 0.4, 0.7)
    for side in (-1, 1):
        wing = [(side * (neck + 3), 187), (side * (neck - 3), 193), (side * 7, 200 + 5)]
        wing += [(side * 15, 219), (side * (neck + 8), 205)]
        canvas.paint(canvas.polygon(np.array(wing)), shirt)
        canvas.tint(canvas.lines([np.array(wing[1:])], 1), 0.55, 0.6)


def _draw_necklace(canvas: Canvas, jewel: Jewel, neck: float) -> None:
    colour = np.array(jewel.colour)
    curve = spline(across([(-neck - 1, 190), (-neck * 0.72, 200), (-neck * 0.35, 206), (0, 208)]))
    canvas.tint(canvas.lines([moved(curve, 0, 1.5)], 2 * jewel.size), 0.5, 0.6)
    if jewel.kind == 0:  # beads
        beads = [ellipse(x, y, 3 * jewel.size, 3 * jewel.size, 10) for x, y in curve[::2]]
        canvas.paint(canvas.polygon(*beads), colour)
        glints = [ellipse(x - 0.8, y - 1, 0.9, 0.9, 6) for x, y in curve[::2]]
        canvas.paint(canvas.polygon(*glints), (255, 255, 255), 0.8)
        return
    canvas.paint(canvas.lines([curve], 2.5 * jewel.size if jewel.kind == 2 else 2), colour)
    pendant = ellipse(0, 211, 4.2 * jewel.size, 5 * jewel.size, 6 if jewel.kind == 1 else 16)
    canvas.paint(canvas.polygon(pendant), colour * 0.9)
    canvas.paint(canvas.glow((-1, 210), 1.5, 1.5), (255, 255, 255), 0.8)
