"""Draws the head: ears, outline and shading of the face, and marks on the skin."""

import numpy as np

from farkeras.synthetic.canvas import Canvas, Patch, Spot
from farkeras.synthetic.curves import ellipse, mirrored, pair, spline, tapered
from farkeras.synthetic.parameters import FaceParameters, Head

_SHADE = (0.62, 0.54, 0.52)  # factors by which a shadow darkens skin


def outline(head: Head) -> np.ndarray:
    """Returns the outline of the face, a closed curve `[points, 2]`."""
    chin = head.chin_y
    half: list[tuple[float, float]] = [(0, 44), (17, 46), (32, 54), (42, 68), (head.temple, 86), (head.cheek, 106)]
    half += [(head.cheek, 121), (0.5 * (head.cheek + head.jaw) + 2.5, chin - 37), (head.jaw, chin - 21)]
    half += [(0.55 * head.jaw + 0.45 * head.chin, chin - 9), (0.85 * head.chin, chin - 2)]
    return spline(mirrored([*half, (0, chin)]), 5, closed=True)


def draw_head(canvas: Canvas, face: FaceParameters) -> Patch:
    """Draws ears, head and skin; returns the mask of the face, which clips everything that is drawn on the face."""
    skin = np.array(face.skin.colour)
    canvas.paint(canvas.polygon(*pair(ellipse(49, 121, 6, 13))), skin * 0.92)
    canvas.tint(canvas.polygon(*pair(ellipse(50, 121, 2.6, 8, 12))), _SHADE, 0.6)
    mask = canvas.polygon(outline(face.head))
    canvas.paint(mask, skin)
    canvas.roughen(mask, "skin")
    _draw_relief(canvas, face, mask)
    _draw_skin(canvas, face, mask)
    return mask


def _draw_relief(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    """Shades the forms of every head: forehead, eye sockets, cheeks, temples, the dip under the lip, a double chin."""
    highlight = np.minimum(np.array(face.skin.colour) * 1.16 + 8, 255)
    lit = (Spot(0, 78, 24, 13, 0, 0.35), Spot(0, 171, 8, 5, 0, 0.4), *Spot(25, 130, 9, 7, 0, 0.3).both())
    canvas.paint(canvas.glow(*lit), highlight, 1, mask)
    sockets, cheeks, temples = (
        Spot(19.5, 107, 13, 9, 0, 0.32),
        Spot(44, 140, 8, 26, 0, 0.3),
        Spot(47, 80, 7, 18, 0, 0.25),
    )
    dark = (*sockets.both(), *cheeks.both(), *temples.both(), Spot(0, 163, 9, 3, 0, 0.4))
    canvas.tint(canvas.glow(*dark), _SHADE, 1, mask)
    head = face.head
    if head.double_chin:
        fold = np.array([(-0.8 * head.jaw, head.chin_y - 10), (-0.6 * head.jaw, head.chin_y + 1)])
        fold = np.concatenate([fold, [(0, head.chin_y + 11)], fold[::-1] * (-1, 1)])
        bulge = spline(fold, 8)
        canvas.paint(canvas.polygon(bulge, soft=0.7), np.array(face.skin.colour) * 0.97, 1)
        canvas.tint(canvas.polygon(tapered(bulge, 5), soft=0.6), (0.5, 0.42, 0.4), head.double_chin)
        chin = spline([(-21, head.chin_y - 6), (0, head.chin_y - 1), (21, head.chin_y - 6)], 8)
        canvas.tint(canvas.polygon(tapered(chin, 6), soft=0.8), (0.5, 0.42, 0.4), 0.9)


def _draw_skin(canvas: Canvas, face: FaceParameters, mask: Patch) -> None:
    skin = face.skin
    rng = np.random.default_rng(face.hair.seed)
    spots = np.stack([rng.uniform(-38, 38, 80), rng.uniform(92, 150, 80)], -1)
    sizes = rng.uniform(0.7, 1.5, 80)
    blotches = np.stack([rng.uniform(-34, 34, 5), rng.uniform(80, 165, 5)], -1)
    if skin.blemishes:
        red = canvas.glow(*(Spot(x, y, 9, 7, 0, 0.6 * skin.blotches) for x, y in blotches))
        canvas.tint(red, (0.92, 0.76, 0.74), 1, mask)
        freckles = (spots[:, None] + sizes[:, None, None] * ellipse(0, 0, 1, 1, 7))[: skin.blemishes]
        canvas.tint(canvas.polygon(*freckles, soft=0.4), (0.66, 0.5, 0.44), 0.9, mask)
    if skin.wrinkles:
        _draw_wrinkles(canvas, skin.wrinkles, mask)
    if skin.bags > 0.5:
        bag = tapered(spline([(9, 118), (19, 123.5), (30, 118.5)], 8), 3.2)
        canvas.tint(canvas.polygon(*pair(bag), soft=0.5), (0.42, 0.3, 0.36), 0.95, mask)
        canvas.tint(canvas.glow(*Spot(19.5, 119, 9, 4).both()), (0.6, 0.5, 0.58), 0.75, mask)
    if skin.rosy > 0.5:
        canvas.tint(canvas.glow(*Spot(28, 134, 11, 9).both()), (1.15, 0.5, 0.55), 0.95 * skin.rosy, mask)
    if skin.cheekbones > 0.5:
        # A bright ridge towards the ear, above a hollow.
        lit = np.minimum(np.array(skin.colour) * 1.25 + 22, 255)
        canvas.paint(canvas.glow(*Spot(32, 123, 10, 3.2, -0.45).both()), lit, 0.8, mask)
        canvas.tint(canvas.glow(*Spot(33, 138, 12, 4, -0.45).both()), _SHADE, 0.95, mask)


def _draw_wrinkles(canvas: Canvas, amount: float, mask: Patch) -> None:
    folds: list[list[tuple[float, float]]] = [[(-26, y + 2), (-9, y), (9, y + 0.5), (26, y + 2)] for y in (74, 81, 88)]
    for side in (-1, 1):
        folds += [[(side * 14, 137), (side * 21, 146), (side * 23, 158)]]  # next to the mouth
        for drop in (-4, 0, 4):  # crow's feet
            folds += [[(side * 33, 111 + drop * 0.6), (side * 42, 111 + 1.9 * drop)]]
    folds += [[(-2.5, 94), (-3, 103)], [(2.5, 94), (3, 103)]]  # between the brows
    strokes = [tapered(spline(fold, 5), 2.6) for fold in folds]
    canvas.tint(canvas.polygon(*strokes), (0.5, 0.4, 0.38), 0.9 * amount, mask)
