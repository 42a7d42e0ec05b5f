"""Weights of the losses of attribute groups under one interface: uniform, DWS, DWA, homoscedastic uncertainty.

With `L_g` the mean loss of group g over known labels and `n_g` its number of attributes, the training loss is

    total = sum_g w_g n_g L_g / sum_g n_g

so that uniform weights give the plain mean over all attributes. State is in variables: it is the same on all replicas
and part of the checkpoint.
"""

from collections.abc import Sequence

import keras
from keras import ops

from farkeras.attributes import Grouping
from farkeras.config import Config

__all__ = ["DWA", "DWS", "TaskWeighting", "Uncertainty", "make_weighting"]


class TaskWeighting(keras.layers.Layer):
    """Uniform weights, and the interface of the others.

    Args:
        sizes: Number of attributes in each group.
        dtype: Of state and weights.
    """

    def __init__(self, sizes: Sequence[int], dtype: str = "float32") -> None:
        super().__init__(dtype=dtype, name="weighting")
        self.sizes = tuple(sizes)
        self.shares = [size / sum(self.sizes) for size in self.sizes]  # n_g / sum_h n_h
        self.updates = self.state("updates", ())
        self.built = True

    def state(self, name: str, shape: tuple[int, ...] | None = None) -> keras.Variable:
        """A variable that starts at 0, by default one number for each group."""
        shape = (len(self.sizes),) if shape is None else shape
        return self.add_weight(shape, "zeros", name=name, trainable=False, aggregation="only_first_replica")

    def weights_now(self) -> keras.KerasTensor:
        """`(K,)`: w_g of the current step."""
        return ops.ones(len(self.sizes), dtype=self.compute_dtype)

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
            losses: `(K,)` L_g over the global batch.
            present: `(K,)` 1 where the batch had a known label of the group, else 0.
        """
        self.updates.assign(self.updates + 1)


class DWS(TaskWeighting):
    """Dynamic Weighting Strategy: groups that lag behind weigh more, so that groups converge in step.

    From a running mean of each group's loss, `p_g = L_g / L_g0` is what remains of the loss at the end of the warm-up:

        lag    r_g = p_g / mean_h p_h
        scale  c_g = (mean_h L_h0 / L_g0) ** alpha
        w_g    proportional to c_g clip(r_g, 1/5, 5) ** beta,     sum_g w_g = K

    Weights are uniform during the warm-up. The paper names DWS and its purpose; its formula was not available to us,
    this one is our formulation. r is the relative inverse training rate of GradNorm (Chen et al., ICML 2018).

    Args:
        sizes: Number of attributes in each group.
        warmup_steps: Steps with uniform weights, at least 1.
        alpha: Strength of the scale term, in [0, 1].
        beta: Strength of the lag term, in [0, 1].
        decay: Of the running mean, per step.

    Reference:
        FAR-AMTN, arXiv 2601.01537 (DWS, by name and purpose).
    """

    def __init__(
        self,
        sizes: Sequence[int],
        warmup_steps: int,
        alpha: float = 0.5,
        beta: float = 0.5,
        decay: float = 0.99,
        dtype: str = "float32",
    ) -> None:
        super().__init__(sizes, dtype)
        self.warmup_steps, self.alpha, self.beta, self.decay = max(1, warmup_steps), alpha, beta, decay
        self.decayed_sum, self.decayed_count = self.state("decayed_sum"), self.state("decayed_count")
        self.initial = self.state("initial")

    def running(self) -> keras.KerasTensor:
        """`(K,)`: running mean of each L_g; 0 for a group without any label so far."""
        return self.decayed_sum / ops.maximum(self.decayed_count, 1e-12)

    def weights_now(self) -> keras.KerasTensor:
        groups = len(self.sizes)
        seen = ops.cast(self.initial > 0, self.compute_dtype)
        count = ops.maximum(ops.sum(seen), 1.0)
        initial = ops.where(seen > 0, self.initial, 1.0)
        remaining = seen * self.running() / initial
        lag = remaining / ops.maximum(ops.sum(remaining) / count, 1e-12)
        scale = (ops.sum(self.initial) / count / initial) ** self.alpha
        weight = scale * ops.clip(lag, 0.2, 5.0) ** self.beta
        weight = ops.where(seen > 0, weight, ops.sum(seen * weight) / count)  # nothing known: as the others on average
        weight *= groups / ops.sum(weight)
        return ops.where(self.updates < self.warmup_steps, ops.ones_like(weight), weight)

    def update(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        super().update(losses, present)
        decay = 1.0 - (1.0 - self.decay) * present  # a group absent from the batch keeps its mean
        self.decayed_sum.assign(decay * self.decayed_sum + (1.0 - decay) * losses)
        self.decayed_count.assign(decay * self.decayed_count + (1.0 - decay))
        self.initial.assign(ops.where(self.updates <= self.warmup_steps, self.running(), self.initial))


class DWA(TaskWeighting):
    """Dynamic Weight Average: `w_k = K softmax(r_k / T)`, `r_k = L_k(t-1) / L_k(t-2)` from epoch means.

    The first two epochs are uniform.

    Args:
        sizes: Number of attributes in each group.
        steps_per_epoch: Steps after which an epoch's mean is taken.
        temperature: T.

    Reference:
        Liu, Johns, Davison, End-to-End Multi-Task Learning with Attention, CVPR 2019, equation 7.
    """

    def __init__(
        self, sizes: Sequence[int], steps_per_epoch: int, temperature: float = 2.0, dtype: str = "float32"
    ) -> None:
        super().__init__(sizes, dtype)
        self.steps_per_epoch, self.temperature = max(1, steps_per_epoch), temperature
        self.sum, self.count = self.state("sum"), self.state("count")
        self.last, self.before_last = self.state("last"), self.state("before_last")

    def weights_now(self) -> keras.KerasTensor:
        known = ops.logical_and(self.last > 0, self.before_last > 0)
        rate = ops.where(known, self.last / ops.where(known, self.before_last, 1.0), 1.0)
        weight = len(self.sizes) * ops.softmax(rate / self.temperature)
        return ops.where(self.updates < 2 * self.steps_per_epoch, ops.ones_like(weight), weight)

    def update(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        super().update(losses, present)
        self.sum.assign(self.sum + present * losses)
        self.count.assign(self.count + present)
        ended = ops.equal(ops.mod(self.updates, self.steps_per_epoch), 0)
        mean = self.sum / ops.maximum(self.count, 1.0)
        self.before_last.assign(ops.where(ended, self.last, self.before_last))
        self.last.assign(ops.where(ended, mean, self.last))
        self.sum.assign(ops.where(ended, 0.0, self.sum))
        self.count.assign(ops.where(ended, 0.0, self.count))


class Uncertainty(TaskWeighting):
    """Homoscedastic uncertainty: `total = sum_g n_g (L_g / (2 s_g^2) + log s_g) / sum_g n_g`, log s_g learned.

    Reference:
        Kendall, Gal, Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018.
    """

    def __init__(self, sizes: Sequence[int], dtype: str = "float32") -> None:
        super().__init__(sizes, dtype)
        self.log_sigma = self.add_weight(name="log_sigma", shape=(len(self.sizes),), initializer="zeros")

    def weights_now(self) -> keras.KerasTensor:
        return ops.exp(-2.0 * self.log_sigma) / 2.0

    def total(self, losses: keras.KerasTensor, num_replicas: int = 1) -> keras.KerasTensor:
        # Every replica adds the same log s_g; together they must add it once.
        return ops.sum(self.shares * (self.weights_now() * losses + self.log_sigma / num_replicas))


def make_weighting(config: Config, grouping: Grouping, steps_per_epoch: float, dtype: str = "float32") -> TaskWeighting:
    """The weighting that `config.weighting` names."""
    sizes = [len(members) for members in grouping.groups.values()]
    if config.weighting == "dws":
        warmup = round(config.weighting_warmup_epochs * steps_per_epoch)
        return DWS(
            sizes, warmup, alpha=config.dws_alpha, beta=config.dws_beta, decay=config.weighting_decay, dtype=dtype
        )
    if config.weighting == "dwa":
        return DWA(sizes, round(steps_per_epoch), temperature=config.dwa_temperature, dtype=dtype)
    return {"uniform": TaskWeighting, "uncertainty": Uncertainty}[config.weighting](sizes, dtype)
