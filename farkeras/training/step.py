"""The compiled training steps, with a loop that takes several steps per call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.data.augmentation import finish_images
from farkeras.data.masks import region_masks
from farkeras.errors import Diverged
from farkeras.losses import attribute_losses, mask_losses, sum_by_group
from farkeras.models.base import FaceAttributeModel
from farkeras.models.multi_task import mean_part
from farkeras.weighting import TaskWeighting

SUM = tf.distribute.ReduceOp.SUM
Batch = dict[str, tf.Tensor]


@dataclass(eq=False)  # keeps the identity hash, which tf.function needs
class Step:
    """An optimizer step over all replicas; `run` takes several steps in one call.

    A subclass defines the loss in `replica`. All means are over the GLOBAL batch: counts are all-reduced before the
    gradient, so each replica holds its part of the same mean and gradients add up. Unknown labels and masks therefore
    have the same effect with one replica and with many.

    Attributes:
        model: The model, from images to a dict of outputs.
        optimizer: The optimizer, built on `variables`.
        variables: The variables that this step trains.
        strategy: The strategy of the replicas.
    """

    model: FaceAttributeModel
    optimizer: keras.optimizers.Optimizer
    variables: list[keras.Variable]
    strategy: tf.distribute.Strategy

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the values that `replica` returns."""
        raise NotImplementedError

    def replica(self, batch: Batch) -> Batch:
        """Takes the step on one replica and returns the values named in `metrics`, the same on every replica."""
        raise NotImplementedError

    def _finished_replica(self, batch: Batch) -> Batch:
        return self.replica(finish_images(batch, self.model.image_size))

    def record(self, metrics: dict[str, np.ndarray], first_step: int) -> dict:
        """Returns the mean losses of several steps for the metrics file, JSON-ready.

        Args:
            metrics: The result of `run`.
            first_step: Number of steps that the run had taken before.

        Raises:
            Diverged: See `check_finite`.
        """
        check_finite(metrics, (), first_step)
        return {name: float(metrics[name].mean()) for name in ("loss", "mask_loss") if name in metrics}

    def _apply(self, tape: tf.GradientTape, objective: tf.Tensor) -> None:
        gradients = tape.gradient(objective, [v.value for v in self.variables])
        self.optimizer.apply(gradients, self.variables)

    @tf.function(reduce_retracing=True)
    def run(self, iterator: Iterator[Batch], steps: tf.Tensor, stop: tf.Variable | bool = False) -> Batch:
        """Takes `steps` (int32 scalar) steps, fewer once `stop` (bool) is set, but at least one.

        `finish_images` finishes the images of a batch on the replica that takes them.

        Returns:
            A dict: each of `metrics` with a leading axis `[steps]`, `counter` `[steps, B]` (counters of the examples),
            and `data_wait`, the seconds spent waiting for batches.
        """
        size = {"size": 0, "dynamic_size": True, "clear_after_read": True}
        arrays = {name: tf.TensorArray(self.model.outputs[0].dtype, **size) for name in self.metrics}
        counters = tf.TensorArray(tf.int64, **size)
        waited = tf.constant(0.0, tf.float64)
        for i in tf.range(steps):
            asked = tf.timestamp()
            batch = next(iterator)
            waited += tf.timestamp() - asked
            metrics = self.strategy.run(self._finished_replica, (batch,))
            first = {name: self.strategy.experimental_local_results(value)[0] for name, value in metrics.items()}
            # A new dict, because AutoGraph carries variables through the loop, not changes of their content.
            arrays = {name: arrays[name].write(i, first[name]) for name in self.metrics}
            counter = tf.concat(self.strategy.experimental_local_results(batch["counter"]), 0)
            counters = counters.write(i, counter)
            if tf.convert_to_tensor(stop):  # reads the variable in each step
                break
        stacked = {name: array.stack() for name, array in arrays.items()}
        return {**stacked, "counter": counters.stack(), "data_wait": waited}


@dataclass(eq=False)
class TrainStep(Step):
    """The training step of the attributes, and of the masks if the model learns them jointly.

    The loss of group g is the sum of the losses of its known labels, divided by their number in the global batch. The
    step returns `loss`, the weighted loss of the attributes, `group_loss` `[K]`, `group_weight` `[K]`, and with masks
    `mask_loss`.

    Attributes:
        weighting: Weighting of the group losses; its trainable variables are among `variables`.
        grouping: The groups of the attributes.
        positive_weights: See `attribute_losses`.
        focal_gamma: See `attribute_losses`.
        mask_loss_weight: Weight of the mask loss relative to the attribute loss; 0: no mask loss.
        loss_factors: Factor of each group's loss, `[K]`, also in what the weighting and the record see; None: 1.
    """

    weighting: TaskWeighting
    grouping: Grouping
    positive_weights: np.ndarray | None = None
    focal_gamma: float = 0.0
    mask_loss_weight: float = 0.0
    loss_factors: np.ndarray | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
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
            if self.loss_factors is not None:
                group_losses *= tf.constant(self.loss_factors, group_losses.dtype)
            total = self.weighting.total(group_losses, replicas)
            total += tf.add_n(self.model.losses) / replicas if self.model.losses else 0.0
            local = {"loss": total, "group_loss": group_losses}
            objective = total
            if self.mask_loss_weight:
                local["mask_loss"] = mask_loss(batch, outputs["mask_logits"])
                objective += self.mask_loss_weight * local["mask_loss"]
        weights = tf.identity(self.weighting.weights_now())
        metrics = context.all_reduce(SUM, local)
        self.weighting.update(metrics["group_loss"], present)
        self._apply(tape, objective)
        return {**metrics, "group_weight": weights}

    def record(self, metrics: dict[str, np.ndarray], first_step: int) -> dict:
        """Adds the mean loss and the last weight of each group by name; see `Step.record`."""
        names = self.grouping.names
        check_finite(metrics, names, first_step)
        by_group = {"group_loss": metrics["group_loss"].mean(axis=0), "group_weight": metrics["group_weight"][-1]}
        by_group = {name: dict(zip(names, values.tolist(), strict=True)) for name, values in by_group.items()}
        return {**super().record(metrics, first_step), **by_group}


class MaskStep(Step):
    """The training step of the mask network alone; `variables` are those of the mask network. Returns `mask_loss`."""

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("mask_loss",)

    def replica(self, batch: Batch) -> Batch:
        context = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            mask_logits = self.model.mask_network(batch["image"], training=True)
            loss = mask_loss(batch, tf.cast(mask_logits, self.model.outputs[0].dtype))
        self._apply(tape, loss)
        return {"mask_loss": context.all_reduce(SUM, loss)}


def mask_loss(batch: Batch, mask_logits: tf.Tensor) -> tf.Tensor:
    """Computes this replica's part of the mean mask loss over the global batch's images in which a face was found."""
    masks = region_masks(tf.cast(batch["points"], mask_logits.dtype), tuple(mask_logits.shape[1:3]))
    losses, known = mask_losses(masks, batch["found"], mask_logits)
    return mean_part(tf.reduce_sum(losses), tf.reduce_sum(known))[0]


def check_finite(metrics: dict[str, np.ndarray], groups: Sequence[str], first_step: int) -> None:
    """Stops a run if a loss is not finite.

    Raises:
        Diverged: A loss is not finite; the message names the step and the groups.
    """
    losses = dict(zip(groups, metrics["group_loss"].T, strict=True)) if groups else {}
    losses |= {"masks": metrics["mask_loss"]} if "mask_loss" in metrics else {}
    losses |= {"all groups": metrics["loss"]} if "loss" in metrics else {}
    bad = {name: ~np.isfinite(values) for name, values in losses.items() if not np.isfinite(values).all()}
    if not bad:
        return
    at = min(int(np.argmax(steps)) for steps in bad.values())
    names = [name for name, steps in bad.items() if steps[at]]
    names = [name for name in names if name != "all groups"] or names  # name the total only if no group is bad
    raise Diverged(
        f"The loss is not finite at step {first_step + at + 1} ({', '.join(names)}). Lower `learning_rate`, increase "
        "`warmup_epochs`, or use `precision=float32`. The last checkpoint is intact."
    )
