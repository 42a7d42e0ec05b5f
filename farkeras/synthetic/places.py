"""Backgrounds of the held-out style: rooms, streets, leaves, a studio, and lights out of focus."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from farkeras.synthetic.canvas import HEIGHT, WIDTH

_Pen = ImageDraw.ImageDraw
_Fill = tuple[int, int, int]


def paint_place(seed: int) -> np.ndarray:
    """Paints the background of a face, out of focus: `float32` `[3, 218, 178]` in 0..255."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (WIDTH, HEIGHT), _colour(rng, 20, 235))
    paint = _PLACES[int(rng.integers(len(_PLACES)))]
    paint(ImageDraw.Draw(image), rng)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.8, 3.5)))
    return np.array(np.asarray(image).transpose(2, 0, 1), np.float32, order="C")


def _colour(rng: np.random.Generator, low: int, high: int) -> _Fill:
    red, green, blue = rng.integers(low, high, 3).tolist()
    return red, green, blue


def _room(pen: _Pen, rng: np.random.Generator) -> None:
    """Paints shelves with books, frames on a wall, or a window."""
    for _ in range(int(rng.integers(4, 9))):
        x, y = rng.integers(-30, WIDTH), rng.integers(-30, HEIGHT)
        width, height = rng.integers(25, 90, 2)
        box = (int(x), int(y), int(x + width), int(y + height))
        pen.rectangle(box, _colour(rng, 15, 245), _colour(rng, 10, 120), int(rng.integers(1, 5)))
        if rng.random() < 0.5:  # books, or bars of the window
            step = int(rng.integers(4, 14))
            for left in range(box[0] + 3, box[2] - step, step):
                pen.rectangle((left, box[1] + 4, left + step - 2, box[3] - 3), _colour(rng, 10, 240))


def _street(pen: _Pen, rng: np.random.Generator) -> None:
    """Paints houses with rows of windows."""
    left = int(rng.integers(-20, 0))
    while left < WIDTH:
        width, top = int(rng.integers(25, 60)), int(rng.integers(0, 90))
        pen.rectangle((left, top, left + width, HEIGHT), _colour(rng, 30, 200))
        window, lit = _colour(rng, 10, 250), int(rng.integers(7, 14))
        for y in range(top + 5, HEIGHT, lit + 4):
            for x in range(left + 4, left + width - 6, lit):
                pen.rectangle((x, y, x + lit // 2, y + lit // 2 + 2), window)
        left += width


def _leaves(pen: _Pen, rng: np.random.Generator) -> None:
    """Paints many small leaves of similar colours."""
    base = rng.uniform(30, 190, 3)
    for x, y in rng.uniform(-8, (WIDTH + 8, HEIGHT + 8), (260, 2)):
        wide, high = rng.uniform(2, 9, 2)
        shade = np.clip(base * rng.uniform(0.5, 1.5) + rng.uniform(-25, 25, 3), 0, 255)
        pen.ellipse((x - wide, y - high, x + wide, y + high), tuple(map(int, shade)))


def _studio(pen: _Pen, rng: np.random.Generator) -> None:
    """Paints a light on a wall: rings around a place behind the head."""
    inner, outer = rng.uniform(90, 245, 3), rng.uniform(5, 110, 3)
    x, y = rng.uniform(30, 150), rng.uniform(30, 150)
    for radius in range(260, 0, -4):
        near = np.exp(-((radius / rng.uniform(88, 92)) ** 2))
        shade = outer + near * (inner - outer)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), tuple(map(int, shade)))


def _lights(pen: _Pen, rng: np.random.Generator) -> None:
    """Paints the discs that a lens makes of lights in the dark."""
    pen.rectangle((0, 0, WIDTH, HEIGHT), _colour(rng, 5, 60))
    for x, y in rng.uniform(0, (WIDTH, HEIGHT), (int(rng.integers(15, 45)), 2)):
        radius = rng.uniform(4, 16)
        fill = _colour(rng, 60, 255)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill, _colour(rng, 150, 255))


_PLACES: tuple[Callable[[_Pen, np.random.Generator], None], ...] = (_room, _street, _leaves, _studio, _lights)
