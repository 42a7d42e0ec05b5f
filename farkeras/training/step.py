"""The compiled training steps and the loop of several steps per host trip."""

import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.data.masks import region_masks
from farkeras.losses import attribute_losses, mask_losses, sum_by_group
from farkeras.weighting import TaskWeighting

SUM = tf.distribute.ReduceOp.SUM


class Step:
    """One optimizer step over all replicas, and `run` for several in one call.

    A subclass says in `replica` what is minimised. All means are over the GLOBAL batch: counts are all-reduced before
    the gradient, so each replica holds its part of the same mean, gradients add up, and what is unknown (a label, a
    mask) weighs the same on one replica and on many.

    Args:
        model: Images -> a dict of outputs.
        optimizer: Built on `variables`.
        variables: What this step trains.
        strategy: Of the replicas.
    """

    figures: tuple[str, ...]
    """Names of what `replica` returns."""

    def __init__(self, model, optimizer, variables, strategy):
        self.model, self.optimizer, self.variables, self.strategy = model, optimizer, variables, strategy
        self.dtype = model.outputs[0].dtype

    def replica(self, batch) -> dict:
        """The step on one replica: `batch` -> the step's figures, the same on every replica."""
        raise NotImplementedError

    def _regularization(self, replicas):
        return tf.add_n(self.model.losses) / replicas if self.model.losses else 0.0

    def _apply(self, tape, objective):
        gradients = tape.gradient(objective, [v.value for v in self.variables])
        self.optimizer.apply(gradients, self.variables)

    @tf.function(reduce_retracing=True)
    def run(self, iterator, steps):
        """Takes `steps` (int32 scalar) steps.

        Returns:
            A dict: each of `figures` with a leading axis `[steps]`, `counter` `[steps, B]` (which examples were used),
            and `data_wait`, seconds spent waiting for batches.
        """
        size = {"size": 0, "dynamic_size": True, "clear_after_read": True}
        arrays = {name: tf.TensorArray(self.dtype, **size) for name in self.figures}
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


class TrainStep(Step):
    """Attributes, and masks where the model learns them.

    The loss of group g is the sum of its known labels' losses over their number in the global batch. Figures: `loss`,
    the weighted loss of the attributes, `group_loss` `[K]`, `group_weight` `[K]`, and with masks `mask_loss`.

    Args:
        model, optimizer, variables, strategy: See `Step`; `variables` are the model's, the weighting's are added.
        weighting: Of the group losses.
        grouping: The attributes' groups.
        positive_weights: See `attribute_losses`.
        focal_gamma: See `attribute_losses`.
        mask_loss_weight: Of the mask loss beside the attributes'; 0: masks are not trained by their own loss.
    """

    def __init__(
        self,
        model,
        optimizer,
        variables,
        strategy,
        weighting: TaskWeighting,
        grouping: Grouping,
        positive_weights=None,
        focal_gamma=0.0,
        mask_loss_weight=0.0,
    ):
        super().__init__(model, optimizer, variables + weighting.trainable_variables, strategy)
        self.weighting, self.grouping, self.mask_loss_weight = weighting, grouping, mask_loss_weight
        self.positive_weights, self.focal_gamma = positive_weights, focal_gamma
        self.figures = ("loss", "group_loss", "group_weight", *(["mask_loss"] if mask_loss_weight else []))

    def replica(self, batch):
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        with tf.GradientTape() as tape:
            outputs = self.model(batch["image"], training=True)
            losses, known = attribute_losses(
                batch["labels"], outputs["logits"], self.positive_weights, self.focal_gamma
            )
            counts = context.all_reduce(SUM, sum_by_group(known, self.grouping))
            group_losses = sum_by_group(losses, self.grouping) / tf.maximum(counts, 1.0)
            total = self.weighting.total(group_losses, replicas) + self._regularization(replicas)
            local = {"loss": total, "group_loss": group_losses}
            objective = total
            if self.mask_loss_weight:
                local["mask_loss"] = mask_loss(batch, outputs["mask_logits"], context)
                objective += self.mask_loss_weight * local["mask_loss"]
        weights = tf.identity(self.weighting.weights_now())
        figures = context.all_reduce(SUM, local)
        self.weighting.update(figures["group_loss"], tf.cast(counts > 0, group_losses.dtype))
        self._apply(tape, objective)
        return {**figures, "group_weight": weights}


class MaskStep(Step):
    """The mask network alone, before the rest. Figure: `mask_loss`. `variables`: the mask network's."""

    figures = ("mask_loss",)

    def replica(self, batch):
        context = tf.distribute.get_replica_context()
        with tf.GradientTape() as tape:
            mask_logits = self.model.get_layer("aml")(batch["image"], training=True)
            loss = mask_loss(batch, mask_logits, context)
        self._apply(tape, loss)
        return {"mask_loss": context.all_reduce(SUM, loss)}


def mask_loss(batch, mask_logits, context):
    """This replica's part of the mean mask loss over the images of the global batch whose face was found."""
    masks = region_masks(batch["points"], tuple(mask_logits.shape[1:3]))
    losses, known = mask_losses(masks, batch["found"], mask_logits)
    count = context.all_reduce(SUM, tf.reduce_sum(known))
    return tf.reduce_sum(losses) / tf.maximum(count, 1.0)
