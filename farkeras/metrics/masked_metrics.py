"""Keras metrics of attributes that ignore unknown labels, for `compile(metrics=[...])` on any Keras backend.

They compute the metrics of `evaluate_attributes` batch by batch: per attribute, per group, or as mean over attributes.
"""

from typing import Any

import keras
from keras import ops

from farkeras.attributes import Attributes, Grouping, as_grouping

__all__ = ["MaskedAUC", "MaskedBalancedAccuracy", "MaskedBinaryAccuracy", "MaskedF1Score", "MaskedMetric"]

AVERAGES = ("macro", "group", None)


class MaskedMetric(keras.metrics.Metric):
    """The base class of metrics that ignore unknown labels and average a value of each attribute.

    A value that the labels leave undefined is NaN, for example the balanced accuracy of an attribute with positive
    labels only. Averages are over the defined values.

    `result()` returns a number in 0..1 for `average="macro"`; a dict `"<name>_<group>"` -> number for `"group"`; and a
    dict `"<name>_<attribute>"` -> number for None, or a tensor `(attributes,)` if `attributes` is not given.

    Args:
        average: `"macro"` for the mean over all attributes, `"group"` for the mean of each group, or None for the value
            of each attribute.
        attributes: A `Grouping`, the name or file of a grouping, or a list of attribute names, in the order of the
            predictions. Required for `average="group"`; for `average=None` it names the results.
        from_logits: Whether predictions are logits, as those of `farkeras.models`, or probabilities.
        name: Optional name.
        dtype: The dtype of the counts.

    Call arguments:
        - `y_true`: `(batch, attributes)`: 1, 0, or -1 (or NaN) for unknown. A soft label of 0.5 or more is positive.
        - `y_pred`: `(batch, attributes)` float.
        - `sample_weight`: Optional weights of images, `(batch,)`, or of labels, `(batch, attributes)`.

    Raises:
        ValueError: An argument is out of its range, or a shape is wrong.
    """

    def __init__(
        self,
        average: str | None = "macro",
        attributes: Attributes | None = None,
        from_logits: bool = True,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(name=name or self._default_name, dtype=dtype)
        if average not in AVERAGES:
            raise ValueError(f'`average` must be "macro", "group" or None. Received: average={average!r}')
        if isinstance(attributes, dict):  # from a config
            attributes = Grouping.from_config(attributes)
        self.grouping = None if attributes is None else as_grouping(attributes)
        if average == "group" and self.grouping is None:
            raise ValueError('`average="group"` needs groups. Set `attributes` to a grouping.')
        self.average, self.from_logits = average, from_logits

    # A subclass implements the following: its counts, their update from a batch, and its values from the counts.

    _default_name: str | None = None

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the name of each count -> its shape for one attribute."""
        raise NotImplementedError

    def _batch_counts(
        self, positive: keras.KerasTensor, negative: keras.KerasTensor, y_pred: keras.KerasTensor
    ) -> list[keras.KerasTensor]:
        """Returns the counts of a batch, each `(attributes, *shape)`.

        Args:
            positive: `(batch, attributes)`: the weights of positive labels, 0 for other labels.
            negative: `(batch, attributes)`: the weights of negative labels, 0 for other labels.
            y_pred: `(batch, attributes)`: the predictions.
        """
        raise NotImplementedError

    def _by_attribute(self, *counts: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Returns numerators and denominators of the values, `(attributes,)`; a denominator of 0 means undefined."""
        raise NotImplementedError

    def update_state(
        self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor, sample_weight: keras.KerasTensor | None = None
    ) -> None:
        y_true, y_pred = ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype)
        num_attributes = len(self.grouping.attributes) if self.grouping else y_pred.shape[-1]
        for what, values in (("y_true", y_true), ("y_pred", y_pred)):
            if len(values.shape) != 2 or values.shape[1] != num_attributes:
                raise ValueError(
                    f"`{what}` must be (batch, {num_attributes} attributes) for the metric '{self.name}'. Received: "
                    f"shape={tuple(values.shape)}"
                )
        if not self.variables:
            for name, shape in self._shapes().items():
                self.add_variable((num_attributes, *shape), "zeros", self.dtype, name=name)
        weight = ops.ones_like(y_pred)
        if sample_weight is not None:
            given = ops.convert_to_tensor(sample_weight, self.dtype)
            weight *= ops.expand_dims(given, -1) if len(given.shape) == 1 else given
        is_known, is_positive = y_true >= 0, ops.cast(y_true >= 0.5, self.dtype)
        weight *= ops.cast(is_known, self.dtype)
        positive, negative = weight * is_positive, weight * (1.0 - is_positive)
        for count, more in zip(self.variables, self._batch_counts(positive, negative, y_pred), strict=True):
            count.assign_add(more)

    def result(self) -> keras.KerasTensor | dict[str, keras.KerasTensor]:
        if not self.variables:
            return ops.convert_to_tensor(float("nan"), self.dtype)
        numerator, denominator = self._by_attribute(*(ops.convert_to_tensor(count) for count in self.variables))
        defined = ops.cast(denominator > 0, self.dtype)
        values = numerator / ops.where(denominator > 0, denominator, 1.0)
        if self.average == "macro":
            return _mean(values, defined)
        if self.grouping is None:
            return ops.where(denominator > 0, values, float("nan"))
        column = {name: a for a, name in enumerate(self.grouping.attributes)}
        groups = {group: [column[name] for name in members] for group, members in self.grouping.groups.items()}
        parts = groups if self.average == "group" else {name: [a] for name, a in column.items()}
        means = {name: _mean(ops.take(values, part), ops.take(defined, part)) for name, part in parts.items()}
        return {f"{self.name}_{name}": value for name, value in means.items()}

    def get_config(self) -> dict[str, Any]:
        attributes = self.grouping and self.grouping.get_config()
        own = {"average": self.average, "attributes": attributes, "from_logits": self.from_logits}
        return {**super().get_config(), **own}


class _ThresholdMetric(MaskedMetric):
    """A metric from the counts of correct and wrong predictions.

    `threshold` is the lowest probability at which an attribute is predicted as present.
    """

    def __init__(
        self,
        average: str | None = "macro",
        attributes: Attributes | None = None,
        threshold: float = 0.5,
        from_logits: bool = True,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, attributes, from_logits, name, dtype)
        if not 0 <= threshold <= 1:
            raise ValueError(f"`threshold` must be in [0, 1]. Received: threshold={threshold}")
        self.threshold = threshold

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(("true_positives", "false_negatives", "false_positives", "true_negatives"), ())

    def _batch_counts(
        self, positive: keras.KerasTensor, negative: keras.KerasTensor, y_pred: keras.KerasTensor
    ) -> list[keras.KerasTensor]:
        probability = ops.sigmoid(y_pred) if self.from_logits else y_pred
        predicted = ops.cast(probability >= self.threshold, self.dtype)
        answers = (positive * predicted, positive * (1 - predicted), negative * predicted, negative * (1 - predicted))
        return [ops.sum(answer, axis=0) for answer in answers]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable(package="farkeras")
class MaskedBinaryAccuracy(_ThresholdMetric):
    """The fraction of an attribute's known labels that are predicted correctly.

    Args:
        average: `"macro"`, `"group"` or None; see `MaskedMetric`.
        attributes: The attributes; see `MaskedMetric`.
        threshold: An attribute is predicted as present if its probability is at least this value, in [0, 1].
        from_logits: Whether predictions are logits or probabilities.
        name: Optional name; `"accuracy"` by default.
        dtype: The dtype of the counts.

    Examples:
        >>> metric = MaskedBinaryAccuracy()
        >>> float(metric([[1, 0, -1]], [[2.0, 1.0, 3.0]]))
        0.5
    """

    _default_name = "accuracy"

    def _by_attribute(self, *counts: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        true_positives, false_negatives, false_positives, true_negatives = counts
        return true_positives + true_negatives, true_positives + false_negatives + false_positives + true_negatives


@keras.saving.register_keras_serializable(package="farkeras")
class MaskedBalancedAccuracy(_ThresholdMetric):
    """The mean of the accuracy on positive labels and the accuracy on negative labels; 0.5 is chance.

    Args:
        average: `"macro"`, `"group"` or None; see `MaskedMetric`.
        attributes: The attributes; see `MaskedMetric`.
        threshold: An attribute is predicted as present if its probability is at least this value, in [0, 1].
        from_logits: Whether predictions are logits or probabilities.
        name: Optional name; `"balanced_accuracy"` by default.
        dtype: The dtype of the counts.
    """

    _default_name = "balanced_accuracy"

    def _by_attribute(self, *counts: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        true_positives, false_negatives, false_positives, true_negatives = counts
        positives, negatives = true_positives + false_negatives, true_negatives + false_positives
        # (TP / P + TN / N) / 2 with the common denominator P N, which is 0 if there are no positives or no negatives.
        return (true_positives * negatives + true_negatives * positives) / 2, positives * negatives


@keras.saving.register_keras_serializable(package="farkeras")
class MaskedF1Score(_ThresholdMetric):
    """The F1 score of the positive class: the harmonic mean of precision and recall.

    Args:
        average: `"macro"`, `"group"` or None; see `MaskedMetric`.
        attributes: The attributes; see `MaskedMetric`.
        threshold: An attribute is predicted as present if its probability is at least this value, in [0, 1].
        from_logits: Whether predictions are logits or probabilities.
        name: Optional name; `"f1_score"` by default.
        dtype: The dtype of the counts.
    """

    _default_name = "f1_score"

    def _by_attribute(self, *counts: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        true_positives, false_negatives, false_positives, _ = counts
        return 2 * true_positives, 2 * true_positives + false_positives + false_negatives


@keras.saving.register_keras_serializable(package="farkeras")
class MaskedAUC(MaskedMetric):
    """The area under the ROC curve: the probability that a positive gets a higher score than a negative.

    A value of 0.5 is chance. Scores are counted in bins of equal width in `sigmoid(logit / 4)`; scores in the same bin
    count as equal. With the default number of bins, a bin near logit 0 is 0.016 wide, and the result is exact to about
    0.001 if logits differ by more than 0.1.

    Args:
        average: `"macro"`, `"group"` or None; see `MaskedMetric`.
        attributes: The attributes; see `MaskedMetric`.
        num_bins: Number of bins, at least 2.
        from_logits: Whether predictions are logits or probabilities.
        name: Optional name; `"auc"` by default.
        dtype: The dtype of the counts.
    """

    _default_name = "auc"

    def __init__(
        self,
        average: str | None = "macro",
        attributes: Attributes | None = None,
        num_bins: int = 1000,
        from_logits: bool = True,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(average, attributes, from_logits, name, dtype)
        if num_bins < 2:
            raise ValueError(f"`num_bins` must be at least 2. Received: num_bins={num_bins}")
        self.num_bins = num_bins

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {"positives": (self.num_bins,), "negatives": (self.num_bins,)}

    def _batch_counts(
        self, positive: keras.KerasTensor, negative: keras.KerasTensor, y_pred: keras.KerasTensor
    ) -> list[keras.KerasTensor]:
        if self.from_logits:
            score = ops.sigmoid(y_pred / 4)
        else:  # sigmoid(logit / 4), from the odds p / (1 - p) = exp(logit)
            root = (ops.clip(y_pred, 1e-30, 1.0) / ops.clip(1.0 - y_pred, 1e-7, 1.0)) ** 0.25
            score = root / (1.0 + root)
        num_attributes = y_pred.shape[1]
        size = num_attributes * self.num_bins
        bins = ops.clip(ops.cast(score * self.num_bins, "int32"), 0, self.num_bins - 1)
        segments = ops.ravel(bins + ops.arange(0, size, self.num_bins, dtype="int32"))
        sums = (ops.segment_sum(ops.ravel(weight), segments, size) for weight in (positive, negative))
        return [ops.reshape(total, (num_attributes, self.num_bins)) for total in sums]

    def _by_attribute(self, *counts: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        positives, negatives = counts
        below = ops.cumsum(negatives, axis=1) - negatives / 2
        return ops.sum(positives * below, axis=1), ops.sum(positives, axis=1) * ops.sum(negatives, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_bins": self.num_bins}


def _mean(values: keras.KerasTensor, defined: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the mean of the defined values; NaN if no value is defined."""
    count = ops.sum(defined)
    return ops.where(count > 0, ops.sum(values * defined) / ops.maximum(count, 1.0), float("nan"))
