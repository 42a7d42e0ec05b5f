"""Optimizers and learning rate schedules."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from farkeras import optimizers
from farkeras.config import Config


@keras.saving.register_keras_serializable(package="farkeras")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to `peak`, then cosine or linear decay to 0 at `total_steps`, or a constant rate.

    Args:
        peak: The learning rate after the warm-up.
        total_steps: Number of steps of the schedule.
        warmup_steps: Number of steps of the warm-up.
        decay: "cosine", "linear" or "constant".
    """

    def __init__(self, peak: float, total_steps: int, warmup_steps: int = 0, decay: str = "cosine") -> None:
        self.peak, self.total_steps, self.warmup_steps, self.decay = peak, total_steps, warmup_steps, decay

    def __call__(self, step: int | keras.KerasTensor) -> keras.KerasTensor:
        step = ops.cast(step, "float32")
        # The rate reaches the peak at the first step after the warm-up, and is above 0 at step 0.
        warmup = ops.minimum(1.0, (step + 1.0) / (self.warmup_steps + 1.0))
        progress = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        progress = ops.clip(progress, 0.0, 1.0)
        shape = {
            "cosine": lambda: 0.5 * (1.0 + ops.cos(math.pi * progress)),
            "linear": lambda: 1.0 - progress,
            "constant": lambda: 1.0,
        }
        return self.peak * warmup * shape[self.decay]()

    def get_config(self) -> dict[str, float | int | str]:
        return dict(vars(self))


def make_optimizer(
    config: Config,
    variables: list[keras.Variable],
    total_steps: int,
    steps_per_epoch: float,
    multipliers: Sequence[float] = (),
) -> keras.optimizers.Optimizer:
    """Makes an optimizer of a run, built on `variables`. Weight decay applies only to kernels.

    Args:
        config: The settings.
        variables: The variables to train.
        total_steps: Number of steps of the learning rate schedule.
        steps_per_epoch: Number of steps per epoch.
        multipliers: Each variable's share of the learning rate; empty: all of it.
    """
    warmup_steps = min(round(config.warmup_epochs * steps_per_epoch), total_steps - 1)
    options: dict[str, Any] = {
        "learning_rate": WarmupSchedule(config.learning_rate, total_steps, warmup_steps, config.schedule),
        **({"use_ema": True, "ema_momentum": config.ema_decay} if config.ema_decay else {}),
        **({"multipliers": multipliers} if multipliers else {}),
    }
    family: Any = optimizers if multipliers else keras.optimizers
    if config.optimizer == "adamw":
        optimizer = family.AdamW(weight_decay=config.weight_decay, **options)
    else:
        options["weight_decay"] = config.weight_decay or None
        optimizer = family.SGD(momentum=config.momentum, nesterov=config.momentum > 0, **options)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if "kernel" not in v.name])
    optimizer.build(variables)
    return optimizer


def averaged_weights(
    optimizer: keras.optimizers.Optimizer, variables: list[keras.Variable], model: keras.Model
) -> list[np.ndarray]:
    """Returns the weights of a model for validation and saving: their moving averages if averaging is on.

    Args:
        optimizer: The optimizer of the model.
        variables: The variables that the optimizer was built on, in that order; their values stay the same.
        model: The model.

    Returns:
        The weights, in the order of `model.get_weights()`.
    """
    if not optimizer.use_ema:
        return model.get_weights()
    trained = [ops.copy(v) for v in variables]
    optimizer.finalize_variable_values(variables)
    averaged = model.get_weights()
    for variable, value in zip(variables, trained, strict=True):
        variable.assign(value)
    return averaged
