"""Samples the scene of a face: pose, light, backdrop and camera. Of the attributes, only Blurry has an influence."""

import numpy as np

from farkeras.synthetic.parameters import Backdrop, Camera, Light, Pose


def sample_scene(rng: np.random.Generator, blurry: bool) -> tuple[Pose, Light, Backdrop, Camera]:
    """Samples a scene; from the same generator state, only the camera's blur depends on `blurry`."""

    def swing(width: float, limit: float) -> float:
        return float(np.clip(rng.normal(0, width), -limit, limit))

    pose = Pose(
        # The limits keep hair and hats away from the border, see BORDER in farkeras.data.shortcuts.
        yaw=swing(0.12, 0.26),
        pitch=swing(0.08, 0.16),
        roll=swing(0.04, 0.08),
        scale=rng.uniform(0.93, 1.04),
        dx=swing(3.0, 6.0),
        dy=swing(3.5, 7.0),
        widths=tuple(rng.uniform(0.97, 1.04, 3)),
        drops=(swing(2, 4), swing(3, 6), swing(1.5, 3), 0, 0, swing(2, 4), swing(2.5, 5), swing(2.5, 5)),
    )
    x, y = rng.uniform(-0.7, 0.7), rng.uniform(-0.65, 0.1)
    length = np.sqrt(x * x + y * y + 0.6)
    light = Light(x / length, y / length, np.sqrt(0.6) / length, rng.uniform(0.3, 0.95))
    backdrop = Backdrop(
        first=tuple(rng.uniform(15, 245, 3)),
        second=tuple(rng.uniform(15, 245, 3)),
        angle=rng.uniform(0, 2 * np.pi),
        cells=int(rng.integers(2, 16)),
        texture=rng.uniform(5, 40),
        grain=rng.uniform(0, 1) ** 2 * 20,
        seed=int(rng.integers(2**31)),
    )
    exposure = rng.uniform(0.72, 1.15)
    sharp, soft = rng.uniform(0, 0.6), rng.uniform(2.2, 3.6)
    camera = Camera(
        blur=soft if blurry else sharp,
        noise=rng.uniform(0, 1) ** 2 * 6,
        gain=tuple(exposure * np.clip(rng.normal(1, 0.08, 3), 0.8, 1.2)),
        contrast=rng.uniform(0.85, 1.15),
        patches=rng.uniform(0.02, 0.14),
        cells=int(rng.integers(4, 11)),
        seed=int(rng.integers(2**31)),
    )
    return pose, light, backdrop, camera
