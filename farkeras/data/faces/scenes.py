"""The scene of a face: pose, light, backdrop and camera, drawn without a look at the attributes (but for Blurry)."""

import numpy as np

from farkeras.data.faces.parameters import Backdrop, Camera, Light, Pose


def sample_scene(rng: np.random.Generator, blurry: bool) -> tuple[Pose, Light, Backdrop, Camera]:
    """Draws a scene; with the same generator state only the camera's blur depends on `blurry`."""

    def swing(width: float, limit: float) -> float:
        return float(np.clip(rng.normal(0, width), -limit, limit))

    pose = Pose(
        yaw=swing(0.12, 0.24),
        pitch=swing(0.06, 0.12),
        roll=swing(0.035, 0.07),
        scale=1 + swing(0.025, 0.05),
        dx=swing(2.0, 4.0),
        dy=swing(2.0, 4.0),
    )
    x, y = rng.uniform(-0.7, 0.7), rng.uniform(-0.65, 0.1)
    length = np.sqrt(x * x + y * y + 0.6)
    light = Light(x / length, y / length, np.sqrt(0.6) / length, rng.uniform(0.25, 0.75))
    backdrop = Backdrop(
        first=tuple(rng.uniform(15, 245, 3)),
        second=tuple(rng.uniform(15, 245, 3)),
        angle=rng.uniform(0, 2 * np.pi),
        cells=int(rng.integers(2, 16)),
        texture=rng.uniform(5, 60),
        grain=rng.uniform(0, 1) ** 2 * 30,
        seed=int(rng.integers(2**31)),
    )
    exposure = rng.uniform(0.68, 1.12)
    sharp, soft = rng.uniform(0, 0.6), rng.uniform(2.2, 3.6)
    camera = Camera(
        blur=soft if blurry else sharp,
        noise=rng.uniform(0, 1) ** 2 * 10,
        gain=tuple(exposure * np.clip(rng.normal(1, 0.06, 3), 0.85, 1.15)),
        contrast=rng.uniform(0.75, 1.15),
        seed=int(rng.integers(2**31)),
    )
    return pose, light, backdrop, camera
