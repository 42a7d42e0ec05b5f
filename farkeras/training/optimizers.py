"""Optimizers and learning rate schedules."""

import math

import keras
from keras import ops

from farkeras.config import Config


@keras.saving.register_keras_serializable(package="farkeras")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to `peak`, then cosine or linear decay to 0 at `total_steps`, or constant.

    The first `lead_steps`, in which a mask network is trained alone, warm up and stay at the peak; the schedule proper
    starts after them.
    """

    def __init__(
        self, peak: float, total_steps: int, warmup_steps: int = 0, decay: str = "cosine", lead_steps: int = 0
    ):
        self.peak, self.total_steps, self.warmup_steps, self.decay = peak, total_steps, warmup_steps, decay
        self.lead_steps = lead_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        step = ops.where(step < self.lead_steps, ops.minimum(step, float(self.warmup_steps)), step - self.lead_steps)
        # The step after the last warm-up step is the first at the peak; step 0 already learns a little.
        warmup = ops.minimum(1.0, (step + 1.0) / (self.warmup_steps + 1.0))
        decay_steps = self.total_steps - self.lead_steps - self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, decay_steps)
        progress = ops.clip(progress, 0.0, 1.0)
        shape = {
            "cosine": lambda: 0.5 * (1.0 + ops.cos(math.pi * progress)),
            "linear": lambda: 1.0 - progress,
            "constant": lambda: 1.0,
        }
        return self.peak * warmup * shape[self.decay]()

    def get_config(self):
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "decay": self.decay,
            "lead_steps": self.lead_steps,
        }


def make_optimizer(
    config: Config, variables, total_steps: int, steps_per_epoch: float, lead_steps: int = 0
) -> keras.optimizers.Optimizer:
    """The optimizer of a run, built on `variables`; weight decay leaves out everything but kernels.

    Args:
        config: Of the run.
        variables: All that any step of the run trains.
        total_steps: Of the run, with the lead.
        steps_per_epoch: To turn epochs into steps.
        lead_steps: See `WarmupSchedule`.
    """
    warmup_steps = min(round(config.warmup_epochs * steps_per_epoch), total_steps - lead_steps - 1)
    averaging = {"use_ema": True, "ema_momentum": config.ema_decay} if config.ema_decay else {}
    options = {
        "learning_rate": WarmupSchedule(config.learning_rate, total_steps, warmup_steps, config.schedule, lead_steps),
        "weight_decay": config.weight_decay or None,
        **averaging,
    }
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(**options)
    else:
        optimizer = keras.optimizers.SGD(momentum=config.momentum, nesterov=config.momentum > 0, **options)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if "kernel" not in v.name])
    optimizer.build(variables)
    return optimizer


def averaged_weights(optimizer: keras.optimizers.Optimizer, variables, model: keras.Model) -> list:
    """The model's weights as they are to be used: with averaging on, the averages in place of the trained values.

    Args:
        optimizer: The run's.
        variables: Those that the optimizer was built on, in that order; they are left as they were.
        model: Whose weights are wanted.
    """
    if not optimizer.use_ema:
        return model.get_weights()
    trained = [ops.copy(v) for v in variables]
    optimizer.finalize_variable_values(variables)
    averaged = model.get_weights()
    for variable, value in zip(variables, trained, strict=True):
        variable.assign(value)
    return averaged
