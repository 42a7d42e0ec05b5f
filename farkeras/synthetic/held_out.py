"""The held-out style: the same faces, rendered differently from the standard style.

A model that is trained on standard faces may learn how they are rendered: their light, their colours, their smooth
skin. The held-out style changes all of this and keeps the labels and the geometry of the face. The score that a model
loses on it measures how much of what the model learned belongs to the renderer.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from farkeras.synthetic.canvas import HEIGHT, WIDTH
from farkeras.synthetic.parameters import Camera, Colour, FaceParameters, Light
from farkeras.synthetic.patterns import dapples, noise

_LUMA = np.array((0.299, 0.587, 0.114))


class Look(NamedTuple):
    """How one face of the held-out style is rendered; it depends on the scene and on no attribute.

    Attributes:
        hue, saturation: Rotation in radians, and factor, of all colours that are painted.
        lift: Level of black, 0..255.
        key, fill: Colour factors of the directed light and of the light from everywhere.
        wrap: How far the directed light reaches around the head, 0..1.
        rim: Amount of light on the side of the head that is away from the light.
        gloss: Brightness of the highlight where the head faces the light.
        steps: Number of brightness steps in which the light falls off, as in comics; 0 for a smooth fall-off.
        shade: Factor of the colourfulness of shadows on the skin; negative for the opposite hue.
        ink, ink_colour: Opacity of the outlines, 0 for none, and their colour.
        shadow: Opacity of the shadow that each large part casts on what lies behind it.
        line: Factor of the width of lines.
        wobble: Amplitude of the tremor of lines, in pixels.
        surface: Pattern on everything that is painted: "canvas", "brush", "paper" or "hatching".
        rough, pores, fibre: Amounts of the surface and of the textures of skin and hair, as deviations of a factor.
        dapple, dapple_size: Depth of the shadows that leaves or a blind cast over the scene, and their size in pixels.
        slats: Whether these shadows are stripes.
        oily: Whether small details flow together, as in an oil painting.
        halo: Amount of sharpening by the camera, 0..1.
        gamma: Exponent of the camera's tone curve.
        vignette: Darkening of the corners, 0..1.
        seed: Seed of all patterns.
    """

    hue: float
    saturation: float
    lift: float
    key: Colour
    fill: Colour
    wrap: float
    rim: float
    gloss: float
    steps: int
    shade: float
    ink: float
    ink_colour: Colour
    shadow: float
    line: float
    wobble: float
    surface: str
    rough: float
    pores: float
    fibre: float
    dapple: float
    dapple_size: float
    slats: bool
    oily: bool
    halo: float
    gamma: float
    vignette: float
    seed: int


def restyled(face: FaceParameters) -> tuple[FaceParameters, Look]:
    """Samples a look, and gives the face another light and another camera; the rest of its parameters is kept.

    The result depends on the arguments only. Of the attributes, only `Blurry` has an influence, on the camera's blur.
    """
    seed = face.camera.seed
    rng = np.random.default_rng([seed, face.backdrop.seed])
    # Light is warmer rather than cooler: much cooler light would make every skin pale.
    warm = rng.uniform(0.06, 0.16) if rng.random() < 0.6 else -rng.uniform(0.02, 0.06)
    flat, outlined = rng.random(2) < 0.5
    look = Look(
        hue=rng.uniform(0.05, 0.12) * rng.choice((-1, 1)),
        # A flat picture has pale colours already; paler ones would hide blond hair, and make every skin pale.
        saturation=rng.uniform(1.1, 1.35) if flat else rng.uniform(0.95, 1.1),
        lift=rng.uniform(0, 20),
        key=(1 + warm, 1.0, 1 - warm),
        fill=(1 - 0.8 * warm, 1.0, 1 + 0.8 * warm),
        wrap=rng.uniform(0, 0.5),
        rim=rng.uniform(0, 0.35),
        gloss=rng.uniform(0, 0.35),
        steps=int(rng.integers(3, 5)) if rng.random() < 0.4 else 0,
        shade=rng.uniform(-0.5, 0.4),
        ink=rng.uniform(0.55, 0.95) * outlined,
        ink_colour=tuple(rng.uniform(10, 60, 3)),
        shadow=rng.uniform(0.2, 0.6),
        line=rng.uniform(0.85, 1.4),
        wobble=rng.uniform(0.1, 0.6),
        surface=str(rng.choice(("canvas", "brush", "paper", "hatching"))),
        rough=rng.uniform(0.03, 0.1),
        pores=rng.uniform(0.03, 0.08),
        fibre=rng.uniform(0.06, 0.16),
        dapple=rng.uniform(0.1, 0.26),
        dapple_size=rng.uniform(14, 40),
        slats=bool(rng.random() < 0.35),
        oily=bool(rng.random() < 0.35),
        halo=rng.uniform(0.3, 1) if rng.random() < 0.5 else 0.0,
        gamma=rng.uniform(0.9, 1.2) if flat else rng.uniform(0.68, 0.85),
        vignette=rng.uniform(0, 0.4),
        seed=int(rng.integers(2**31)),
    )
    return face._replace(light=_light(rng), camera=_camera(face.camera, bool(flat), rng)), look


def _light(rng: np.random.Generator) -> Light:
    """Samples a light from the side or from below; that of the standard style comes from above."""
    x, y = rng.uniform(0.5, 1.0) * rng.choice((-1, 1)), rng.uniform(0.2, 0.6)
    length = np.sqrt(x * x + y * y + 0.6)
    return Light(x / length, y / length, np.sqrt(0.6) / length, rng.uniform(0.55, 0.9))


def _camera(standard: Camera, flat: bool, rng: np.random.Generator) -> Camera:
    """Samples a camera whose contrast is lower or higher than any in the standard style, with more noise."""
    contrast = rng.uniform(0.68, 0.82) if flat else rng.uniform(1.15, 1.3)
    warm, exposure = rng.uniform(-0.03, 0.07), rng.uniform(0.98, 1.15) if flat else rng.uniform(0.8, 0.92)
    return standard._replace(
        blur=standard.blur if standard.blur > 1 else rng.uniform(0.5, 0.85),
        noise=rng.uniform(3, 6.5),
        gain=(exposure * (1 + warm), exposure, exposure * (1 - warm)),
        contrast=contrast,
    )


def colour_matrix(look: Look) -> np.ndarray:
    """Returns the matrix `[3, 3]` that rotates hues around grey and scales the saturation of RGB colours."""
    cos, sin = np.cos(look.hue), np.sin(look.hue)
    third, root = (1 - cos) / 3, np.sqrt(1 / 3) * sin
    rotation = np.full((3, 3), third) + cos * np.eye(3) + root * np.array([(0, -1, 1), (1, 0, -1), (-1, 1, 0)])
    return look.saturation * rotation + (1 - look.saturation) * np.ones((3, 1)) * _LUMA


def photograph(pixels: np.ndarray, camera: Camera, look: Look) -> np.ndarray:
    """Applies exposure, tones, vignette, lens and sensor: `float32` `[3, 218, 178]` -> `uint8` `[218, 178, 3]`.

    The lens blurs evenly over a square, not like a Gaussian. The noise is coarse, coloured, and stronger in the dark.
    """
    rng = np.random.default_rng(camera.seed)
    tones = np.clip(pixels * np.array(camera.gain, np.float32)[:, None, None], 0, 255) / 255
    tones **= np.float32(look.gamma)
    tones = (tones - 0.45) * np.float32(camera.contrast) + 0.45
    y, x = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None], np.linspace(-1, 1, WIDTH, dtype=np.float32)
    tones *= 1 - np.float32(look.dapple) * dapples(rng, look.dapple_size, look.slats)
    tones *= 1 - np.float32(0.5 * look.vignette) * np.minimum(x * x + y * y, 2)
    exposed = (255 * np.clip(tones, 0, 1)).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(exposed.transpose(1, 2, 0)))
    if look.oily:
        image = image.filter(ImageFilter.MedianFilter(3))
    # A box of 2 r + 1 pixels has the variance of a Gaussian with this sigma.
    image = image.filter(ImageFilter.BoxBlur(0.5 * (math.sqrt(12 * camera.blur**2 + 1) - 1)))
    image = image.filter(ImageFilter.UnsharpMask(3, int(110 * look.halo), 0))
    clean = np.asarray(image).astype(np.float32)
    grain = 0.8 * noise(rng, 1.6)[..., None] + 0.6 * np.stack([noise(rng, 2.2) for _ in range(3)], -1)
    clean += np.float32(camera.noise) * (1.3 - clean / 255) * grain
    return np.clip(clean, 0, 255).astype(np.uint8)
