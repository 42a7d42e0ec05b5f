"""Losses that leave out unknown labels: of attributes and of facial masks.

`MaskedBinaryCrossentropy` and `RegionMaskLoss` are Keras losses for `compile`, on any Keras backend. The functions give
the loss of each label or image, which a training step of your own weighs and sums.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from farkeras.attributes import Grouping
from farkeras.data.masks import region_masks

__all__ = [
    "MaskedBinaryCrossentropy",
    "MaskedLoss",
    "RegionMaskLoss",
    "attribute_losses",
    "balanced_positive_weights",
    "mask_losses",
    "sum_by_group",
]


class MaskedLoss(keras.losses.Loss):
    """The base of losses whose targets may be unknown: those weigh nothing.

    An unknown target has sample weight 0. So the default reduction, `"mean_with_sample_weight"`, is the mean over the
    known targets, and 0 where none is known. A subclass gives `call`, finite for unknown targets as well, and `known`.

    Args:
        reduction: As of `keras.losses.Loss`: `"sum_over_batch_size"` also counts the unknown targets.
        name: Optional name.
        dtype: Of the computation; by default `keras.config.floatx()`.
    """

    def __init__(
        self, reduction: str | None = "mean_with_sample_weight", name: str | None = None, dtype: str | None = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def known(self, y_true: keras.KerasTensor) -> keras.KerasTensor:
        """True where a target is known; of the shape of what `call` returns."""
        raise NotImplementedError

    def __call__(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> keras.KerasTensor:
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        return super().__call__(y_true, y_pred, self.weights(y_true, sample_weight, self.dtype))

    def weights(
        self, y_true: keras.KerasTensor, sample_weight: keras.KerasTensor | None, dtype: str
    ) -> keras.KerasTensor:
        """Of each target: 0 where it is unknown, else its sample weight."""
        known = ops.cast(self.known(y_true), dtype)
        if sample_weight is None:
            return known
        weight = ops.convert_to_tensor(sample_weight, dtype)
        if len(weight.shape) > len(known.shape):  # Keras makes (batch,) a column
            weight = ops.squeeze(weight, -1)
        return known * (ops.expand_dims(weight, -1) if len(weight.shape) < len(known.shape) else weight)

    def sums(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """The weighted losses and the weights, of the shape of what `call` returns, in the predictions' precision.

        That is `dtype` for predictions of half precision.

        The sum of the first over the sum of the second is the mean, also over parts of a batch on several devices.
        """
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if keras.backend.standardize_dtype(y_pred.dtype) in ("bfloat16", "float16"):
            y_pred = ops.cast(y_pred, self.dtype)
        weights = self.weights(y_true, sample_weight, keras.backend.standardize_dtype(y_pred.dtype))
        return self.call(y_true, y_pred) * weights, weights


@keras.saving.register_keras_serializable(package="farkeras")
class MaskedBinaryCrossentropy(MaskedLoss):
    """Binary cross-entropy of attributes, some of which may be unknown; with weights of positives and a focal term.

    With logit `x` and `p = sigmoid(x)` the loss of a positive label is `-w (1 - p)^gamma log p`, of a negative one
    `-p^gamma log(1 - p)`, of an unknown one 0. By default the mean over all known labels is returned.

    Args:
        positive_weights: Factor `w` for the loss of positive labels: `(attributes,)` numbers, see
            `balanced_positive_weights`, or None for 1.
        focal_gamma: Exponent of focal loss (Lin et al., ICCV 2017), at least 0.
        from_logits: Whether predictions are logits, as those of this package's models; else probabilities.
        reduction: As of `keras.losses.Loss`; see `MaskedLoss`.
        name: Optional name.
        dtype: Of the computation; by default `keras.config.floatx()`.

    Call arguments:
        y_true: `(batch, attributes)`: 1, 0, between them for a soft label, or -1 (or NaN) for unknown. CelebA's own
            files write -1 for negative: `farkeras.load_datasets` makes that 0.
        y_pred: `(batch, attributes)` float.
        sample_weight: Optional, of images, `(batch,)`, or of labels, `(batch, attributes)`.

    Example:

    >>> loss = MaskedBinaryCrossentropy()
    >>> float(loss([[1, 0, -1]], [[0.0, 0.0, 5.0]]))
    0.6931471824645996
    """

    def __init__(
        self,
        positive_weights: Any = None,
        focal_gamma: float = 0.0,
        from_logits: bool = True,
        reduction: str | None = "mean_with_sample_weight",
        name: str | None = "masked_binary_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        if focal_gamma < 0:
            raise ValueError(f"`focal_gamma` must be at least 0. Received: focal_gamma={focal_gamma}")
        if positive_weights is not None and np.ndim(positive_weights) != 1:
            raise ValueError(f"`positive_weights` must be one number per attribute. Received: {positive_weights}")
        self.positive_weights = None if positive_weights is None else np.asarray(positive_weights)
        self.focal_gamma, self.from_logits = focal_gamma, from_logits

    def known(self, y_true: keras.KerasTensor) -> keras.KerasTensor:
        return y_true >= 0  # NaN is not

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        if len(y_true.shape) != 2 or len(y_pred.shape) != 2 or y_true.shape[1] != y_pred.shape[1]:
            raise ValueError(
                "Labels and predictions must be (batch, attributes), with as many attributes. Received: "
                f"y_true.shape={tuple(y_true.shape)}, y_pred.shape={tuple(y_pred.shape)}"
            )
        if not self.from_logits:
            epsilon = keras.config.epsilon()
            y_pred = ops.clip(y_pred, epsilon, 1.0 - epsilon)
            y_pred = ops.log(y_pred) - ops.log1p(-y_pred)
        return attribute_losses(y_true, y_pred, self.positive_weights, self.focal_gamma)[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "positive_weights": None if self.positive_weights is None else self.positive_weights.tolist(),
            "focal_gamma": self.focal_gamma,
            "from_logits": self.from_logits,
            "dtype": self.dtype,
        }


@keras.saving.register_keras_serializable(package="farkeras")
class RegionMaskLoss(MaskedLoss):
    """Cross-entropy and Dice loss of the masks of facial regions, see `mask_losses`; for MGMTN's `"mask_logits"`.

    Targets are masks, or the key points of a face from which they are drawn (`farkeras.data.masks.region_masks`), which
    take a thousandth of the room. An image without a face that was found counts nothing.

    Args:
        reduction: As of `keras.losses.Loss`; see `MaskedLoss`.
        name: Optional name.
        dtype: Of the computation; by default `keras.config.floatx()`.

    Call arguments:
        y_true: Masks `(batch, h, w, R)` in 0..1, -1 throughout an image whose masks are unknown; or key points
            `(batch, 478, 2)`, x, y as fractions of the image, NaN for an image whose face was not found.
        y_pred: Mask logits `(batch, h, w, R)`.
        sample_weight: Optional `(batch,)`.

    Reference:
        MGMTN, arXiv 2601.01408 (AML's cross-entropy; the Dice term is our addition).
    """

    def __init__(
        self,
        reduction: str | None = "mean_with_sample_weight",
        name: str | None = "region_mask_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(reduction, name, dtype)

    def known(self, y_true: keras.KerasTensor) -> keras.KerasTensor:
        axes = tuple(range(1, len(y_true.shape)))
        if len(axes) == 2:
            return ops.all(ops.isfinite(y_true), axis=axes)
        return ops.all(y_true >= 0, axis=axes)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        y_true = ops.where(ops.isfinite(y_true), y_true, 0.0)
        if len(y_true.shape) == 3:
            y_true = region_masks(ops.cast(y_true, y_pred.dtype), tuple(y_pred.shape[1:3]))
        if y_true.shape[1:] != y_pred.shape[1:]:
            raise ValueError(
                "Targets must be masks of the predictions' shape, or key points (batch, 478, 2). Received: "
                f"y_true.shape={tuple(y_true.shape)}, y_pred.shape={tuple(y_pred.shape)}"
            )
        return mask_losses(y_true, ops.ones_like(y_pred[:, 0, 0, 0]), y_pred)[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype}


def attribute_losses(
    labels: keras.KerasTensor,
    logits: keras.KerasTensor,
    positive_weights: keras.KerasTensor | None = None,
    focal_gamma: float = 0.0,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Loss of each label, and which labels are known.

    Args:
        labels: `(batch, attributes)` numbers: 1, 0, between them for a soft label, or -1 (or NaN) for unknown.
        logits: `(batch, attributes)` float.
        positive_weights: Optional `(attributes,)` factors for the loss of positive labels.
        focal_gamma: Exponent of focal loss (Lin et al., ICCV 2017): each loss times (1 - p of the true label) ** gamma;
            of a soft label, the nearer one.

    Returns:
        `(losses, known)`, both `(batch, attributes)` in the logits' dtype; where `known` is 0 the loss is 0.
    """
    labels = ops.cast(labels, logits.dtype)
    is_known = labels >= 0  # NaN is not
    known = ops.cast(is_known, logits.dtype)
    labels = ops.where(is_known, labels, 0.0)
    positive = ops.cast(labels >= 0.5, logits.dtype)
    # -log sigmoid(x) for a positive, -log sigmoid(-x) for a negative label; a soft one is between them, linearly.
    margin = logits * (2.0 * positive - 1.0)
    losses = ops.softplus(-margin) + ops.abs(labels - positive) * margin
    if focal_gamma:  # of 0, a power below 1 has no gradient
        losses *= ops.maximum(ops.sigmoid(-margin), 1e-30) ** focal_gamma
    if positive_weights is not None:
        losses *= 1.0 + labels * (ops.cast(positive_weights, logits.dtype) - 1.0)
    return losses * known, known


def mask_losses(
    masks: keras.KerasTensor, found: keras.KerasTensor, logits: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
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


def sum_by_group(values: keras.KerasTensor, grouping: Grouping) -> keras.KerasTensor:
    """`(batch, attributes)` -> `(groups,)`: sums over the batch and each group's attributes."""
    membership = np.eye(len(grouping), dtype=np.float32)[list(grouping.group_of)]  # (attributes, groups)
    return ops.matmul(ops.sum(values, axis=0), ops.cast(membership, values.dtype))


def balanced_positive_weights(labels: np.ndarray, at_most: float = 10.0) -> np.ndarray:
    """`[N, attributes]` training labels -> `[attributes]` float32: negatives / positives, in [1 / at_most, at_most]."""
    positives, negatives = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    return np.clip(negatives / np.maximum(positives, 1), 1 / at_most, at_most).astype(np.float32)
