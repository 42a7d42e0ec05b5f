"""The first and the last step of drawing: the background, and the effects of the camera."""

import math

import numpy as np
from PIL import Image, ImageFilter

from farkeras.synthetic.canvas import HEIGHT, WIDTH
from farkeras.synthetic.parameters import Backdrop, Camera


def paint_backdrop(backdrop: Backdrop) -> np.ndarray:
    """Paints two colours blended along a direction, under a random texture: `float32` `[3, 218, 178]` in 0..255."""
    rng = np.random.default_rng(backdrop.seed)
    # Everything except the grain is smooth, so it is computed at a quarter of the size.
    height, width = HEIGHT // 4, WIDTH // 4
    rows = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    along = np.cos(backdrop.angle) * np.linspace(-0.5, 0.5, width, dtype=np.float32) + np.sin(backdrop.angle) * rows
    first = np.array(backdrop.first, np.float32)
    small = first + np.clip(0.5 + along, 0, 1)[..., None] * (np.array(backdrop.second, np.float32) - first)
    small += 0.5 * backdrop.texture * _clouds(rng, backdrop.cells, (width, height))[..., None]
    image = Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    pixels = np.array(np.asarray(image).transpose(2, 0, 1), np.float32, order="C")
    pixels += backdrop.grain * _noise(rng, (HEIGHT, WIDTH))
    return np.clip(pixels, 0, 255, out=pixels)


def develop(pixels: np.ndarray, camera: Camera) -> np.ndarray:
    """Applies exposure, contrast, blur and noise: `float32` `[3, 218, 178]` -> `uint8` `[218, 178, 3]`."""
    rng = np.random.default_rng(camera.seed)
    light = 1 + np.clip(camera.patches * _clouds(rng, camera.cells, (WIDTH, HEIGHT)), -0.5, 0.5)
    exposed = pixels * light
    exposed *= np.array(camera.gain, np.float32)[:, None, None] * camera.contrast
    exposed += 110 * (1 - camera.contrast)
    exposed = np.clip(exposed, 0, 255, out=exposed).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(exposed.transpose(1, 2, 0)))
    if camera.blur > 0.4:
        image = image.filter(ImageFilter.GaussianBlur(camera.blur))
    noisy = camera.noise * _noise(rng, (HEIGHT, WIDTH, 3))
    noisy += np.asarray(image)
    return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)


def _clouds(rng: np.random.Generator, cells: int, size: tuple[int, int]) -> np.ndarray:
    """Returns smooth noise with about `cells` bumps across and a variance of about 1: `float32` `[height, width]`."""
    coarse = Image.fromarray(rng.standard_normal((cells + 1, cells), dtype=np.float32))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns `float32` uniform noise of variance 1; it is cheaper than normal noise and looks the same in a JPEG."""
    noise = np.frombuffer(rng.bytes(math.prod(shape)), np.uint8).reshape(shape)
    centred = noise - np.float32(127.5)
    centred *= np.float32(np.sqrt(12) / 256)
    return centred
