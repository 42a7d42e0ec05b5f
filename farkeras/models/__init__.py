"""The papers' models and the baselines they are compared with."""

from farkeras.models.baselines import SharedTrunk
from farkeras.models.far_amtn import FARAMTN

__all__ = ["FARAMTN", "MODELS", "SharedTrunk"]

MODELS = {"far_amtn": FARAMTN, "shared_trunk": SharedTrunk}
"""Model classes by the name that `--model` takes."""
