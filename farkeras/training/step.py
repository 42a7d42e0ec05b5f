"""The compiled training steps, each with the loop of several steps per host trip."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.data.masks import region_masks
from farkeras.errors import FarkerasError
from farkeras.losses import attribute_losses, mask_losses, sum_by_group
from farkeras.models.base import FaceAttributeModel
from farkeras.models.multi_task import mean_part
from farkeras.weighting import TaskWeighting

SUM = tf.distribute.ReduceOp.SUM
Batch = dict[str, tf.Tensor]


@dataclass(eq=False)  # tf.function finds a step by its identity
class Step:
    """One optimizer step over all replicas, and `run` for several in one call.

    A subclass says in `replica` what is minimised. All means are over the GLOBAL batch: counts are all-reduced before
    the gradient, so each replica holds its part of the same mean, gradients add up, and what is unknown (a label, a
    mask) weighs the same on one replica and on many.

    Attributes:
        model: Images -> a dict of outputs.
        optimizer: Built on `variables`.
        variables: What this step trains.
        strategy: Of the replicas.
    """

    model: FaceAttributeModel
    optimizer: keras.optimizers.Optimizer
    variables: list[keras.Variable]
    strategy: tf.distribute.Strategy

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what `replica` returns."""
        raise NotImplementedError

    def replica(self, batch: Batch) -> Batch:
        """The step on one replica: `batch` -> the step's figures, the same on every replica."""
        raise NotImplementedError

    def record(self, figures: dict[str, np.ndarray], first_step: int) -> dict:
        """The losses of several steps for the metrics file: their means, JSON-ready.

        Args:
            figures: What `run` returned.
            first_step: Steps that the run had taken before.

        Raises:
            FarkerasError: See `check_finite`.
        """
        check_finite(figures, (), first_step)
        return {name: float(figures[name].mean()) for name in ("loss", "mask_loss") if name in figures}

    def _apply(self, tape: tf.GradientTape, objective: tf.Tensor) -> None:
        gradients = tape.gradient(objective, [v.value for v in self.variables])
        self.optimizer.apply(gradients, self.variables)

    @tf.function(reduce_retracing=True)
    def run(self, iterator: Iterator[Batch], steps: tf.Tensor) -> Batch:
        """Takes `steps` (int32 scalar) steps.

        Returns:
            A dict: each of `figures` with a leading axis `[steps]`, `counter` `[steps, B]` (which examples were used),
            and `data_wait`, seconds spent waiting for batches.
        """
        size = {"size": 0, "dynamic_size": True, "clear_after_read": True}
        arrays = {name: tf.TensorArray(self.model.outputs[0].dtype, **size) for name in self.figures}
        counters = tf.TensorArray(tf.int64, **size)
        waited = tf.constant(0.0, tf.float64)
        for i in tf.range(steps):
            asked = tf.timestamp()
            batch = next(iterator)
            waited += tf.timestamp() - asked
            figures = self.strategy.run(self.replica, (batch,))
            first = {name: self.strategy.experimental_local_results(value)[0] for name, value in figures.items()}
            # A new dict: AutoGraph carries names through the loop, not what is stored in them.
            arrays = {name: arrays[name].write(i, first[name]) for name in self.figures}
            counter = tf.concat(self.strategy.experimental_local_results(batch["counter"]), 0)
            counters = counters.write(i, counter)
        stacked = {name: array.stack() for name, array in arrays.items()}
        return {**stacked, "counter": counters.stack(), "data_wait": waited}


@dataclass(eq=False)
class TrainStep(Step):
    """Attributes, and masks where the model learns them.

    The loss of group g is the sum of its known labels' losses over their number in the global batch. Figures: `loss`,
    the weighted loss of the attributes, `group_loss` `[K]`, `group_weight` `[K]`, and with masks `mask_loss`.

    Attributes:
        weighting: Of the group losses; its trainable variables are among `variables`.
        grouping: The attributes' groups.
        positive_weights: See `attribute_losses`.
        focal_gamma: See `attribute_losses`.
        mask_loss_weight: Of the mask loss beside the attributes'; 0: masks are not trained by their own loss.
    """

    weighting: TaskWeighting
    grouping: Grouping
    positive_weights: np.ndarray | None = None
    focal_gamma: float = 0.0
    mask_loss_weight: float = 0.0

    @property
    def figures(self) -> tuple[str, ...]:
        return ("loss", "group_loss", "group_weight", *(["mask_loss"] if self.mask_loss_weight else []))

    def replica(self, batch: Batch) -> Batch:
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        with tf.GradientTape() as tape:
            outputs = self.model(batch["image"], training=True)
            losses, known = attribute_losses(
                batch["labels"], outputs["logits"], self.positive_weights, self.focal_gamma
            )
            group_losses, present = mean_part(*(sum_by_group(values, self.grouping) for values in (losses, known)))
            total = self.weighting.total(group_losses, replicas)
            total += tf.add_n(self.model.losses) / replicas if self.model.losses else 0.0
            local = {"loss": total, "group_loss": group_losses}
            objective = total
            if self.mask_loss_weight:
                local["mask_loss"] = mask_loss(batch, outputs["mask_logits"])
                objective += self.mask_loss_weight * local["mask_loss"]
        weights = tf.identity(self.weighting.weights_now())
        figures = context.all_reduce(SUM, local)
        self.weighting.update(figures["group_loss"], present)
        self._apply(tape, objective)
        return {**figures, "group_weight": weights}

    def record(self, figures: dict[str, np.ndarray], first_step: int) -> dict:
        """With the groups' mean losses and last weights by name."""
        names = self.grouping.names
        check_finite(figures, names, first_step)
        by_group = {"group_loss": figures["group_loss"].mean(axis=0), "group_weight": figures["group_weight"][-1]}
        by_group = {name: dict(zip(names, values.tolist(), strict=True)) for name, values in by_group.items()}
        return {**super().record(figures, first_step), **by_group}


class MaskStep(Step):
    """The mask network alone, before the rest. Figure: `mask_loss`. `variables`: the mask network's."""

    @property
    def figures(self) -> tuple[str, ...]:
        return ("mask_loss",)

    def replica(self, batch: Batch) -> Batch:
        context = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            mask_logits = self.model.mask_network(batch["image"], training=True)
            loss = mask_loss(batch, tf.cast(mask_logits, self.model.outputs[0].dtype))
        self._apply(tape, loss)
        return {"mask_loss": context.all_reduce(SUM, loss)}


def mask_loss(batch: Batch, mask_logits: tf.Tensor) -> tf.Tensor:
    """This replica's part of the mean mask loss over the images of the global batch whose face was found."""
    masks = region_masks(tf.cast(batch["points"], mask_logits.dtype), tuple(mask_logits.shape[1:3]))
    losses, known = mask_losses(masks, batch["found"], mask_logits)
    return mean_part(tf.reduce_sum(losses), tf.reduce_sum(known))[0]


def check_finite(figures: dict[str, np.ndarray], groups: Sequence[str], first_step: int) -> None:
    """Stops a run whose loss is no longer a number.

    Raises:
        FarkerasError: Names the step and the groups.
    """
    losses = dict(zip(groups, figures["group_loss"].T, strict=True)) if groups else {}
    losses |= {"masks": figures["mask_loss"]} if "mask_loss" in figures else {}
    losses |= {"all groups": figures["loss"]} if "loss" in figures else {}
    bad = {name: ~np.isfinite(values) for name, values in losses.items() if not np.isfinite(values).all()}
    if not bad:
        return
    at = min(int(np.argmax(steps)) for steps in bad.values())
    names = [name for name, steps in bad.items() if steps[at]]
    names = [name for name in names if name != "all groups"] or names  # the sum says little beside its parts
    raise FarkerasError(
        f"The loss is not finite at step {first_step + at + 1} ({', '.join(names)}). Lower "
        "`learning_rate`, lengthen `warmup_epochs`, or use `precision=float32`; the last checkpoint is intact."
    )
