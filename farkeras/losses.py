"""Losses that leave out unknown labels: cross-entropy of attributes and its sums by group, and the loss of masks.

They give the loss of each label or image, which a training step of your own weighs and sums, on any Keras backend.
"""

from typing import TypeAlias

import keras
import numpy as np
from keras import ops

from farkeras.attributes import Grouping

__all__ = ["attribute_losses", "balanced_positive_weights", "mask_losses", "sum_by_group"]

Tensor: TypeAlias = keras.KerasTensor | np.ndarray


def attribute_losses(
    labels: Tensor, logits: Tensor, positive_weights: Tensor | None = None, focal_gamma: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Loss of each label, and which labels are known.

    Args:
        labels: `(batch, attributes)` integers: 1, 0, or -1 for unknown.
        logits: `(batch, attributes)` float.
        positive_weights: Optional `(attributes,)` factors for the loss of positive labels.
        focal_gamma: Exponent of focal loss (Lin et al., ICCV 2017): each loss times (1 - p of the true label) ** gamma.

    Returns:
        `(losses, known)`, both `(batch, attributes)` in the logits' dtype; where `known` is 0 the loss is 0.
    """
    known = ops.cast(ops.not_equal(labels, -1), logits.dtype)
    positive = ops.cast(ops.equal(labels, 1), logits.dtype)
    # -log sigmoid(x) for a positive, -log sigmoid(-x) for a negative label.
    margin = logits * (2.0 * positive - 1.0)
    losses = ops.softplus(-margin)
    if focal_gamma:
        losses *= ops.sigmoid(-margin) ** focal_gamma
    if positive_weights is not None:
        losses *= 1.0 + positive * (ops.cast(positive_weights, logits.dtype) - 1.0)
    return losses * known, known


def mask_losses(masks: Tensor, found: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each image's masks, and which images have any.

    Pixel-wise binary cross-entropy (published for AML) plus soft Dice (our addition: small regions weigh as much as
    large ones), each the mean over regions.

    Args:
        masks: `(batch, h, w, R)` targets in 0..1.
        found: `(batch,)` bool; False where no face was found, whose loss is 0.
        logits: `(batch, h, w, R)` float.

    Returns:
        `(losses, known)`, both `(batch,)` in the logits' dtype.
    """
    masks, known = ops.cast(masks, logits.dtype), ops.cast(found, logits.dtype)
    # Cross-entropy with targets t and logits x: softplus(x) - t x.
    cross_entropy = ops.mean(ops.softplus(logits) - masks * logits, axis=(1, 2, 3))
    probabilities = ops.sigmoid(logits)
    overlap = ops.sum(masks * probabilities, axis=(1, 2))  # (batch, R)
    areas = ops.sum(masks + probabilities, axis=(1, 2))
    dice = ops.mean(1.0 - (2.0 * overlap + 1.0) / (areas + 1.0), axis=-1)  # an empty mask found empty costs nothing
    return (cross_entropy + dice) * known, known


def sum_by_group(values: Tensor, grouping: Grouping) -> Tensor:
    """`(batch, attributes)` -> `(groups,)`: sums over the batch and each group's attributes."""
    membership = np.eye(len(grouping), dtype=np.float32)[list(grouping.group_of)]  # (attributes, groups)
    return ops.matmul(ops.sum(values, axis=0), ops.cast(membership, values.dtype))


def balanced_positive_weights(labels: np.ndarray, at_most: float = 10.0) -> np.ndarray:
    """`[N, attributes]` training labels -> `[attributes]` float32: negatives / positives, in [1 / at_most, at_most]."""
    positives, negatives = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    return np.clip(negatives / np.maximum(positives, 1), 1 / at_most, at_most).astype(np.float32)
