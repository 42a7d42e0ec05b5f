"""Computes curves through points, for outlines, locks of hair and wrinkles."""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike


def spline(points: ArrayLike, steps: int = 6, closed: bool = False) -> np.ndarray:
    """Returns a Catmull-Rom curve through points `[n, 2]`, `float32`, with `steps` samples per section."""
    points = np.asarray(points, np.float32)
    before, after = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    padded = np.concatenate([before, points, after])
    sections = np.stack([padded[i : len(padded) - 3 + i] for i in range(4)], 1)
    curve = (_weights(steps) @ sections).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


@cache
def _weights(steps: int) -> np.ndarray:
    """Returns the weight of each of a section's four points at each step: `[steps, 4]`."""
    t = np.arange(steps, dtype=np.float32) / steps
    return 0.5 * np.stack([2 * t**2 - t - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], -1)


def moved(curve: ArrayLike, x: float, y: float) -> np.ndarray:
    """Returns the curve `[n, 2]` shifted by `x` and `y`."""
    return np.asarray(curve, np.float32) + np.array((x, y), np.float32)


def pair(curve: ArrayLike) -> list[np.ndarray]:
    """Returns a curve `[n, 2]` of the right side and its mirror image, for parts that a face has twice."""
    curve = np.asarray(curve, np.float32)
    return [curve, curve * np.array((-1, 1), np.float32)]


def mirrored(half: ArrayLike) -> np.ndarray:
    """Returns a symmetric closed outline from its right half, top to bottom, whose ends have x = 0."""
    half = np.asarray(half, np.float32)
    return np.concatenate([half, half[-2:0:-1] * (-1, 1)])


def across(half: ArrayLike) -> np.ndarray:
    """Returns a symmetric open curve from its left half, whose last point has x = 0."""
    half = np.asarray(half, np.float32)
    return np.concatenate([half, half[-2::-1] * (-1, 1)])


def ellipse(x: float, y: float, rx: float, ry: float, points: int = 20) -> np.ndarray:
    """Returns an ellipse as a polygon `[points, 2]`."""
    angle = np.arange(points) * (2 * np.pi / points)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], -1).astype(np.float32)


def tapered(curve: ArrayLike, width: float, end: float = 0.0) -> np.ndarray:
    """Returns a brush stroke along a curve `[n, 2]`: a polygon, `width` in the middle and `end * width` at the tips."""
    curve = np.asarray(curve, np.float32)
    swell = end + (1 - end) * np.sin(np.linspace(0, np.pi, len(curve)))
    offset = _normals(curve) * (swell * width / 2)[:, None]
    return np.concatenate([curve + offset, (curve - offset)[::-1]]).astype(np.float32)


def waved(curve: np.ndarray, amplitude: float, waves: float, phase: float) -> np.ndarray:
    """Returns the curve `[n, 2]` plus a sine: `amplitude` in pixels, `waves` periods along the curve."""
    swing = np.sin(np.linspace(0, 2 * np.pi * waves, len(curve)) + phase)
    return (curve + amplitude * swing[:, None] * _normals(curve)).astype(np.float32)


def _normals(curve: np.ndarray) -> np.ndarray:
    """Returns unit vectors perpendicular to the curve, `[n, 2]`."""
    normal = np.empty_like(curve)
    normal[1:-1] = curve[2:] - curve[:-2]
    normal[0], normal[-1] = curve[1] - curve[0], curve[-1] - curve[-2]
    normal[:, 0], normal[:, 1] = -normal[:, 1], normal[:, 0].copy()
    length = np.sqrt(normal[:, :1] ** 2 + normal[:, 1:] ** 2)
    return normal / np.maximum(length, np.float32(1e-6))
