"""Paints in the held-out style: the canvas on which the parts of a face look different, in the same places."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageFilter

from farkeras.synthetic.canvas import HEIGHT, WIDTH, Canvas, Patch
from farkeras.synthetic.held_out import Look, colour_matrix
from farkeras.synthetic.parameters import Light, Pose
from farkeras.synthetic.patterns import noise, surface

_LARGE = 1500  # pixels of a part that casts a shadow
_OUTLINED = 120  # pixels of a part that has an outline


class PaintedCanvas(Canvas):
    """A canvas with another palette, coloured light, rough surfaces, cast shadows, and outlines or none."""

    def __init__(self, pose: Pose, light: Light, pixels: np.ndarray, look: Look):
        self._look = look
        # All randomness is drawn here, so that a part that only some faces have does not change the other parts.
        rng = np.random.default_rng(look.seed)
        self._phase = rng.uniform(0, 6, 2)
        self._grain = {
            "skin": look.pores * (noise(rng, 1.2) + 0.7 * noise(rng, 9)),
            "hair": look.fibre * noise(rng, 2, 5),
        }
        self._matrix = colour_matrix(look)
        self._cast = -9 * np.array((light.x, light.y))
        super().__init__(pose, light, pixels)
        self._shading *= 1 + np.float32(look.rough) * surface(look.surface, rng)

    def _shade(self, light: Light) -> np.ndarray:
        """Returns the light on the head as factors `[3, 218, 178]`: two colours of light, and a rim."""
        look = self._look
        normal = self._normal()
        lit = normal[0] * light.x + normal[1] * light.y + normal[2] * light.z
        if look.steps:
            lit = np.ceil(look.steps * lit - 0.3) / look.steps
        wrapped = np.maximum(lit + look.wrap, 0) / (light.z + look.wrap)
        key, fill = (np.array(colour, np.float32)[:, None, None] for colour in (look.key, look.fill))
        shade = light.strength * key * wrapped + (1 - light.strength) * fill
        shade += look.rim * fill * np.maximum(-lit, 0) * (1 - normal[2]) ** 2
        shade += look.gloss * key * np.maximum(lit, 0) ** 12
        return np.minimum(shade, 1.3).astype(np.float32)

    def lines(self, curves: Sequence[np.ndarray] | np.ndarray, width: float, soft: float = 0.0) -> Patch:
        """Returns the mask of lines that tremble."""
        wobble = self._look.wobble
        trembling = [curve + wobble * np.sin(0.45 * curve[:, ::-1] + self._phase) for curve in map(np.asarray, curves)]
        return super().lines(trembling, self._look.line * width, soft)

    def paint(self, patch: Patch, colour: ArrayLike, opacity: float = 1.0, clip: Patch | None = None) -> None:
        """Paints a colour of another palette; a large part casts a shadow first, and has an outline."""
        covers = opacity >= 0.95 and clip is None
        area = patch.alpha.sum() if covers else 0
        if area > _LARGE:
            super().tint(self._fallen(patch), 0.45, self._look.shadow)
        shifted = np.clip(self._matrix @ np.broadcast_to(np.asarray(colour, np.float32), 3), 0, 255)
        shifted = self._look.lift + (1 - self._look.lift / 255) * shifted
        super().paint(patch, shifted, opacity, clip)
        if area > _OUTLINED and self._look.ink:
            self._draw_outline(patch)

    def tint(self, patch: Patch, factor: ArrayLike, opacity: float = 1.0, clip: Patch | None = None) -> None:
        """Multiplies the image by a factor; a shadow has another hue than in the standard style."""
        factor = np.asarray(factor, np.float32)
        if factor.max() < 1:
            factor = factor.mean() + self._look.shade * (factor - factor.mean())
        super().tint(patch, factor, opacity, clip)

    def roughen(self, patch: Patch, material: str) -> None:
        """Draws pores on skin, and fine mottled fibres on hair."""
        self.pixels[:, *patch.window] *= 1 + patch.alpha * self._grain[material][patch.window]

    def _fallen(self, patch: Patch) -> Patch:
        """Returns the mask of the shadow: the part, moved away from the light, with soft edges."""
        y, x = patch.window
        right, down = (round(float(step)) for step in self._cast)
        moved = Image.new("L", (WIDTH, HEIGHT))
        moved.paste(_image(patch), (x.start + right, y.start + down))
        alpha = np.asarray(moved.filter(ImageFilter.BoxBlur(2)), np.float32) / 255
        return Patch((slice(0, HEIGHT), slice(0, WIDTH)), alpha)

    def _draw_outline(self, patch: Patch) -> None:
        image = _image(patch)
        wide, narrow = (image.filter(filter(3)) for filter in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
        edge = (np.asarray(wide, np.float32) - np.asarray(narrow, np.float32)) / 255
        super().paint(Patch(patch.window, edge), self._look.ink_colour, 0.6 * self._look.ink)


def _image(patch: Patch) -> Image.Image:
    return Image.fromarray((255 * np.clip(patch.alpha, 0, 1)).astype(np.uint8))
