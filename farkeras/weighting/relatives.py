"""Published weightings that users compare DWS with."""

from typing import Any

import keras
from keras import ops

from farkeras.weighting.base import TaskWeighting, check_range


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
        check_range("temperature", temperature, 0.01, float("inf"))
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


@keras.saving.register_keras_serializable(package="farkeras")
class FAMO(TaskWeighting):
    """Fast Adaptive Multitask Optimization: weights with which the logarithms of all losses fall at the same rate.

        z    = softmax(xi)                                     xi_g: a logit for each group, which starts at 0
        w_g  proportional to z_g / L_g,                        sum_g w_g = K
        xi  <- xi - adam(J^T (log L(t) - log L(t+1)) + decay xi)             J = dz / dxi

    A group whose loss fell by a smaller share than the others' thus gets a larger weight. FAMO has the aim of DWS, and
    like DWS it needs neither the gradients of single groups nor a second backward pass.

    Published: the equations, and Adam with these rates. The paper normalises the weights to a sum of 1, and computes
    `L(t+1)` on the batch of step t with the new weights, for which it runs the network a second time.

    Our formulation: the sum of the weights is K, with the mean weighted by `n_g` as for all weightings. The losses of
    the next batch stand for `L(t+1)`, and those of the last batch for the `L_g` in `w_g`, so a step costs no more.

    Args:
        learning_rate: The learning rate of `xi`, at least 0.
        decay: The weight decay of `xi`, at least 0; a larger one keeps the weights closer to `1 / L_g`.

    Raises:
        ValueError: `learning_rate` or `decay` is below 0.

    Reference:
        Liu, Feng, Stone, Liu, FAMO: Fast Adaptive Multitask Optimization, NeurIPS 2023.
    """

    def __init__(self, learning_rate: float = 0.025, decay: float = 0.01) -> None:
        super().__init__()
        check_range("learning_rate", learning_rate, 0, float("inf"))
        check_range("decay", decay, 0, float("inf"))
        self.learning_rate, self.decay = learning_rate, decay

    def make_state(self) -> None:
        super().make_state()
        self.logits, self.last = self.state("logits"), self.state("last")
        self.mean, self.square = self.state("mean"), self.state("square")  # Adam's running means

    def weights_now(self) -> keras.KerasTensor:
        last = ops.convert_to_tensor(self.last)
        seen = last > 0
        weight = ops.softmax(ops.convert_to_tensor(self.logits)) / ops.where(seen, last, 1.0)
        known = ops.cast(seen, self.dtype)
        others = ops.sum(known * weight) / ops.maximum(ops.sum(known), 1.0)
        weight = ops.where(seen, weight, ops.where(ops.any(seen), others, 1.0))  # no loss known: the mean of the others
        return weight * (len(self.sizes) / ops.sum(weight))

    def observe(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        last, logits = ops.convert_to_tensor(self.last), ops.convert_to_tensor(self.logits)
        known = ops.logical_and(present > 0, losses > 0)
        both = ops.logical_and(known, last > 0)
        fall = ops.where(both, ops.log(ops.where(both, last, 1.0)) - ops.log(ops.where(both, losses, 1.0)), 0.0)
        share = ops.softmax(logits)
        gradient = share * (fall - ops.sum(share * fall)) + self.decay * logits
        count = ops.convert_to_tensor(self.updates) - 1.0  # the first step has no step before it
        mean, square = 0.9 * self.mean + 0.1 * gradient, 0.999 * self.square + 0.001 * gradient**2
        correction = [1.0 - rate ** ops.maximum(count, 1.0) for rate in (0.9, 0.999)]
        step = mean / correction[0] / (ops.sqrt(square / correction[1]) + 1e-8)
        self.mean.assign(mean)
        self.square.assign(square)
        self.logits.assign(ops.where(count > 0, logits - self.learning_rate * step, logits))
        self.last.assign(ops.where(known, losses, last))

    def get_config(self) -> dict[str, Any]:
        return {"learning_rate": self.learning_rate, "decay": self.decay}
