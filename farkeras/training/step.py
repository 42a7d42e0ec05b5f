"""The compiled training step and the loop of several steps per host trip."""

import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.training.losses import attribute_losses, sum_by_group
from farkeras.training.weighting import TaskWeighting

SUM = tf.distribute.ReduceOp.SUM


class TrainStep:
    """One optimizer step over all replicas, and `run` for several in one call.

    The loss of group g is the sum of its known labels' losses over the number of known labels in the GLOBAL batch:
    that number is all-reduced before the gradient, so each replica holds its part of the same mean, gradients add up,
    and masked labels weigh the same on one replica and on many.

    Args:
        model: Images -> `{"logits"}`.
        optimizer: Built on the model's and the weighting's trainable variables.
        weighting: Of the group losses.
        grouping: The attributes' groups.
        strategy: Of the replicas.
        positive_weights: See `attribute_losses`.
        focal_gamma: See `attribute_losses`.
    """

    def __init__(
        self,
        model,
        optimizer,
        weighting: TaskWeighting,
        grouping: Grouping,
        strategy,
        positive_weights=None,
        focal_gamma=0.0,
    ):
        self.model, self.optimizer, self.weighting = model, optimizer, weighting
        self.grouping, self.strategy = grouping, strategy
        self.positive_weights, self.focal_gamma = positive_weights, focal_gamma
        self.variables = model.trainable_variables + weighting.trainable_variables

    def replica(self, batch):
        """The step on one replica: `batch` -> dict of the step's figures, the same on every replica."""
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync
        with tf.GradientTape() as tape:
            logits = self.model(batch["image"], training=True)["logits"]
            losses, known = attribute_losses(batch["labels"], logits, self.positive_weights, self.focal_gamma)
            counts = context.all_reduce(SUM, sum_by_group(known, self.grouping))
            group_losses = sum_by_group(losses, self.grouping) / tf.maximum(counts, 1.0)
            total = self.weighting.total(group_losses, replicas)
            if self.model.losses:
                total += tf.add_n(self.model.losses) / replicas
        gradients = tape.gradient(total, [v.value for v in self.variables])
        weights = tf.identity(self.weighting.weights_now())
        group_losses, total = context.all_reduce(SUM, [group_losses, total])
        self.weighting.update(group_losses, tf.cast(counts > 0, group_losses.dtype))
        self.optimizer.apply(gradients, self.variables)
        return {"loss": total, "group_loss": group_losses, "group_weight": weights}

    @tf.function(reduce_retracing=True)
    def run(self, iterator, steps):
        """Takes `steps` (int32 scalar) steps.

        Returns:
            A dict: `loss` `[steps]`, `group_loss` and `group_weight` `[steps, K]`, `counter` `[steps, B]` (which
            examples were used), and `data_wait`, seconds spent waiting for batches.
        """
        size = {"size": 0, "dynamic_size": True, "clear_after_read": True}
        dtype = self.weighting.compute_dtype
        losses, group_losses, weights = (tf.TensorArray(dtype, **size) for _ in range(3))
        counters = tf.TensorArray(tf.int64, **size)
        waited = tf.constant(0.0, tf.float64)
        for i in tf.range(steps):
            asked = tf.timestamp()
            batch = next(iterator)
            waited += tf.timestamp() - asked
            figures = self.strategy.run(self.replica, (batch,))
            first = {name: self.strategy.experimental_local_results(v)[0] for name, v in figures.items()}
            losses = losses.write(i, first["loss"])
            group_losses = group_losses.write(i, first["group_loss"])
            weights = weights.write(i, first["group_weight"])
            counter = tf.concat(self.strategy.experimental_local_results(batch["counter"]), 0)
            counters = counters.write(i, counter)
        return {
            "loss": losses.stack(),
            "group_loss": group_losses.stack(),
            "group_weight": weights.stack(),
            "counter": counters.stack(),
            "data_wait": waited,
        }
