from typing import Any

import keras
from keras import ops

from farkeras.weighting.base import TaskWeighting, check_range


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
    the warm-up. A short warm-up makes `L_g0` the loss before learning, which tells a group's scale; after an epoch, it
    would also tell how fast the group learns. Losses must be positive: a group with `L_g0` of 0 or less gets the mean
    weight of the others.

    Args:
        warmup_steps: Number of steps with uniform weights, at least 1: enough for a mean loss of each
            group, and few enough that little is learned meanwhile.
        alpha: Strength of the scale term, in [0, 1].
        beta: Strength of the lag term, in [0, 1].
        decay: Decay of the running mean per step, in [0, 0.99999].

    Raises:
        ValueError: `alpha`, `beta` or `decay` is out of its range.

    Reference:
        FAR-AMTN, arXiv 2601.01537 (name and purpose of DWS).
    """

    def __init__(self, warmup_steps: int = 15, alpha: float = 1.0, beta: float = 1.0, decay: float = 0.99) -> None:
        super().__init__()
        check_range("alpha", alpha, 0, 1)
        check_range("beta", beta, 0, 1)
        check_range("decay", decay, 0, 0.99999)
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
