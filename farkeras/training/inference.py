"""Predictions for a whole split: on one device or many, exact in both cases."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from farkeras.data.examples import Examples
from farkeras.data.pipeline import check_undecodable, evaluation_dataset
from farkeras.errors import FarkerasError


def compile_forward(model: keras.Model, strategy: tf.distribute.Strategy | None = None) -> Callable:
    """The model's forward pass as one compiled function over the replicas.

    Returns:
        `forward(batch) -> (example int64 [B], probabilities float32 [B, A])`, both with a value per
        replica; `batch` is an element of a dataset that `strategy` distributes.
    """
    strategy = strategy or tf.distribute.get_strategy()

    def replica(batch):
        logits = model(batch["image"], training=False)["logits"]
        return batch["example"], tf.sigmoid(tf.cast(logits, tf.float32))

    @tf.function(reduce_retracing=True)
    def forward(batch):
        return strategy.run(replica, (batch,))

    return forward


def predict_examples(
    model: keras.Model,
    examples: Examples,
    preprocessing,
    batch_size: int,
    strategy: tf.distribute.Strategy | None = None,
    forward: Callable | None = None,
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Predicts every example once.

    Args:
        model: Images `[B, H, W, 3]` -> a dict whose `"logits"` are `[B, A]`, `A` = the examples'
            attributes in order.
        examples: The images and labels.
        preprocessing: What the model was trained with; see `farkeras.data.pipeline`.
        batch_size: Images in a batch of all replicas together; rounded up to a multiple of the
            replicas.
        strategy: The devices; by default the current strategy.
        forward: `compile_forward(model, strategy)`, for a caller that predicts many times and
            compiles once.

    Returns:
        `labels` `int8 [N, A]`, `probabilities` `float32 [N, A]` in [0, 1], both in the order of the
        examples, and the paths of the images that could not be decoded, which the two arrays leave
        out.

    Raises:
        FarkerasError: There is no example, or more than 1 % of the images cannot be decoded.
    """
    if not len(examples):
        raise FarkerasError("This split has no images; choose another one.")
    strategy = strategy or tf.distribute.get_strategy()
    forward = forward or compile_forward(model, strategy)
    replicas = strategy.num_replicas_in_sync
    dataset = evaluation_dataset(examples, preprocessing, -(-batch_size // replicas) * replicas)
    # Each worker of several predicts the whole split on its own replicas: no results to exchange.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    distributed = strategy.experimental_distribute_dataset(dataset.with_options(options))

    probabilities = np.zeros(examples.labels.shape, np.float32)
    seen = np.zeros(len(examples), bool)
    for batch in distributed:
        index, predicted = map(np.concatenate, map(strategy.experimental_local_results, forward(batch)))
        real = index >= 0  # -1 pads the last batch
        probabilities[index[real]] = predicted[real]
        seen[index[real]] = True

    undecodable = [str(path) for path in examples.paths[~seen]]
    check_undecodable(undecodable, len(examples))
    return examples.labels[seen], probabilities[seen], undecodable
