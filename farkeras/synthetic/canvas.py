"""Paints in face coordinates: on a posed head, with soft masks, under one light.

Face coordinates are pixels of the aligned CelebA frame, with x measured from the middle of the face; the eyes lie near
(-19.5, 111) and (19.5, 111). Points turn with the head (nearer points move further), and are then scaled, rotated and
shifted into the image. Masks are drawn at twice their size and then reduced, so that their edges are smooth.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFilter

from farkeras.synthetic.parameters import Light, Pose

WIDTH, HEIGHT = 178, 218
_CENTRE, _PIVOT = 88.5, 118.0
_DEPTH = 45.0  # height of the head's front over its outline, in pixels
# The y positions at which a head's build is given: widths at forehead, eyes and jaw; drops at the top, hairline, brows,
# eyes (two positions, which do not move), nose, mouth and chin; everything below drops with the chin.
_WIDTHS_AT = (45, 110, 165)
_DROPS_AT = (45, 70, 96, 105, 117, 135, 152, 175)


class Patch(NamedTuple):
    """A mask over a part of the image.

    Attributes:
        window: Rows and columns of the part.
        alpha: `float32` array `[rows, columns]` in 0..1.
    """

    window: tuple[slice, slice]
    alpha: np.ndarray

    def within(self, other: "Patch") -> "Patch":
        """Returns this mask multiplied by another mask."""
        both = np.zeros_like(self.alpha)
        here, there = zip(*map(_overlap, self.window, other.window), strict=True)
        both[here] = self.alpha[here] * other.alpha[there]
        return Patch(self.window, both)


def _overlap(one: slice, other: slice) -> tuple[slice, slice]:
    """Returns the overlap of two ranges, counted from the start of each; empty slices if they do not overlap."""
    start = max(one.start, other.start)
    stop = max(start, min(one.stop, other.stop))
    return slice(start - one.start, stop - one.start), slice(start - other.start, stop - other.start)


class Spot(NamedTuple):
    """A Gaussian spot in face coordinates.

    Attributes:
        x, y: Centre.
        rx, ry: Radii (standard deviations) in pixels.
        tilt: Rotation in radians.
        strength: Value at the centre.
    """

    x: float
    y: float
    rx: float
    ry: float
    tilt: float = 0.0
    strength: float = 1.0

    def both(self) -> tuple["Spot", "Spot"]:
        """Returns the spot and its mirror image on the other side of the face."""
        return self, self._replace(x=-self.x, tilt=-self.tilt)


class Canvas:
    """A float32 image `[3, 218, 178]`, 0..255, with the head's pose and light.

    Channels come first, because NumPy is several times slower if the innermost axis has three elements.
    """

    def __init__(self, pose: Pose, light: Light, pixels: np.ndarray):
        self.pixels = pixels
        self._pose = pose
        self._turn = np.array([np.sin(pose.yaw), np.sin(pose.pitch)], np.float32)
        self._origin = np.array([_CENTRE + pose.dx, _PIVOT + pose.dy], np.float32)
        self._cos = np.float32(np.cos(pose.roll) * pose.scale)
        self._sin = np.float32(np.sin(pose.roll) * pose.scale)
        # Face coordinates of every pixel; written out, because BLAS starts threads even for such small products.
        x = np.arange(WIDTH, dtype=np.float32) - self._origin[0]
        y = np.arange(HEIGHT, dtype=np.float32)[:, None] - self._origin[1]
        cos, sin = self._cos / pose.scale**2, self._sin / pose.scale**2
        self._x, self._y = cos * x + sin * y, cos * y - sin * x
        self._shading = self._shade(light)
        self._mask = Image.new("L", (2 * WIDTH, 2 * HEIGHT))  # it is empty before each shape
        self._pen = ImageDraw.Draw(self._mask)

    def _shade(self, light: Light) -> np.ndarray:
        nx, ny, nz = self._normal()
        lambert = np.maximum(nx * light.x + ny * light.y + nz * light.z, 0)
        facing = 1 - light.strength + light.strength * lambert / light.z
        return np.minimum(facing, 1.25)

    def _normal(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns x, y and z of the head's surface normal at every pixel; z is at least 0.2."""
        # The light sees the head as an egg; the parts paint their own relief.
        nx, ny = self._x / 62, (self._y + (_PIVOT - 112)) / 92
        return nx, ny, np.sqrt(np.maximum(1 - nx**2 - ny**2, 0.04))

    def place(self, points: ArrayLike, lift: float = 0.0) -> np.ndarray:
        """Maps face points `[..., 2]` to `x, y` in pixels of the image; `lift` is their height over the head."""
        points = np.asarray(points, np.float32)
        x, y = points[..., 0], points[..., 1]
        x = x * np.interp(y, _WIDTHS_AT, self._pose.widths)
        y = y + np.interp(y, _DROPS_AT, self._pose.drops)
        egg = 1 - (x / 60) ** 2 - ((y - 115) / 95) ** 2
        # Minus half the depth, so that a turn moves eyes and outline by the same amount in opposite directions.
        depth = _DEPTH * (np.sqrt(np.maximum(egg, 0)) - 0.5) + lift
        x, y = x + depth * self._turn[0], y + depth * self._turn[1] - _PIVOT
        placed = np.empty(points.shape, np.float32)
        placed[..., 0] = self._cos * x - self._sin * y + self._origin[0]
        placed[..., 1] = self._sin * x + self._cos * y + self._origin[1]
        return placed

    def polygon(self, *shapes: np.ndarray, soft: float = 0.0, lift: float = 0.0) -> Patch:
        """Returns the mask of closed shapes, each `[points, 2]`; `soft` is the sigma of the edge blur in pixels."""
        return self._draw(shapes, lambda pen, shape: pen.polygon(shape, fill=255), 0, soft, lift)

    def lines(self, curves: Sequence[np.ndarray] | np.ndarray, width: float, soft: float = 0.0) -> Patch:
        """Returns the mask of open curves, each `[points, 2]`; `width` is in pixels and rounded to half pixels."""
        thick = max(1, round(2 * width))
        return self._draw(curves, lambda pen, curve: pen.line(curve, fill=255, width=thick), width, soft)

    def _draw(
        self,
        shapes: Sequence[np.ndarray] | np.ndarray,
        draw_one: Callable[[ImageDraw.ImageDraw, list[float]], None],
        margin: float,
        soft: float,
        lift: float = 0.0,
    ) -> Patch:
        placed = self.place(np.concatenate(shapes), lift)
        margin += 3 * soft + 1
        low, high = placed.min(0) - margin, placed.max(0) + margin + 1
        window = y, x = _window(low, high)
        # A pixel's centre is a whole number in the image, and lies between two pixels of the mask.
        flat = (2 * placed + np.float32(0.5)).ravel().tolist()
        first = 0
        for shape in shapes:
            draw_one(self._pen, flat[first : first + 2 * len(shape)])
            first += 2 * len(shape)
        box = (2 * x.start, 2 * y.start, 2 * x.stop, 2 * y.stop)
        mask = self._mask.reduce(2, box)
        self._mask.paste(0, box)
        if soft:
            mask = mask.filter(ImageFilter.GaussianBlur(soft))
        alpha = np.asarray(mask, np.float32)
        alpha *= np.float32(1 / 255)
        return Patch(window, alpha)

    def glow(self, *spots: Spot) -> Patch:
        """Returns a soft mask, the sum of Gaussian spots."""
        middles = self.place([(spot.x, spot.y) for spot in spots])
        reach = 2.5 * self._cos * np.array([max(spot.rx, spot.ry) for spot in spots])[:, None]
        low, high = middles - reach, middles + reach + 1
        window = rows, columns = _window(low.min(0), high.max(0))
        alpha = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for spot, middle, start, stop in zip(spots, middles, low, high, strict=True):
            y, x = _window(start, stop)
            dx = np.arange(x.start, x.stop, dtype=np.float32) - middle[0]
            dy = np.arange(y.start, y.stop, dtype=np.float32)[:, None] - middle[1]
            angle = self._pose.roll + spot.tilt
            cos, sin = np.float32(np.cos(angle) / self._pose.scale), np.float32(np.sin(angle) / self._pose.scale)
            u = (cos / spot.rx) * dx + (sin / spot.rx) * dy
            v = (cos / spot.ry) * dy - (sin / spot.ry) * dx
            part, _ = zip(*map(_overlap, window, (y, x)), strict=True)
            alpha[part] += spot.strength * np.exp(-0.5 * (u * u + v * v))
        return Patch(window, alpha)

    def paint(self, patch: Patch, colour: ArrayLike, opacity: float = 1.0, clip: Patch | None = None) -> None:
        """Paints a colour, `[3]` in 0..255, over the image through the mask."""
        alpha = _clipped(patch, opacity, clip)
        target = self.pixels[:, *patch.window]
        target *= 1 - alpha
        target += _per_channel(colour) * (alpha * self._shading[..., *patch.window])

    def tint(self, patch: Patch, factor: ArrayLike, opacity: float = 1.0, clip: Patch | None = None) -> None:
        """Multiplies the image by a factor, one number or one per channel, through the mask."""
        alpha = _clipped(patch, opacity, clip)
        self.pixels[:, *patch.window] *= 1 + alpha * (_per_channel(factor) - 1)

    def roughen(self, patch: Patch, material: str) -> None:
        """Gives a part the texture of a material, "skin" or "hair"; in the standard style, surfaces are smooth."""


def _window(low: np.ndarray, high: np.ndarray) -> tuple[slice, slice]:
    """Returns rows and columns between two corners (x, y), within the image and never empty."""
    x0, y0 = (min(max(int(low[i]), 0), size - 1) for i, size in enumerate((WIDTH, HEIGHT)))
    x1, y1 = (
        min(max(int(high[i]) + 1, start + 1), size) for i, (start, size) in enumerate(((x0, WIDTH), (y0, HEIGHT)))
    )
    return slice(y0, y1), slice(x0, x1)


def _clipped(patch: Patch, opacity: float, clip: Patch | None) -> np.ndarray:
    """Returns the patch times the opacity and, if given, times the clip: `[rows, columns]`."""
    alpha = patch.alpha if clip is None else patch.within(clip).alpha
    return alpha * np.float32(opacity)


def _per_channel(values: ArrayLike) -> np.ndarray:
    """Returns one value or three as `float32`, in a shape that broadcasts to `[3, rows, columns]`."""
    return np.asarray(values, np.float32).reshape(-1, 1, 1)
