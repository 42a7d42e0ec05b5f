"""Losses of attributes and of facial masks that ignore unknown labels.

`MaskedBinaryCrossentropy` and `RegionMaskLoss` are Keras losses for `compile`, on any Keras backend. The functions
return the loss of each label or image, for a custom training step that weights and sums them.
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
    """The base class of losses that ignore unknown targets.

    An unknown target has sample weight 0. So the default reduction, `"mean_with_sample_weight"`, is the mean over the
    known targets, or 0 if no target is known. A subclass implements `known` and `call`; `call` must return finite
    values for unknown targets, too.

    Args:
        reduction: The reduction, as for `keras.losses.Loss`. `"sum_over_batch_size"` also counts the unknown targets.
        name: Optional name.
        dtype: The dtype of the computation; `keras.config.floatx()` by default.
    """

    def __init__(
        self, reduction: str | None = "mean_with_sample_weight", name: str | None = None, dtype: str | None = None
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def known(self, y_true: keras.KerasTensor) -> keras.KerasTensor:
        """Returns True for each known target, in the shape of the result of `call`."""
        raise NotImplementedError

    def __call__(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> keras.KerasTensor:
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        return super().__call__(y_true, y_pred, self.weights(y_true, sample_weight, self.dtype))

    def weights(
        self, y_true: keras.KerasTensor, sample_weight: keras.KerasTensor | None, dtype: str
    ) -> keras.KerasTensor:
        """Returns the weight of each target: 0 if it is unknown, else its sample weight."""
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
        """Computes the weighted losses and the weights, to be summed over parts of a batch on several devices.

        Args:
            y_true: The targets.
            y_pred: The predictions.
            sample_weight: Optional weights of samples or targets.

        Returns:
            A pair of tensors in the shape of the result of `call`. The sum of the first over the sum of the second is
            the mean loss. Their dtype is that of the predictions, or `dtype` for predictions in half precision.
        """
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if keras.backend.standardize_dtype(y_pred.dtype) in ("bfloat16", "float16"):
            y_pred = ops.cast(y_pred, self.dtype)
        weights = self.weights(y_true, sample_weight, keras.backend.standardize_dtype(y_pred.dtype))
        return self.call(y_true, y_pred) * weights, weights


@keras.saving.register_keras_serializable(package="farkeras")
class MaskedBinaryCrossentropy(MaskedLoss):
    """Binary cross-entropy of attributes that ignores unknown labels, with weights of positives and a focal term.

    With the logit `x` and `p = sigmoid(x)`, the loss of a positive label is `-w (1 - p)^gamma log p`, that of a
    negative label is `-p^gamma log(1 - p)`, and that of an unknown label is 0. The default result is the mean over all
    known labels.

    Published: the focal term, by Lin et al., ICCV 2017. Our formulation: the treatment of unknown and soft labels.
    Neither paper's own loss of the attributes was available to us.

    Args:
        positive_weights: The factor `w` of positive labels: `(attributes,)` numbers, for example from
            `balanced_positive_weights`, or None for 1.
        focal_gamma: The exponent `gamma` of focal loss, at least 0; 0 is plain cross-entropy.
        from_logits: Whether predictions are logits, as those of `farkeras.models`, or probabilities.
        reduction: The reduction, as for `keras.losses.Loss`; see `MaskedLoss`.
        name: Optional name.
        dtype: The dtype of the computation; `keras.config.floatx()` by default.

    Call arguments:
        - `y_true`: `(batch, attributes)`: 1, 0, a number between them for a soft label, or -1 (or NaN) for unknown.
          CelebA's own files use -1 for negative; `farkeras.load_datasets` converts it to 0.
        - `y_pred`: `(batch, attributes)` float.
        - `sample_weight`: Optional weights of images, `(batch,)`, or of labels, `(batch, attributes)`.

    Raises:
        ValueError: `focal_gamma` is negative, or a shape is wrong.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

    Examples:
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
                "Labels and predictions must have the same shape (batch, attributes). Received: "
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
    """Cross-entropy plus Dice loss of the masks of facial regions, for the output `"mask_logits"` of `MGMTN`.

    Published: pixel-wise binary classification of masks made from keypoints (AML). Our formulation: the Dice term (see
    `mask_losses`), and masks that the loss draws from 478 keypoints (`farkeras.data.masks.region_masks`).

    Targets are masks, or the keypoints of a face, which take about a thousandth of the memory. Images in which no face
    was found are ignored.

    Args:
        reduction: The reduction, as for `keras.losses.Loss`; see `MaskedLoss`.
        name: Optional name.
        dtype: The dtype of the computation; `keras.config.floatx()` by default.

    Call arguments:
        - `y_true`: Masks `(batch, h, w, R)` in 0..1, with -1 at every pixel of an image whose masks are unknown; or
          keypoints `(batch, 478, 2)`, x and y as fractions of the image's width and height, with NaN for an image in
          which no face was found.
        - `y_pred`: Mask logits `(batch, h, w, R)`.
        - `sample_weight`: Optional weights of images, `(batch,)`.

    Raises:
        ValueError: The shapes of targets and predictions do not fit.

    Reference:
        MGMTN, arXiv 2601.01408 (module AML).
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
                "Targets must be masks in the predictions' shape, or keypoints (batch, 478, 2). Received: "
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
    """Computes the binary cross-entropy of each label, and which labels are known.

    Args:
        labels: `(batch, attributes)`: 1, 0, a number between them for a soft label, or -1 (or NaN) for unknown.
        logits: `(batch, attributes)` float.
        positive_weights: Optional `(attributes,)` factors of the loss of positive labels. A soft label gets a factor
            between 1 and this one, in proportion to the label.
        focal_gamma: Exponent of focal loss (Lin et al., ICCV 2017). Each loss is multiplied by
            `(1 - p of the true label) ** focal_gamma`; for a soft label, the true label is the nearer of 0 and 1.

    Returns:
        `(losses, known)`, both `(batch, attributes)` in the dtype of the logits. `known` is 1 or 0; the loss of an
        unknown label is 0.
    """
    labels = ops.cast(labels, logits.dtype)
    is_known = labels >= 0  # NaN is not
    known = ops.cast(is_known, logits.dtype)
    labels = ops.where(is_known, labels, 0.0)
    positive = ops.cast(labels >= 0.5, logits.dtype)
    # -log sigmoid(x) for a positive and -log sigmoid(-x) for a negative label, linearly mixed for a soft label.
    margin = logits * (2.0 * positive - 1.0)
    losses = ops.softplus(-margin) + ops.abs(labels - positive) * margin
    if focal_gamma:  # the maximum avoids 0, at which a power below 1 has an infinite gradient
        losses *= ops.maximum(ops.sigmoid(-margin), 1e-30) ** focal_gamma
    if positive_weights is not None:
        losses *= 1.0 + labels * (ops.cast(positive_weights, logits.dtype) - 1.0)
    return losses * known, known


def mask_losses(
    masks: keras.KerasTensor, found: keras.KerasTensor, logits: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Computes the mask loss of each image, and which images have masks.

    Published: pixel-wise binary classification of the masks (AML of MGMTN, arXiv 2601.01408). Our formulation: the loss
    is the sum of binary cross-entropy and soft Dice loss, each a mean over the regions. In the Dice loss, small regions
    count as much as large regions.

    Args:
        masks: `(batch, h, w, R)` targets in 0..1.
        found: `(batch,)` bool: False for an image in which no face was found. The loss of such an image is 0.
        logits: `(batch, h, w, R)` float.

    Returns:
        `(losses, known)`, both `(batch,)` in the dtype of the logits. `known` is 1 or 0.
    """
    masks, known = ops.cast(masks, logits.dtype), ops.cast(found, logits.dtype)
    # Cross-entropy with targets t and logits x: softplus(x) - t x.
    cross_entropy = ops.mean(ops.softplus(logits) - masks * logits, axis=(1, 2, 3))
    probabilities = ops.sigmoid(logits)
    overlap = ops.sum(masks * probabilities, axis=(1, 2))  # (batch, R)
    areas = ops.sum(masks + probabilities, axis=(1, 2))
    dice = ops.mean(1.0 - (2.0 * overlap + 1.0) / (areas + 1.0), axis=-1)  # 0 for an empty mask predicted as empty
    return (cross_entropy + dice) * known, known


def sum_by_group(values: keras.KerasTensor, grouping: Grouping) -> keras.KerasTensor:
    """Sums values over the batch and over each group's attributes: `(batch, attributes)` -> `(groups,)`."""
    membership = np.eye(len(grouping), dtype=np.float32)[list(grouping.group_of)]  # (attributes, groups)
    return ops.matmul(ops.sum(values, axis=0), ops.cast(membership, values.dtype))


def balanced_positive_weights(labels: np.ndarray, at_most: float = 10.0) -> np.ndarray:
    """Computes weights of positive labels that balance the positive and negative labels of each attribute.

    Args:
        labels: Training labels `[N, attributes]`: 1, 0, or -1 for unknown.
        at_most: Largest weight; the smallest is `1 / at_most`.

    Returns:
        `[attributes]` float32: the number of negatives over the number of positives, clipped to this range.
    """
    positives, negatives = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    return np.clip(negatives / np.maximum(positives, 1), 1 / at_most, at_most).astype(np.float32)
