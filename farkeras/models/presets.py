"""Presets: models by name, each with the shipped flagfile that trains it and what it costs."""

from typing import NamedTuple

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.flagfiles import load_config


class Preset(NamedTuple):
    """A model with its recipe. No preset has weights of its own.

    Attributes:
        name: The name that `from_preset` takes.
        flagfile: The name of the shipped flagfile: architecture, preprocessing, input size and training recipe.
        parameters: The number of trainable parameters, for CelebA's 40 attributes in the groups of the flagfile.
        multiply_adds: Multiply-add operations of the forward pass for one image, in millions.
    """

    name: str
    flagfile: str
    parameters: int
    multiply_adds: int

    @property
    def config(self) -> Config:
        """The settings of the flagfile."""
        return load_config(self.flagfile)

    @property
    def model(self) -> str:
        """The name of the model's class."""
        return {"far_amtn": "FARAMTN", "mgmtn": "MGMTN"}[self.config.model]


PRESETS = (
    Preset("far_amtn_resnet50", "celeba", 28_352_553, 3_331),
    Preset("mgmtn_resnest50", "celeba_mgmtn", 28_375_936, 6_746),
    Preset("far_amtn_mobilenet_v2", "celeba_mobile", 2_746_313, 190),
    Preset("mgmtn_mobilenet_v2", "celeba_mgmtn_mobile", 2_782_608, 233),
    Preset("far_amtn_mobilenet_v3_small", "demo_mobile", 1_152_312, 41),
    Preset("mgmtn_mobilenet_v3_small", "demo_mgmtn_mobile", 1_256_368, 79),
    Preset("far_amtn_resnet_tiny", "demo", 2_442_488, 58),
    Preset("mgmtn_resnet_tiny", "demo_mgmtn", 2_368_000, 83),
)
"""All presets; `python benchmarks/presets.py` prints their numbers."""


def find_preset(name: str) -> Preset:
    """Finds a preset by its name.

    Raises:
        FarkerasError: There is no such preset.
    """
    for preset in PRESETS:
        if preset.name == name:
            return preset
    raise FarkerasError(f"Unknown preset '{name}'. Known: {', '.join(preset.name for preset in PRESETS)}.")
