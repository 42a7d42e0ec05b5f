"""Weights of the losses of attribute groups, or of other tasks: uniform, DWS, DWA, homoscedastic uncertainty.

With `L_g` the mean loss of group g over known labels and `n_g` its number of attributes, the training loss is

    total = sum_g w_g n_g L_g / sum_g n_g

so that uniform weights give the plain mean over all attributes. `model.compile(..., weighting="dws")` of this package's
models applies them in `fit`, see `farkeras.models.MultiTaskModel`; `farkeras.train` uses the same objects.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
from keras import ops

from farkeras.config import Config

__all__ = ["DWA", "DWS", "TaskWeighting", "Uncertainty", "get", "make_weighting"]


@keras.saving.register_keras_serializable(package="farkeras")
class TaskWeighting:
    """Uniform weights, and the interface of the others.

    The state is in `keras.Variable`s: it is the same on all replicas and part of a run's checkpoint. A weighting is no
    layer, so that its state stays out of the files and exports of a model that `fit` trains with it.

    Attributes:
        sizes: Number of attributes in each group.
        dtype: Of state and weights.
        variables: The state, after `build`.
    """

    def __init__(self) -> None:
        self.sizes: tuple[float, ...] = ()
        self.dtype = ""
        self.variables: list[keras.Variable] = []

    def build(self, sizes: Sequence[float], dtype: str | None = None) -> Self:
        """Makes the state.

        Args:
            sizes: Number of attributes in each group, n_g; of other tasks, how much each counts.
            dtype: Of state and weights; by default `keras.config.floatx()`.

        Raises:
            ValueError: This weighting has been built before, for the losses of another model.
        """
        if self.variables:
            raise ValueError(
                f"This {type(self).__name__} has the state of another training: expected a new one. Make one for each "
                "call of `compile`."
            )
        self.sizes, self.dtype = tuple(sizes), dtype or keras.config.floatx()
        self.make_state()
        return self

    def make_state(self) -> None:
        """Makes the variables; `sizes` and `dtype` are known."""
        self.updates = self.state("updates", ())

    def state(self, name: str, shape: tuple[int, ...] | None = None, trainable: bool = False) -> keras.Variable:
        """A variable that starts at 0, by default one number for each group."""
        shape = (len(self.sizes),) if shape is None else shape
        aggregation = "none" if trainable else "only_first_replica"
        variable = keras.Variable("zeros", shape, self.dtype, trainable, aggregation=aggregation, name=name)
        self.variables.append(variable)
        return variable

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """Those of `variables` that the optimizer trains."""
        return [v for v in self.variables if v.trainable]

    @property
    def shares(self) -> keras.KerasTensor:
        """`(K,)`: n_g / sum_h n_h."""
        return ops.convert_to_tensor([size / sum(self.sizes) for size in self.sizes], self.dtype)

    def weights_now(self) -> keras.KerasTensor:
        """`(K,)`: w_g of the current step."""
        return ops.ones(len(self.sizes), dtype=self.dtype)

    def total(self, losses: keras.KerasTensor, num_replicas: int = 1) -> keras.KerasTensor:
        """The training loss.

        Args:
            losses: `(K,)` this replica's part of each L_g (they add up over replicas).
            num_replicas: Number of such parts.
        """
        return ops.sum(ops.stop_gradient(self.weights_now()) * self.shares * losses)

    def update(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        """Takes note of a step.

        Args:
            losses: `(K,)` L_g over the global batch. One that is not finite counts as absent: a step in float16 that
                overflows is skipped, and must leave no trace.
            present: `(K,)` 1 where the batch had a known label of the group, else 0.
        """
        finite = ops.isfinite(losses)
        self.updates.assign(self.updates + 1)
        self.observe(ops.where(finite, losses, 0.0), present * ops.cast(finite, self.dtype))

    def observe(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        """What `update` does beyond counting; arguments as there, all finite."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; the state is not among them."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


@keras.saving.register_keras_serializable(package="farkeras")
class DWS(TaskWeighting):
    """Dynamic Weighting Strategy: groups that lag behind weigh more, so that groups converge in step.

    From a running mean of each group's loss, `p_g = L_g / L_g0` is what remains of the loss at the end of the warm-up:

        lag    r_g = p_g / mean_h p_h
        scale  c_g = (mean_h L_h0 / L_g0) ** alpha
        w_g    proportional to c_g clip(r_g, 1/5, 5) ** beta,     sum_g w_g = K

    Losses must be positive: a group whose L_g0 is 0 or less weighs as the others on average.

    Weights are uniform during the warm-up. The paper names DWS and its purpose; its formula was not available to us,
    this one is our formulation. r is the relative inverse training rate of GradNorm (Chen et al., ICML 2018).

    Args:
        warmup_steps: Steps with uniform weights, at least 1: about an epoch.
        alpha: Strength of the scale term, in [0, 1].
        beta: Strength of the lag term, in [0, 1].
        decay: Of the running mean, per step.

    Reference:
        FAR-AMTN, arXiv 2601.01537 (DWS, by name and purpose).
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
        """`(K,)`: running mean of each L_g; 0 for a group without any label so far."""
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
        weight = ops.where(seen > 0, weight, ops.sum(seen * weight) / count)  # nothing known: as the others on average
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
    """Dynamic Weight Average: `w_k = K softmax(r_k / T)`, `r_k = L_k(t-1) / L_k(t-2)` from epoch means.

    The first two epochs are uniform.

    Args:
        steps_per_epoch: Steps after which an epoch's mean is taken.
        temperature: T.

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
        # Plain tensors: on JAX, the operations take no variables.
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
    """Homoscedastic uncertainty: `total = sum_g n_g (L_g / (2 s_g^2) + log s_g) / sum_g n_g`, log s_g learned.

    Reference:
        Kendall, Gal, Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018.
    """

    def make_state(self) -> None:
        super().make_state()
        self.log_sigma = self.state("log_sigma", trainable=True)

    def weights_now(self) -> keras.KerasTensor:
        return ops.exp(-2.0 * self.log_sigma) / 2.0

    def total(self, losses: keras.KerasTensor, num_replicas: int = 1) -> keras.KerasTensor:
        # Every replica adds the same log s_g; together they must add it once.
        return ops.sum(self.shares * (self.weights_now() * losses + self.log_sigma / num_replicas))


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"`{name}` must be a number from {low} to {high}. Received: {name}={value}")


def get(identifier: str | TaskWeighting) -> TaskWeighting:
    """The weighting that `compile(weighting=...)` names: `"uniform"`, `"dws"`, `"uncertainty"`, or an object.

    Raises:
        ValueError: No such weighting.
    """
    if isinstance(identifier, TaskWeighting):
        return identifier
    if identifier == "dwa":
        raise ValueError(
            "`weighting='dwa'` needs to know how many steps an epoch has. Use "
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
    """The weighting that `config.weighting` names, with its settings; not built."""
    if config.weighting == "dws":
        warmup = round(config.weighting_warmup_epochs * steps_per_epoch)
        return DWS(warmup, config.dws_alpha, config.dws_beta, config.weighting_decay)
    if config.weighting == "dwa":
        return DWA(round(steps_per_epoch), config.dwa_temperature)
    return get(config.weighting)
