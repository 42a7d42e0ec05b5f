"""Facial regions in an image: the masks that a model predicts, and the transform from their frame to image pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from farkeras.attributes import REGIONS

COLORS: dict[str, str] = dict(
    zip(
        REGIONS,
        ("#56b4e9", "#f0e442", "#00b884", "#cc79a7", "#e8590c", "#e69f00", "#7c7cff", "#ffffff"),
        strict=True,
    )
)
"""Region -> colour. Okabe and Ito's palette for all kinds of colour vision, lightened for a dark background."""

SURROUNDING = 0.1
"""Margin of a close-up around the masks' frame, as a fraction of the frame's side; it keeps the face recognisable."""

LONGEST_SIDE = 800
"""Maximum side of a close-up in pixels: more than an overlay shows, and little memory for many photographs."""


@dataclass(frozen=True, eq=False)
class FaceRegions:
    """An image with a face, and the masks that a model predicts in a frame around that face.

    Attributes:
        image: `uint8` array `[height, width, 3]`, RGB.
        masks: `float32` array `[h, w, R]`, probabilities in 0..1 of the R regions `farkeras.attributes.REGIONS`.
        to_image: `float64` array `[2, 3]` that maps the masks' frame to the image. `to_image @ (x, y, 1)` is a point
            in pixels of the image, where whole numbers are pixel centres; `x` and `y` are fractions of the frame's
            width and height from its left and top edge. The frame may be rotated, and may reach beyond the image.
    """

    image: np.ndarray
    masks: np.ndarray
    to_image: np.ndarray

    @classmethod
    def of_frame(cls, image: ArrayLike, masks: ArrayLike) -> "FaceRegions":
        """Creates an object from masks whose frame is the whole image.

        Args:
            image: `[height, width, 3]` in 0..255, of any dtype.
            masks: `[h, w, R]` in 0..1; their height and width may differ from the image's.
        """
        pixels = np.asarray(image).clip(0, 255).astype(np.uint8)
        height, width = pixels.shape[:2]
        return cls(pixels, np.asarray(masks, np.float32), np.array([[width, 0, -0.5], [0, height, -0.5]], np.float64))

    def points(self, fractions: ArrayLike) -> np.ndarray:
        """Maps points of the masks' frame to the image.

        Args:
            fractions: `[..., 2]`, `x, y` as fractions of the frame's width and height.

        Returns:
            `float64` array `[..., 2]`, `x, y` in pixels of the image.
        """
        return np.asarray(fractions, np.float64) @ self.to_image[:, :2].T + self.to_image[:, 2]

    def close_up(self) -> "FaceRegions":
        """Cuts out the part of the image around the face, and scales it down to at most `LONGEST_SIDE` pixels.

        A close-up of a close-up is the same close-up.
        """
        corners = self.points([(x, y) for x in (0, 1) for y in (0, 1)])
        margin = SURROUNDING * np.linalg.norm(self.to_image[:, :2], axis=0).max()
        limits = np.array(self.image.shape[1::-1])
        left, top = np.clip(np.floor(corners.min(axis=0) - margin).astype(int), 0, limits - 1)
        right, bottom = np.clip(np.ceil(corners.max(axis=0) + margin).astype(int) + 1, (left + 1, top + 1), limits)
        part = Image.fromarray(self.image[top:bottom, left:right])
        full = np.array(part.size)
        if (shrink := LONGEST_SIDE / full.max()) < 1:
            part = part.resize(np.maximum((full * shrink).round(), 1).astype(int), Image.Resampling.LANCZOS)
        scale = part.size / full
        to_part = self.to_image * scale[:, None]
        to_part[:, 2] += (0.5 - np.array([left, top])) * scale - 0.5
        return FaceRegions(np.array(part), self.masks, to_part)
