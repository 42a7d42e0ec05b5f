"""Weights of the losses of attribute groups or other tasks: uniform, DWS, DWA and homoscedastic uncertainty.

With `L_g` the mean loss of group g over its known labels, `n_g` its number of attributes and `w_g` its weight, the
training loss (our formulation) is

    total = sum_g w_g n_g L_g / sum_g n_g

Uniform weights, `w_g = 1`, give the mean over all attributes. In `fit`, use `model.compile(..., weighting="dws")` with
a model of `farkeras.models`; see `farkeras.models.MultiTaskModel`. `farkeras.train` uses the same objects.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
from keras import ops

from farkeras.config import Config

__all__ = ["DWA", "DWS", "TaskWeighting", "Uncertainty", "get", "make_weighting"]


@keras.saving.register_keras_serializable(package="farkeras")
class TaskWeighting:
    """Uniform weights, and the base class of the other weightings.

    The state is held in `keras.Variable` objects. It is the same on all replicas and part of a run's checkpoint. A
    weighting is not a layer, so its state is not part of the files and exports of a model that `fit` trains with it.

    Attributes:
        sizes: The number of attributes in each group; for other tasks, the factor of each task's loss.
        dtype: The dtype of the state and the weights.
        variables: The state, after `build`.
    """

    def __init__(self) -> None:
        self.sizes: tuple[float, ...] = ()
        self.dtype = ""
        self.variables: list[keras.Variable] = []

    def build(self, sizes: Sequence[float], dtype: str | None = None) -> Self:
        """Creates the state.

        Args:
            sizes: The number of attributes `n_g` in each group; for other tasks, the factor of each task's loss.
            dtype: The dtype of the state and the weights; `keras.config.floatx()` by default.

        Raises:
            ValueError: The weighting already has a state, from another training.
        """
        if self.variables:
            raise ValueError(
                f"This {type(self).__name__} object already has the state of another training. Create a new object for "
                "each call of `compile`."
            )
        self.sizes, self.dtype = tuple(sizes), dtype or keras.config.floatx()
        self.make_state()
        return self

    def make_state(self) -> None:
        """Creates the variables; `sizes` and `dtype` are already set."""
        self.updates = self.state("updates", ())

    def state(self, name: str, shape: tuple[int, ...] | None = None, trainable: bool = False) -> keras.Variable:
        """Creates a variable that starts at 0, by default with one number per group."""
        shape = (len(self.sizes),) if shape is None else shape
        aggregation = "none" if trainable else "only_first_replica"
        variable = keras.Variable("zeros", shape, self.dtype, trainable, aggregation=aggregation, name=name)
        self.variables.append(variable)
        return variable

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The variables that the optimizer trains."""
        return [v for v in self.variables if v.trainable]

    @property
    def shares(self) -> keras.KerasTensor:
        """The shares `n_g / sum_h n_h`, `(K,)`."""
        return ops.convert_to_tensor([size / sum(self.sizes) for size in self.sizes], self.dtype)

    def weights_now(self) -> keras.KerasTensor:
        """Returns the weights `w_g` of the current step, `(K,)`."""
        return ops.ones(len(self.sizes), dtype=self.dtype)

    def total(self, losses: keras.KerasTensor, num_replicas: int = 1) -> keras.KerasTensor:
        """Computes the training loss.

        Args:
            losses: `(K,)`: this replica's part of each `L_g`. The parts of all replicas sum to `L_g`.
            num_replicas: The number of replicas.
        """
        return ops.sum(ops.stop_gradient(self.weights_now()) * self.shares * losses)

    def update(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        """Updates the state after a training step.

        Args:
            losses: `(K,)`: each `L_g` over the global batch. A loss that is not finite counts as absent, because a step
                that overflows in float16 is skipped and must not change the state.
            present: `(K,)`: 1 if the batch had a known label of the group, else 0.
        """
        finite = ops.isfinite(losses)
        self.updates.assign(self.updates + 1)
        self.observe(ops.where(finite, losses, 0.0), present * ops.cast(finite, self.dtype))

    def observe(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        """Updates the state beyond the number of updates; takes the arguments of `update`, with finite losses."""

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, without the state."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


@keras.saving.register_keras_serializable(package="farkeras")
class DWS(TaskWeighting):
    """Dynamic Weighting Strategy: groups that lag behind get larger weights, so that all groups converge in step.

    Published: the name of DWS and its purpose, that groups converge in step despite losses of different speed and
    scale. The paper's formula was not available to us.

    Our formulation: `L_g` is a running mean of the group's loss, `L_g0` its value at the end of the warm-up, and
    `p_g = L_g / L_g0` the fraction of the loss that remains:

        lag    r_g = p_g / mean_h p_h
        scale  c_g = (mean_h L_h0 / L_g0) ** alpha
        w_g    proportional to c_g clip(r_g, 1/5, 5) ** beta,     sum_g w_g = K

    The lag `r_g` is the relative inverse training rate of GradNorm (Chen et al., ICML 2018). Weights are uniform during
    the warm-up. Losses must be positive: a group with `L_g0` of 0 or less gets the mean weight of the others.

    Args:
        warmup_steps: Number of steps with uniform weights, at least 1. About one epoch is a good value.
        alpha: Strength of the scale term, in [0, 1].
        beta: Strength of the lag term, in [0, 1].
        decay: Decay of the running mean per step, in [0, 0.99999].

    Raises:
        ValueError: `alpha`, `beta` or `decay` is out of its range.

    Reference:
        FAR-AMTN, arXiv 2601.01537 (name and purpose of DWS).
    """

    def __init__(self, warmup_steps: int = 100, alpha: float = 0.5, beta: float = 0.5, decay: float = 0.99) -> None:
        super().__init__()
        _check_range("alpha", alpha, 0, 1)
        _check_range("beta", beta, 0, 1)
        _check_range("decay", decay, 0, 0.99999)
        self.warmup_steps, self.alpha, self.beta, self.decay = max(1, warmup_steps), alpha, beta, decay

    def make_state(self) -> None:
        super().make_state()
        self.decayed_sum, self.decayed_count = self.state("decayed_sum"), self.state("decayed_count")
        self.initial = self.state("initial")

    def running(self) -> keras.KerasTensor:
        """Returns the running mean of each `L_g`, `(K,)`; 0 for a group without a known label so far."""
        return self.decayed_sum / ops.maximum(ops.convert_to_tensor(self.decayed_count), 1e-12)

    def weights_now(self) -> keras.KerasTensor:
        groups, initial = len(self.sizes), ops.convert_to_tensor(self.initial)
        seen = ops.cast(initial > 0, self.dtype)
        count = ops.maximum(ops.sum(seen), 1.0)
        mean = ops.sum(seen * initial) / count
        initial = ops.where(seen > 0, initial, 1.0)
        remaining = seen * self.running() / initial
        lag = remaining / ops.maximum(ops.sum(remaining) / count, 1e-12)
        scale = (mean / initial) ** self.alpha
        weight = scale * ops.clip(lag, 0.2, 5.0) ** self.beta
        weight = ops.where(seen > 0, weight, ops.sum(seen * weight) / count)  # no loss known: the mean of the others
        weight *= groups / ops.sum(weight)
        return ops.where(ops.convert_to_tensor(self.updates) < self.warmup_steps, ops.ones_like(weight), weight)

    def observe(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        decay = 1.0 - (1.0 - self.decay) * present  # a group absent from the batch keeps its mean
        self.decayed_sum.assign(decay * self.decayed_sum + (1.0 - decay) * losses)
        self.decayed_count.assign(decay * self.decayed_count + (1.0 - decay))
        updates, initial = ops.convert_to_tensor(self.updates), ops.convert_to_tensor(self.initial)
        self.initial.assign(ops.where(updates <= self.warmup_steps, self.running(), initial))

    def get_config(self) -> dict[str, Any]:
        return {"warmup_steps": self.warmup_steps, "alpha": self.alpha, "beta": self.beta, "decay": self.decay}


@keras.saving.register_keras_serializable(package="farkeras")
class DWA(TaskWeighting):
    """Dynamic Weight Average: the weights depend on how fast each loss fell between the last two epochs.

        w_k = K softmax(r_k / T),     r_k = L_k(t-1) / L_k(t-2)

    Published: the equation, where `L_k(t)` is the mean loss of epoch t. Weights are uniform in the first two epochs.

    Args:
        steps_per_epoch: Number of steps per epoch.
        temperature: The temperature `T`, at least 0.01.

    Raises:
        ValueError: `temperature` is below 0.01.

    Reference:
        Liu, Johns, Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019, equation 7.
    """

    def __init__(self, steps_per_epoch: int, temperature: float = 2.0) -> None:
        super().__init__()
        _check_range("temperature", temperature, 0.01, float("inf"))
        self.steps_per_epoch, self.temperature = max(1, steps_per_epoch), temperature

    def make_state(self) -> None:
        super().make_state()
        self.sum, self.count = self.state("sum"), self.state("count")
        self.last, self.before_last = self.state("last"), self.state("before_last")

    def weights_now(self) -> keras.KerasTensor:
        last, before_last = ops.convert_to_tensor(self.last), ops.convert_to_tensor(self.before_last)
        known = ops.logical_and(last > 0, before_last > 0)
        rate = ops.where(known, last / ops.where(known, before_last, 1.0), 1.0)
        weight = len(self.sizes) * ops.softmax(rate / self.temperature)
        updates = ops.convert_to_tensor(self.updates)
        return ops.where(updates < 2 * self.steps_per_epoch, ops.ones_like(weight), weight)

    def observe(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        # Convert to tensors, because the operations do not accept variables on JAX.
        last, before_last = ops.convert_to_tensor(self.last), ops.convert_to_tensor(self.before_last)
        total, count = self.sum + present * losses, self.count + present
        ended = ops.equal(ops.mod(ops.convert_to_tensor(self.updates), self.steps_per_epoch), 0)
        self.before_last.assign(ops.where(ended, last, before_last))
        self.last.assign(ops.where(ended, total / ops.maximum(count, 1.0), last))
        self.sum.assign(ops.where(ended, 0.0, total))
        self.count.assign(ops.where(ended, 0.0, count))

    def get_config(self) -> dict[str, Any]:
        return {"steps_per_epoch": self.steps_per_epoch, "temperature": self.temperature}


@keras.saving.register_keras_serializable(package="farkeras")
class Uncertainty(TaskWeighting):
    """Homoscedastic uncertainty: a learned uncertainty `s_g` of each group gives the weight of its loss.

        total = sum_g n_g (L_g / (2 s_g^2) + log s_g) / sum_g n_g

    Published: the terms `L_g / (2 s_g^2) + log s_g`, where `log s_g` is learned and starts at 0. Our formulation: their
    mean weighted by `n_g`.

    Reference:
        Kendall, Gal, Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018.
    """

    def make_state(self) -> None:
        super().make_state()
        self.log_sigma = self.state("log_sigma", trainable=True)

    def weights_now(self) -> keras.KerasTensor:
        return ops.exp(-2.0 * self.log_sigma) / 2.0

    def total(self, losses: keras.KerasTensor, num_replicas: int = 1) -> keras.KerasTensor:
        # Each replica adds its part of log s_g, so that the sum over replicas contains it once.
        return ops.sum(self.shares * (self.weights_now() * losses + self.log_sigma / num_replicas))


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"`{name}` must be a number from {low} to {high}. Received: {name}={value}")


def get(identifier: str | TaskWeighting) -> TaskWeighting:
    """Returns a weighting object.

    Args:
        identifier: `"uniform"`, `"dws"`, `"uncertainty"`, or an object of this module, which is returned as it is.

    Raises:
        ValueError: The name is unknown, or is `"dwa"`, which needs an argument.
    """
    if isinstance(identifier, TaskWeighting):
        return identifier
    if identifier == "dwa":
        raise ValueError(
            "`weighting='dwa'` needs the number of steps per epoch. Use "
            "`weighting=farkeras.weighting.DWA(steps_per_epoch=...)`."
        )
    classes: dict[str, Callable[[], TaskWeighting]] = {
        "uniform": TaskWeighting,
        "dws": DWS,
        "uncertainty": Uncertainty,
    }
    if identifier not in classes:
        raise ValueError(
            f"`weighting` must be one of {', '.join(classes)}, or an object of `farkeras.weighting`. "
            f"Received: weighting={identifier!r}"
        )
    return classes[identifier]()


def make_weighting(config: Config, steps_per_epoch: float) -> TaskWeighting:
    """Creates the weighting that `config.weighting` names, with its settings and without state."""
    if config.weighting == "dws":
        warmup = round(config.weighting_warmup_epochs * steps_per_epoch)
        return DWS(warmup, config.dws_alpha, config.dws_beta, config.weighting_decay)
    if config.weighting == "dwa":
        return DWA(round(steps_per_epoch), config.dwa_temperature)
    return get(config.weighting)
