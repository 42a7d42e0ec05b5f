"""The phases of a run: the mask network alone if `mask_epochs` is set, then the attributes."""

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
    """A phase of a run.

    Attributes:
        optimizer_name: Name of the optimizer in the checkpoint.
        step: The training step, with its loss, optimizer and variables.
        end: Number of steps of the run at the end of the phase.
        chooses_best: Whether validations of this phase may select the best model.
        frozen: A layer that is not trained in this phase, including its batch normalisation statistics.
    """

    optimizer_name: str
    step: Step
    end: int
    chooses_best: bool = True
    frozen: keras.layers.Layer | None = None

    def begin(self) -> None:
        """Prepares the phase. Call it in each process before the first step of the phase."""
        if self.frozen:
            self.frozen.trainable = False

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
    variables, frozen, start = model.trainable_variables, None, 0
    mask_loss_weight = config.mask_loss_weight if model.has_masks else 0.0
    if model.has_masks and (start := int(config.mask_epochs * steps_per_epoch)):
        masks = model.mask_network.trainable_variables
        # A separate optimizer, so that the optimizer of the attributes starts with its own warm-up and averages.
        alone = replace(config, schedule="constant", ema_decay=0.0)
        step: Step = MaskStep(model, make_optimizer(alone, masks, start, steps_per_epoch), masks, strategy)
        # The attributes are not trained in this phase, so its validations select no model.
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
