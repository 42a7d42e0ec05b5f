"""The phases of a run: the mask network alone, everything but the backbone, and everything.

The first two are there if `mask_epochs` and `frozen_epochs` are set.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.losses import balanced_positive_weights
from farkeras.models.base import FaceAttributeModel
from farkeras.training.handicaps import loss_factors
from farkeras.training.optimizers import averaged_weights, make_optimizer
from farkeras.training.step import MaskStep, Step, TrainStep
from farkeras.weighting import TaskWeighting

FROZEN_BACKBONE = "frozen backbone"


@dataclass(frozen=True)
class Phase:
    """A phase of a run.

    Attributes:
        name: Name of the phase, as the progress line shows it.
        optimizer_name: Name of the optimizer in the checkpoint.
        step: The training step, with its loss, optimizer and variables.
        start: Number of steps of the run before the phase.
        end: Number of steps of the run at the end of the phase.
        frozen: The layers that are not trained in this phase, including their batch normalisation statistics.
        chooses_best: Whether validations of this phase may select the best model.
        patience: Number of validations of this phase in a row without a better model that end the run; 0: none do.
    """

    name: str
    optimizer_name: str
    step: Step
    start: int
    end: int
    frozen: Sequence[keras.layers.Layer] = ()
    chooses_best: bool = True
    patience: int = 0

    def begin(self) -> None:
        """Prepares the phase. Call it in each process before the first step of the phase."""
        for layer in self.step.model._flatten_layers():  # the phase before may have frozen some
            layer.trainable = True
        for layer in self.frozen:
            layer.trainable = False

    def weights(self) -> list[np.ndarray]:
        """Returns the weights of the model for validation and saving, see `averaged_weights`."""
        return averaged_weights(self.step.optimizer, self.step.variables, self.step.model)


def make_phases(
    config: Config,
    model: FaceAttributeModel,
    weighting: TaskWeighting,
    grouping: Grouping,
    labels: np.ndarray,
    steps_per_epoch: float,
    strategy: tf.distribute.Strategy,
) -> list[Phase]:
    """Makes the phases of a run, in order. `labels` are the labels of the training split, `[N, A]`."""
    phases: list[Phase] = []
    start, frozen, mask_loss_weight = 0, [], config.mask_loss_weight if model.has_masks else 0.0
    # Each phase has its own optimizer, so that each starts with its own warm-up and averages. A phase before the last
    # keeps its rate, because a decay to 0 would end the learning there.
    constant = replace(config, schedule="constant")
    if model.has_masks and (steps := int(config.mask_epochs * steps_per_epoch)):
        masks = model.mask_network.trainable_variables
        alone = make_optimizer(replace(constant, ema_decay=0.0), masks, steps, steps_per_epoch)
        step: Step = MaskStep(model, alone, masks, strategy)
        # The attributes are not trained in this phase, so its validations select no model.
        phases.append(Phase("masks", "mask_optimizer", step, 0, steps, chooses_best=False))
        if not config.mask_gradients:
            frozen, mask_loss_weight = [model.mask_network], 0.0
        start = steps
    positive_weights = balanced_positive_weights(labels) if config.positive_weights == "balanced" else None
    factors = loss_factors(config, grouping)
    loss = (weighting, grouping, positive_weights, config.focal_gamma, mask_loss_weight, factors)

    def train_step(config: Config, steps: int, frozen: Sequence[keras.layers.Layer]) -> TrainStep:
        kept = {id(variable) for layer in frozen for variable in layer.variables}
        variables = [variable for variable in model.trainable_variables if id(variable) not in kept]
        variables += weighting.trainable_variables
        multiplier = config.backbone_lr_multiplier
        multipliers = [] if multiplier == 1 else model.backbone_multipliers(multiplier, variables)
        multipliers = multipliers if set(multipliers) - {1.0} else []  # the backbone may be frozen
        optimizer = make_optimizer(config, variables, steps, steps_per_epoch, multipliers)
        return TrainStep(model, optimizer, variables, strategy, *loss)

    if steps := int(config.frozen_epochs * steps_per_epoch):
        without_backbone = [*frozen, *model.backbone_layers]
        step = train_step(constant, steps, without_backbone)
        phases.append(Phase(FROZEN_BACKBONE, "frozen_optimizer", step, start, start + steps, without_backbone))
        start += steps
    if not config.backbone_lr_multiplier:
        frozen = [*frozen, *model.backbone_layers]
    steps = max(1, int(config.epochs * steps_per_epoch))
    step = train_step(config, steps, frozen)
    return [*phases, Phase("all", "optimizer", step, start, start + steps, frozen, patience=config.patience)]
