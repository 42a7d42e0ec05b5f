"""Draws hair: behind the head, around the face, and bangs."""

import numpy as np

from farkeras.synthetic.canvas import Canvas, Patch, Spot
from farkeras.synthetic.curves import across, moved, spline, waved
from farkeras.synthetic.parameters import FaceParameters, Hair

_SAMPLES = 8  # per section of a contour


def _contours(hair: Hair) -> tuple[np.ndarray, np.ndarray]:
    """Returns the outer and inner edge of the hair that frames the face, from left to right, of equal length."""
    v, end = hair.volume, hair.length
    long = end > 130
    if long:
        outer = [(-49 - v, end), (-51 - v, 0.5 * (end + 115)), (-51 - v, 112), (-48 - v, 86)]
        inner = [(-37, end), (-41, 0.5 * (end + 115)), (-43.5, 112), (-44, 94)]
    else:
        outer = [(-47.5 - 0.2 * v, end), (-48.5 - 0.4 * v, end - 8), (-48.5 - 0.6 * v, 90)]
        outer += [(-47.5 - 0.8 * v, 80)]
        inner = [(-45.5, end), (-44, end - 8), (-43.5, 91), (-42.5, 86)]
    outer += [(-42 - v, 64), (-30 - 0.8 * v, 48 - 0.6 * v), (-14, 41 - v), (0, 39 - v)]
    line, back = hair.hairline, hair.receding
    inner += [(-38, 79 - 12 * back), (-26 + 2 * back, line + 3 - 20 * back)]
    inner += [(-11, line - 13 * back), (0, line - 1 - 8 * back)]
    edge = across(inner)
    if not back:  # a parting moves the top of the hairline to the side
        edge = edge + np.exp(-((edge[:, 1:] - line) ** 2) / 200) * (0.5 * hair.part, 0)
    return spline(across(outer), _SAMPLES), spline(edge, _SAMPLES)


def draw_back_hair(canvas: Canvas, face: FaceParameters) -> None:
    """Draws the part of long hair that falls behind the neck."""
    hair = face.hair
    if hair.bald or hair.length < 130:
        return
    outer, _ = _contours(hair)
    canvas.paint(canvas.polygon(outer), np.array(hair.colour) * 0.5)


def draw_hair(canvas: Canvas, face: FaceParameters) -> None:
    """Draws the hair that frames the face, and bangs over the forehead."""
    hair = face.hair
    if hair.bald:
        shine = np.minimum(np.array(face.skin.colour) * 1.3 + 30, 255)
        canvas.paint(canvas.glow(Spot(14 * face.light.x, 57, 13, 6)), shine, 0.7)
        return
    rng = np.random.default_rng(hair.seed)
    outer, inner = _contours(hair)
    reach = np.linalg.norm(np.diff(outer, axis=0), axis=1).sum()
    phase = rng.uniform(0, 6.28)
    if hair.style == "wavy":
        waves = reach / 24
        outer = waved(outer, 2.8, waves, phase)
        inner = waved(inner, 1.6, waves, phase)
    shape = canvas.polygon(np.concatenate([outer, inner[::-1]]))
    colour = np.array(hair.colour)
    canvas.paint(shape, colour)
    canvas.roughen(shape, "hair")
    canvas.tint(canvas.lines([inner], 3), 0.65, 0.5, shape)
    _texture(canvas, _strands(outer, inner), hair, shape)
    if hair.bangs:
        _draw_bangs(canvas, hair, rng, phase)


def _strands(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Returns lines that fall from the outer to the inner edge, away from the crown: `[strands, points, 2]`."""
    start = np.linspace(0.02, 0.98, 72, dtype=np.float32)[:, None]
    depth = np.linspace(0, 1, 10, dtype=np.float32)
    aside = start - 0.5
    place = np.clip(start + np.sign(aside) * (0.04 + 0.5 * abs(aside)) * depth, 0, 1) * (len(outer) - 1)
    at = np.arange(len(outer))
    edges = [np.stack([np.interp(place, at, edge[:, axis]) for axis in (0, 1)], -1) for edge in (outer, inner)]
    return (edges[0] + depth[:, None] * (edges[1] - edges[0])).astype(np.float32)


def _texture(canvas: Canvas, strands: np.ndarray, hair: Hair, shape: Patch) -> None:
    """Draws strands along the hair: wavy locks in wavy hair, fine sharp lines in straight hair, none in plain hair."""
    colour = np.array(hair.colour)
    dark, light = colour * 0.5, np.minimum(colour * 1.35 + 38, 255)
    if hair.style == "wavy":
        reach = np.linalg.norm(np.diff(strands, axis=1), axis=-1).sum(1)
        locks = [
            waved(spline(strand, 3), 2.4, max(1.5, length / 24), 0.5 * k)
            for k, (strand, length) in enumerate(zip(strands[::3], reach[::3], strict=True))
        ]
        canvas.paint(canvas.lines(locks, 2), dark, 0.8, shape)
        canvas.paint(canvas.lines([moved(lock, 0, 3) for lock in locks], 1.5), light, 0.6, shape)
    elif hair.style == "straight":
        canvas.paint(canvas.lines(strands[::3], 2), dark, 0.9, shape)
        canvas.paint(canvas.lines(strands[1::3], 1.5), light, 0.8, shape)
    canvas.paint(canvas.glow(*Spot(26, 54, 13, 5, 0.6).both()), light, 0.35, shape)


def _draw_bangs(canvas: Canvas, hair: Hair, rng: np.random.Generator, phase: float) -> None:
    sweep = 0.12 * np.sign(hair.part)
    x = np.linspace(-43, 43, 23)
    teeth = rng.uniform(-2.5, 1.5, 23)
    bottom = np.stack([x, hair.bangs_y + sweep * x * 0.6 - (x / 43) ** 2 * 2 + teeth], -1)
    top = np.stack([x * 0.8, 46 + 16 * (x / 43) ** 2], -1)
    locks = [spline([a, (0.5 * (a + b)) + (0.08 * b[0], -2), b], 5) for a, b in zip(top, bottom, strict=True)]
    if hair.style == "wavy":
        locks = [waved(lock, 1.6, 2, phase) for lock in locks]
        bottom = np.stack([lock[-1] for lock in locks])
    fringe = np.concatenate([top, bottom[::-1]])
    colour = np.array(hair.colour)
    canvas.tint(canvas.polygon(moved(fringe, 0, 3), soft=1.5), (0.6, 0.52, 0.5), 0.6)
    shape = canvas.polygon(fringe)
    canvas.paint(shape, colour)
    canvas.roughen(shape, "hair")
    plain = hair.style == "plain"
    canvas.paint(canvas.lines(locks[1::2], 1), colour * 0.5, 0.35 if plain else 0.8, shape)
    light = np.minimum(colour * 1.35 + 38, 255)
    canvas.paint(canvas.lines(locks[2::4], 0.5), light, 0.2 if plain else 0.6, shape)
    canvas.paint(canvas.glow(Spot(0, 66, 30, 5)), light, 0.3, shape)
