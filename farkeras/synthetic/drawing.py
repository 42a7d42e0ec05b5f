"""Draws a face from its parameters: all parts, in the order in which they cover one another."""

from collections.abc import Mapping

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.errors import FarkerasError
from farkeras.synthetic.beard import draw_beard
from farkeras.synthetic.body import draw_body
from farkeras.synthetic.canvas import Canvas
from farkeras.synthetic.eyes import EYE_X, EYE_Y, draw_brows, draw_eyes
from farkeras.synthetic.hair import draw_back_hair, draw_hair
from farkeras.synthetic.head import draw_head
from farkeras.synthetic.held_out import photograph, restyled
from farkeras.synthetic.mouth import corners, draw_mouth, draw_nose
from farkeras.synthetic.painted import PaintedCanvas
from farkeras.synthetic.parameters import FaceParameters
from farkeras.synthetic.photo import develop, paint_backdrop
from farkeras.synthetic.places import paint_place
from farkeras.synthetic.traits import sample_parameters
from farkeras.synthetic.worn import draw_earrings, draw_glasses, draw_hat

STYLES = ("standard", "held_out")
"""How faces are rendered. A style changes no label, no geometry and no landmark."""


def draw(face: FaceParameters, style: str = "standard") -> tuple[np.ndarray, np.ndarray]:
    """Draws a face.

    Args:
        face: The parameters of the face and its scene.
        style: One of `STYLES`. "held_out" replaces light, colours, surfaces, outlines, background and camera.

    Returns:
        The image, `uint8` `[218, 178, 3]` RGB, and the landmarks, `float32` `[5, 2]`: `x, y` in pixels of left eye,
        right eye, nose, and left and right corner of the mouth. Left and right are those of the image.

    Raises:
        FarkerasError: The style is not one of `STYLES`.
    """
    check_style(style)
    if style == "held_out":
        face, look = restyled(face)
        painted = PaintedCanvas(face.pose, face.light, paint_place(face.backdrop.seed), look)
        landmarks = _draw_parts(painted, face)
        return photograph(painted.pixels, face.camera, look), landmarks
    canvas = Canvas(face.pose, face.light, paint_backdrop(face.backdrop))
    landmarks = _draw_parts(canvas, face)
    return develop(canvas.pixels, face.camera), landmarks


def check_style(style: str) -> None:
    """Raises a `FarkerasError` unless the style is one of `STYLES`."""
    if style not in STYLES:
        raise FarkerasError(f"`style` must be one of {', '.join(STYLES)}. Received: '{style}'.")


def _draw_parts(canvas: Canvas, face: FaceParameters) -> np.ndarray:
    """Draws all parts of a face over the background, and returns the five landmarks, `[5, 2]`."""
    draw_back_hair(canvas, face)
    draw_body(canvas, face)
    mask = draw_head(canvas, face)
    draw_nose(canvas, face, mask)
    draw_beard(canvas, face, mask)
    draw_mouth(canvas, face, mask)
    draw_eyes(canvas, face, mask)
    draw_brows(canvas, face, mask)
    draw_hair(canvas, face)
    if face.glasses:
        draw_glasses(canvas, face.glasses)
    if face.hat:
        draw_hat(canvas, face.hat)
    if face.earrings:
        draw_earrings(canvas, face.earrings)
    points = np.array([(-EYE_X, EYE_Y), (EYE_X, EYE_Y), (0, face.nose.tip_y), *corners(face.mouth)])
    return canvas.place(points)


def render(
    attributes: Mapping[str, bool], rng: np.random.Generator, style: str = "standard"
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a face with the given attributes; everything else is random.

    Args:
        attributes: Attribute name -> whether it is present. Attributes that are not named are absent, except `Young`
            and, for a face without a beard, `No_Beard`.
        rng: The random generator. From the same state, other attributes give the same face and scene except for these
            attributes.
        style: One of `STYLES`, see `draw`.

    Returns:
        The image, `uint8` `[218, 178, 3]` RGB, and the landmarks, `float32` `[5, 2]` (see `draw`).

    Raises:
        FarkerasError: A name is not one of the 40 attributes, or the style is unknown.
    """
    unknown = sorted(set(attributes) - set(CELEBA_ATTRIBUTES))
    if unknown:
        raise FarkerasError(f"Unknown attributes: {', '.join(unknown)}. Expected: {', '.join(CELEBA_ATTRIBUTES)}.")
    bearded = any(attributes.get(name) for name in ("5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns"))
    face = dict.fromkeys(CELEBA_ATTRIBUTES, False) | {
        "Young": True,
        "No_Beard": not bearded,
        # A beard has at least one form.
        "Sideburns": not attributes.get("No_Beard", True) and not bearded,
    }
    return draw(sample_parameters(face | dict(attributes), rng), style)
