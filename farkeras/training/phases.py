"""A run is a list of phases, each with a step and an end: the masks alone where asked for, then the attributes."""

from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.losses import balanced_positive_weights
from farkeras.models.base import FaceAttributeModel
from farkeras.training.optimizers import averaged_weights, make_optimizer
from farkeras.training.step import MaskStep, Step, TrainStep
from farkeras.weighting import TaskWeighting


@dataclass(frozen=True)
class Phase:
    """A stretch of a run.

    Attributes:
        optimizer_name: Of the step's optimizer in the checkpoint.
        step: What is minimised, with its optimizer and its variables.
        end: The run's step after which the phase is over.
        chooses_best: Whether its validations may choose the best model.
        frozen: A layer that stays as it is during this phase, statistics of its batch normalisation included.
    """

    optimizer_name: str
    step: Step
    end: int
    chooses_best: bool = True
    frozen: keras.layers.Layer | None = None

    def begin(self) -> None:
        """Call before its first step in a process."""
        if self.frozen:
            self.frozen.trainable = False

    def weights(self) -> list[np.ndarray]:
        """The model's weights as they are to be used, see `averaged_weights`."""
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
    """The phases of a run, in order; `labels` are those of the training split, `[N, A]`."""
    phases: list[Phase] = []
    variables, frozen, start = model.trainable_variables, None, 0
    mask_loss_weight = config.mask_loss_weight if model.has_masks else 0.0
    if model.has_masks and (start := int(config.mask_epochs * steps_per_epoch)):
        masks = model.mask_network.trainable_variables
        # An optimizer of its own: the attributes' then starts with its own first step, warm-up and averages.
        alone = replace(config, schedule="constant", ema_decay=0.0)
        step: Step = MaskStep(model, make_optimizer(alone, masks, start, steps_per_epoch), masks, strategy)
        # While masks are trained alone the attributes are chance.
        phases.append(Phase("mask_optimizer", step, start, chooses_best=False))
        if not config.mask_gradients:
            frozen, mask_loss_weight = model.mask_network, 0.0
            variables = [v for v in variables if all(v is not mask for mask in masks)]
    variables = variables + weighting.trainable_variables
    steps = max(1, int(config.epochs * steps_per_epoch))
    optimizer = make_optimizer(config, variables, steps, steps_per_epoch)
    positive_weights = balanced_positive_weights(labels) if config.positive_weights == "balanced" else None
    loss = (weighting, grouping, positive_weights, config.focal_gamma, mask_loss_weight)
    step = TrainStep(model, optimizer, variables, strategy, *loss)
    return [*phases, Phase("optimizer", step, start + steps, frozen=frozen)]
