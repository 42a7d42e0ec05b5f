"""The models FAR-AMTN and MGMTN, and the baselines that they are compared with."""

# A file that Keras saved during training also names metrics and the optimizer, so importing the models registers them.
import farkeras.metrics.masked_metrics
import farkeras.optimizers  # noqa: F401 - both are imported for their effect
from farkeras.models.base import FaceAttributeModel, LogitsModel
from farkeras.models.baselines import SharedTrunk
from farkeras.models.batch_norms import suit_batch_norms
from farkeras.models.far_amtn import FARAMTN
from farkeras.models.mask_weights import load_mask_weights
from farkeras.models.mgmtn import MGMTN
from farkeras.models.multi_task import MultiTaskModel
from farkeras.models.private_blocks import PrivateBlocks, PrivateStage, ScoreFusion

__all__ = [
    "FARAMTN",
    "MGMTN",
    "MODELS",
    "FaceAttributeModel",
    "LogitsModel",
    "MultiTaskModel",
    "PrivateBlocks",
    "PrivateStage",
    "ScoreFusion",
    "SharedTrunk",
    "load_mask_weights",
    "suit_batch_norms",
]

MODELS: dict[str, type[FaceAttributeModel]] = {
    "far_amtn": FARAMTN,
    "mgmtn": MGMTN,
    "private_blocks": PrivateBlocks,
    "private_stage": PrivateStage,
    "score_fusion": ScoreFusion,
    "shared_trunk": SharedTrunk,
}
"""Value of the setting `model` -> model class."""
