"""A run small enough for tests: seconds, on a few faces of 32 x 32 pixels."""

from pathlib import Path

from farkeras.config import Config

GROUPING = str(Path(__file__).with_name("three_groups.json"))
"""Two groups that look at a region and one that looks at the whole face. Each costs time, for its graph is built."""


def small_config(data_dir, **changes) -> Config:
    settings = {
        "data_dir": str(data_dir),
        "grouping": GROUPING,
        "image_size": (32, 32),
        "backbone": "ResNetTiny",
        "backbone_alpha": 0.25,
        "backbone_weights": "none",
        "batch_size": 16,
        "epochs": 2.0,
        "warmup_epochs": 0.2,
        "weighting_warmup_epochs": 0.3,
        "steps_per_loop": 4,
        "learning_rate": 2e-3,
    }
    return Config(**settings | changes)
