"""Predictions for a whole split, with the same result on one device or several."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from farkeras.attributes import REGIONS
from farkeras.data.examples import Examples
from farkeras.data.keypoints import Keypoints
from farkeras.data.masks import region_masks
from farkeras.data.pipeline import check_undecodable, evaluation_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.metrics.mask_metrics import evaluate_masks
from farkeras.models.base import LogitsModel


class Predictions(NamedTuple):
    """The predictions of a model for a split, without its undecodable images.

    Attributes:
        labels: `int8 [N, A]`, in the order of the examples.
        probabilities: `float32 [N, A]` in [0, 1], in the same order.
        undecodable: Paths of the undecodable images.
        mask_metrics: The result of `evaluate_masks` for the images in which a face was found; empty without keypoints.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    undecodable: list[str]
    mask_metrics: dict


def compile_forward(model: LogitsModel, strategy: tf.distribute.Strategy | None = None) -> Callable:
    """Compiles a model's forward pass on all replicas.

    Args:
        model: The model.
        strategy: The devices; the current strategy by default.

    Returns:
        A function `forward(batch)`, where `batch` is an element of a dataset that `strategy` distributes. It returns a
        dict with one value per replica: `"example"`, int64 `[B]`; `"probabilities"`, float32 `[B, A]`; and, if the
        batch has keypoints, `"overlaps"`, int64 `[B, 2, R]`.
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
    """Counts the pixels in the intersections and unions of predicted and target masks, at threshold 0.5.

    Args:
        predicted: `[B, h, w, R]` in 0..1; resized to the size of the targets (bilinear).
        masks: `[B, H, W, R]`: targets in 0..1.
        found: `[B]` bool: False for an image in which no face was found, whose counts are 0.

    Returns:
        int64 `[B, 2, R]`: the numbers of pixels in the intersections and in the unions.
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
    share: tuple[int, int] = (0, 1),
    gather: Callable[[dict], list[dict]] = lambda part: [part],
) -> Predictions:
    """Predicts every example once.

    Args:
        model: A model with the attributes of the examples, in the same order.
        examples: The images and labels.
        preprocessing: The preprocessing that the model was trained with; see `farkeras.data.pipeline`.
        batch_size: Number of images in a global batch; rounded up to a multiple of the number of replicas.
        strategy: The devices; the current strategy by default.
        forward: The result of `compile_forward(model, strategy)`, for callers that predict several times.
        keypoints: The keypoints of the examples, for a model with masks. The masks are then compared with targets at
            the size of the image.
        share: The number of this worker and the number of workers: worker w of W predicts the examples w, w + W, ...
        gather: Function that returns the arrays of all workers, by name, for those of this one.

    Returns:
        The predictions of all workers.

    Raises:
        FarkerasError: There are no examples, or more than 1 % of the images are undecodable.
    """
    if not len(examples):
        raise FarkerasError("This split has no images. Choose another split.")
    strategy = strategy or tf.distribute.get_strategy()
    forward = forward or compile_forward(model, strategy)
    replicas = strategy.num_replicas_in_sync
    rows = np.arange(share[0], len(examples), share[1])
    own, own_keypoints = examples.take(rows), keypoints.take(rows) if keypoints else None
    dataset = evaluation_dataset(own, preprocessing, -(-batch_size // replicas) * replicas, own_keypoints)

    probabilities = np.zeros(own.labels.shape, np.float32)
    seen = np.zeros(len(own), bool)
    overlaps = np.zeros((2, len(REGIONS)), np.int64)
    for batch in strategy.experimental_distribute_dataset(dataset):
        results = {
            name: np.concatenate(strategy.experimental_local_results(value)) for name, value in forward(batch).items()
        }
        real = results["example"] >= 0  # -1 pads the last batch
        index = results["example"][real]
        probabilities[index] = results["probabilities"][real]
        seen[index] = True
        if keypoints:
            overlaps += results["overlaps"].sum(axis=0)  # padding counts 0

    parts = gather({"rows": rows[seen], "probabilities": probabilities[seen], "overlaps": overlaps})
    probabilities, seen = np.zeros(examples.labels.shape, np.float32), np.zeros(len(examples), bool)
    for part in parts:
        probabilities[part["rows"]], seen[part["rows"]] = part["probabilities"], True
    undecodable = [str(path) for path in examples.paths[~seen]]
    check_undecodable(undecodable, len(examples))
    overlaps = sum(part["overlaps"] for part in parts)
    mask_metrics = evaluate_masks(overlaps, int(keypoints.found[seen].sum())) if keypoints else {}
    return Predictions(examples.labels[seen], probabilities[seen], undecodable, mask_metrics)
