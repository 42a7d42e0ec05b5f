"""Predictions for a whole split: on one device or many, exact in both cases."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from farkeras.data.examples import Examples
from farkeras.data.keypoints import Keypoints
from farkeras.data.masks import region_masks
from farkeras.data.pipeline import check_undecodable, evaluation_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.metrics.mask_metrics import evaluate_masks
from farkeras.models.base import LogitsModel


class Predictions(NamedTuple):
    """What a model says of a split; the arrays leave out the undecodable images.

    Attributes:
        labels: `int8 [N, A]`, in the order of the examples, as `probabilities`.
        probabilities: `float32 [N, A]` in [0, 1].
        undecodable: Paths of the images that could not be decoded.
        mask_figures: What `evaluate_masks` says of the images whose face was found; empty without key points.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    undecodable: list[str]
    mask_figures: dict


def compile_forward(model: LogitsModel, strategy: tf.distribute.Strategy | None = None) -> Callable:
    """The model's forward pass as one compiled function over the replicas.

    Returns:
        `forward(batch) -> {"example": int64 [B], "probabilities": float32 [B, A]}`, and `"overlaps": int64 [B, 2, R]`
        where the batch has points; each with a value per replica. `batch` is an element of a dataset that `strategy`
        distributes.
    """
    strategy = strategy or tf.distribute.get_strategy()

    def replica(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        answers = model.answers(batch["image"])
        results = {"example": batch["example"], "probabilities": answers["probabilities"]}
        if "points" in batch:
            masks = region_masks(batch["points"], tuple(batch["image"].shape[1:3]))
            results["overlaps"] = mask_overlaps(answers["masks"], masks, batch["found"])
        return results

    @tf.function(reduce_retracing=True)
    def forward(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return strategy.run(replica, (batch,))

    return forward


def mask_overlaps(predicted: tf.Tensor, masks: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    """Intersections and unions of masks at threshold 0.5, at the resolution of the targets.

    Args:
        predicted: `[B, h, w, R]` in 0..1; resized (bilinear) to the targets' size.
        masks: `[B, H, W, R]` targets in 0..1.
        found: `[B]` bool; False counts nothing.

    Returns:
        int64 `[B, 2, R]` pixels.
    """
    predicted = tf.image.resize(predicted, tf.shape(masks)[1:3]) >= 0.5
    wanted, known = masks >= 0.5, found[:, None, None, None]
    both = tf.math.count_nonzero(predicted & wanted & known, axis=(1, 2))
    either = tf.math.count_nonzero((predicted | wanted) & known, axis=(1, 2))
    return tf.stack([both, either], axis=1)


def predict_examples(
    model: LogitsModel,
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    strategy: tf.distribute.Strategy | None = None,
    forward: Callable | None = None,
    keypoints: Keypoints | None = None,
) -> Predictions:
    """Predicts every example once.

    Args:
        model: With the examples' attributes, in order.
        examples: The images and labels.
        preprocessing: What the model was trained with; see `farkeras.data.pipeline`.
        batch_size: Images in a batch of all replicas together; rounded up to a multiple of the replicas.
        strategy: The devices; by default the current strategy.
        forward: `compile_forward(model, strategy)`, for a caller that predicts many times and compiles once.
        keypoints: Of the examples, for models with masks: those are compared at the image's size.

    Raises:
        FarkerasError: There is no example, or more than 1 % of the images cannot be decoded.
    """
    if not len(examples):
        raise FarkerasError("This split has no images; choose another one.")
    strategy = strategy or tf.distribute.get_strategy()
    forward = forward or compile_forward(model, strategy)
    replicas = strategy.num_replicas_in_sync
    dataset = evaluation_dataset(examples, preprocessing, -(-batch_size // replicas) * replicas, keypoints)
    # Each worker of several predicts the whole split on its own replicas: no results to exchange.
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    distributed = strategy.experimental_distribute_dataset(dataset.with_options(options))

    probabilities = np.zeros(examples.labels.shape, np.float32)
    seen = np.zeros(len(examples), bool)
    overlaps = np.zeros((), np.int64)
    for batch in distributed:
        results = {
            name: np.concatenate(strategy.experimental_local_results(value)) for name, value in forward(batch).items()
        }
        real = results["example"] >= 0  # -1 pads the last batch
        index = results["example"][real]
        probabilities[index] = results["probabilities"][real]
        seen[index] = True
        if keypoints:
            overlaps = overlaps + results["overlaps"].sum(axis=0)  # padding has no face

    undecodable = [str(path) for path in examples.paths[~seen]]
    check_undecodable(undecodable, len(examples))
    figures = evaluate_masks(overlaps, int(keypoints.found[seen].sum())) if keypoints else {}
    return Predictions(examples.labels[seen], probabilities[seen], undecodable, figures)
