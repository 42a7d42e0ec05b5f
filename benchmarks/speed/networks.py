"""Our models and what they are compared with, on any Keras backend, with random weights."""

from typing import Any

import keras
from keras import layers

import farkeras
from farkeras.attributes import Grouping, load_grouping
from farkeras.config import Config
from farkeras.models import MODELS
from farkeras.models.backbones import build_backbone, split_at_last_block

ATTRIBUTES = load_grouping("mgmtn8").attributes


def grouping_of(groups: int) -> Grouping:
    """Returns 40 attributes in 1, 8 (the default grouping) or 40 groups."""
    if groups == 8:
        return load_grouping("mgmtn8")
    if groups == 1:
        return Grouping({"all": ATTRIBUTES})
    return Grouping({name: (name,) for name in ATTRIBUTES})


def config_of(flagfile: str, bare: bool, **changes: Any) -> Config:
    """Returns the settings of a flagfile with random weights; `bare` for its backbone with one linear layer."""
    settings = {"backbone_weights": "none", "ema_decay": 0.0, "precision": "float32"} | changes
    return farkeras.load_config(flagfile, **settings, **({"model": "shared_trunk"} if bare else {}))


def build(flagfile: str, bare: bool, groups: int = 8, private: bool = False, **changes: Any) -> keras.Model:
    """Builds a model.

    Args:
        flagfile: `celeba` for FAR-AMTN, `celeba_mgmtn` for MGMTN, or another flagfile.
        bare: Whether to build only the backbone with one linear layer.
        groups: Number of groups of the 40 attributes.
        private: Whether each group has a last block of its own, in place of the one that FAR-AMTN shares.
        **changes: Settings that replace those of the flagfile.

    Returns:
        A model from images to a dict with `logits`.
    """
    config = config_of(flagfile, bare, **changes)
    keras.utils.set_random_seed(0)
    if private:
        return private_blocks(config, groups)
    return MODELS[config.model].from_settings(config, grouping_of(groups))


def private_blocks(config: Config, groups: int) -> keras.Model:
    """Builds what FAR-AMTN replaces: a trunk, and for each group a last block of its own, pooling and linear layer."""
    backbone = build_backbone(config.backbone, config.image_size)
    trunk, block = split_at_last_block(backbone)
    shared, logits = trunk(backbone.inputs[0]), []
    for group in range(groups):
        own = keras.models.clone_model(block)
        own.name = f"block_{group}"
        pooled = layers.GlobalAveragePooling2D()(own(shared))
        logits.append(layers.Dense(len(ATTRIBUTES) // groups)(pooled))
    return keras.Model(backbone.inputs[0], {"logits": layers.Concatenate()(logits)})
