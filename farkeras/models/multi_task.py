"""Multi-task models: `fit` weights the losses of their tasks and accepts labels for only some of their outputs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from farkeras import weighting as weightings
from farkeras.losses import MaskedLoss
from farkeras.models.fused_batch_norms import fuse_batch_norms
from farkeras.weighting import TaskWeighting

Tensors = Mapping[str, keras.KerasTensor]


@dataclass(eq=False)
class WeighedTasks:
    """The arguments of `compile`, in a plain object so that Keras does not save or export them with the model.

    Attributes:
        weighting: The weighting of the losses.
        losses: Output -> its loss.
        loss_weights: Output -> factor of its loss.
    """

    weighting: TaskWeighting
    losses: dict[str, keras.losses.Loss]
    loss_weights: dict[str, float]


@keras.saving.register_keras_serializable(package="farkeras")
class MultiTaskModel(keras.Model):
    """A functional Keras model whose outputs are a dict, for training with `fit`.

    `compile` takes an additional argument `weighting`: `"uniform"`, `"dws"`, `"uncertainty"`, `"famo"` or an object
    of `farkeras.weighting`. The weighting computes the weights of the tasks' losses in each training step. A task is
    an output with a loss. With `L_k` its loss, `c_k` its entry in `loss_weights` and `w_k` its weight, the training
    loss is

        total = sum_k w_k c_k L_k

    With uniform weights, `w_k = 1`, this is the loss that Keras computes; `"uncertainty"` adds its own terms.
    `evaluate` and `val_loss` give the loss that Keras computes without a weighting. DWS, DWA and FAMO expect positive
    losses. The state of a weighting changes only in training steps and is not part of the model's files and exports: a
    model that is loaded and compiled again starts with a new state.

    Labels are a dict by output, for the outputs with losses or metrics. Labels that are not a dict belong to the only
    output, or to `main_output`.

    Args:
        inputs: The inputs, as for `keras.Model`.
        outputs: A dict of the model's outputs.
        name: Optional name.

    Reference:
        FAR-AMTN, arXiv 2601.01537, for DWS. The other weightings name their own source.

    Examples:
        >>> inputs = keras.Input((8,))
        >>> outputs = {"size": keras.layers.Dense(1)(inputs), "kind": keras.layers.Dense(3)(inputs)}
        >>> model = MultiTaskModel(inputs, outputs)
        >>> kind = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> model.compile("adam", loss={"size": "mean_squared_error", "kind": kind}, weighting="dws")
    """

    main_output = ""
    _weighed: WeighedTasks | None = None
    _needed_labels: Mapping[str, frozenset[str]] = {}

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        *,
        weighting: str | TaskWeighting | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the model for training, as `keras.Model.compile` does.

        On TensorFlow and JAX, batch normalisation then trains with fewer passes over the feature maps: the values of a
        training step differ from Keras's by rounding, and on JAX it has no forward-mode derivatives.

        Args:
            optimizer: As for `keras.Model.compile`.
            loss: A loss, or a dict of losses by output.
            loss_weights: A dict of factors by output; with `weighting`, outputs that it does not name have 1.
            metrics: As for `keras.Model.compile`.
            weighted_metrics: As for `keras.Model.compile`.
            weighting: `"uniform"`, `"dws"`, `"uncertainty"`, `"famo"`, an object of `farkeras.weighting`, or None.
            **kwargs: Further arguments of `keras.Model.compile`.

        Raises:
            ValueError: The weighting is unknown or cannot weight these losses, or `loss_weights` is invalid.
        """
        loss, metrics = _without_none(loss), _without_none(metrics)
        weighted_metrics = _without_none(weighted_metrics)
        if isinstance(loss, dict) and isinstance(loss_weights, dict):
            if unknown := sorted(set(loss_weights) - set(loss)):
                raise ValueError(f"`loss_weights` names '{unknown[0]}', which has no loss. Received: {loss_weights}")
            loss_weights = {name: loss_weights.get(name, 1.0) for name in loss}
        weighed = None
        if weighting is not None:
            losses = self._losses_by_output(loss)
            weighed = WeighedTasks(weightings.get(weighting), losses, _weights_by_output(loss_weights, losses))
        fuse_batch_norms(self)
        super().compile(optimizer, loss, loss_weights, metrics, weighted_metrics, **kwargs)
        if weighed is not None:
            with _strategy_scope(self):
                weighed.weighting.build(list(self._task_sizes(weighed).values()), self.variable_dtype)
        self._weighed = weighed
        self._needed_labels = {
            "loss": frozenset(weighed.losses) if weighed else _outputs_of(loss),
            "metrics": _outputs_of(metrics) | _outputs_of(weighted_metrics),
        }

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains the model, as `keras.Model.fit` does.

        Raises:
            ValueError: `x` is an infinite dataset and `steps_per_epoch` is not set.
        """
        if callable(cardinality := getattr(x, "cardinality", None)):  # a tf.data.Dataset
            kwargs.setdefault("shuffle", False)  # Keras warns that it does not shuffle a dataset
            if int(cardinality()) == -1 and kwargs.get("steps_per_epoch") is None:
                raise ValueError("The dataset `x` is infinite. Set `steps_per_epoch`, the number of batches per epoch.")
        return super().fit(x, *args, **kwargs)

    @property
    def task_weights(self) -> dict[str, float]:
        """Task -> its weight in the next training step; empty without a weighting."""
        if self._weighed is None:
            return {}
        values = ops.convert_to_numpy(self._weighed.weighting.weights_now()).tolist()
        return dict(zip(self._task_sizes(self._weighed), values, strict=True))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> keras.KerasTensor:
        y, y_pred = self._labelled(y, y_pred, "loss")
        plain = super().compute_loss(x, y, y_pred, sample_weight, training)  # also updates Keras's loss trackers
        if self._weighed is None or not training:
            return plain
        weighting, replicas = self._weighed.weighting, _num_replicas()
        _forget_gradients(weighting.trainable_variables)
        losses, present, others = self._task_losses(self._weighed, y, y_pred, sample_weight)
        losses, present = (ops.cast(values, weighting.dtype) for values in (losses, present))
        total = weighting.total(losses, replicas) * self._scale(self._weighed) + others
        weighting.update(_over_replicas(ops.stop_gradient(losses)), present)
        return total + sum(ops.sum(loss) for loss in self.losses) / replicas

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        y, y_pred = self._labelled(y, y_pred, "metrics")
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _labelled(self, y: Any, y_pred: Any, argument: str) -> tuple[Any, Any]:
        """Returns the labels as a dict by output and the predictions for them, for this argument of `compile`."""
        if y is None or not isinstance(y_pred, dict):
            return y, y_pred
        outputs = ", ".join(self.output)
        if not isinstance(y, dict):
            if isinstance(y, list | tuple) or (len(y_pred) > 1 and not self.main_output):
                raise ValueError(f"Labels must be a dict with keys among: {outputs}. Received: a {type(y).__name__}")
            y = {self.main_output or next(iter(y_pred)): y}
        if unknown := set(y) - set(y_pred):
            raise ValueError(
                f"Labels must be for outputs of the model: {outputs}. Received: labels for '{sorted(unknown)[0]}'"
            )
        needed = self._needed_labels.get(argument, frozenset())
        if missing := needed - set(y):
            raise ValueError(
                f"`compile` received `{argument}` for '{sorted(missing)[0]}', which has no labels. Remove it from "
                f"`{argument}`, or provide labels. Received: labels for {', '.join(y)}"
            )
        y = {name: labels for name, labels in y.items() if name in needed} if needed else y
        return y, {name: y_pred[name] for name in y}

    # A subclass whose tasks are not its outputs overrides the following methods.

    def _task_sizes(self, weighed: WeighedTasks) -> dict[str, float]:
        """Returns task -> its size. A task's share in the mean over the tasks is its size over the sum of all sizes."""
        return weighed.loss_weights

    def _scale(self, weighed: WeighedTasks) -> float:
        """Returns the factor that turns the weighting's total, a mean over the tasks, into the sum over the tasks."""
        return sum(weighed.loss_weights.values())

    def _task_losses(
        self, weighed: WeighedTasks, y: Tensors, y_pred: Tensors, sample_weight: Any
    ) -> tuple[keras.KerasTensor, keras.KerasTensor, Any]:
        """Returns this replica's task losses `(K,)`, whether each task has labels (1 or 0) `(K,)`, and other losses."""
        pairs = [output_part(weighed, name, y, y_pred, sample_weight) for name in weighed.losses]
        losses, present = zip(*pairs, strict=True)
        return ops.stack(losses), ops.stack(present), 0.0

    # Connection of a weighting with `compile` and with the variables that the optimizer trains.

    def _losses_by_output(self, loss: Any) -> dict[str, keras.losses.Loss]:
        outputs = list(self.output)
        if loss is not None and not isinstance(loss, dict | list | tuple):
            name = self.main_output or outputs[0]
            loss = {name: loss} if self.main_output else dict.fromkeys(outputs, loss)
        losses = {name: as_loss(one) for name, one in loss.items()} if isinstance(loss, dict) else {}
        if not losses or set(losses) - set(outputs):
            raise ValueError(
                f"`weighting` needs a loss, or a dict of losses by output ({', '.join(outputs)}). Received: loss={loss}"
            )
        return losses

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        return [*super().trainable_variables, *self._weighting_variables(True)]

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        return [*super().trainable_weights, *self._weighting_variables(True)]

    @property
    def non_trainable_variables(self) -> list[keras.Variable]:
        return [*super().non_trainable_variables, *self._weighting_variables(False)]

    def _weighting_variables(self, trainable: bool) -> list[keras.Variable]:
        variables = self._weighed.weighting.variables if self._weighed and self.trainable else []
        return [v for v in variables if v.trainable == trainable]

    def get_compile_config(self) -> dict[str, Any] | None:
        config = super().get_compile_config()
        if config and self._weighed:
            config["weighting"] = keras.saving.serialize_keras_object(self._weighed.weighting)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)


class _FunctionLoss(keras.losses.Loss):
    """A loss object for a loss function."""

    def __init__(self, function: Any) -> None:
        super().__init__(name="loss")
        self.function = function

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        # As in Keras, labels (batch,) may go with an output (batch, 1), and labels (batch, 1) with an output (batch,).
        if len(y_true.shape) == len(y_pred.shape) - 1 and y_pred.shape[-1] == 1:
            y_true = ops.expand_dims(y_true, -1)
        elif len(y_true.shape) - 1 == len(y_pred.shape) and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, -1)
        return self.function(y_true, y_pred)


def _without_none(argument: Any) -> Any:
    """Returns an argument of `compile` without the outputs whose value is None."""
    return {k: v for k, v in argument.items() if v is not None} if isinstance(argument, dict) else argument


def _outputs_of(argument: Any) -> frozenset[str]:
    return frozenset(argument if isinstance(argument, dict) else ())


def _weights_by_output(loss_weights: Any, losses: Mapping[str, Any]) -> dict[str, float]:
    if loss_weights is None:
        return dict.fromkeys(losses, 1.0)
    if not isinstance(loss_weights, dict):
        raise ValueError(f"With `weighting`, `loss_weights` must be a dict by output. Received: {loss_weights}")
    weights = {name: float(loss_weights.get(name, 1.0)) for name in losses}
    if not sum(weights.values()) > 0:
        raise ValueError(f"With `weighting`, the sum of `loss_weights` must be above 0. Received: {loss_weights}")
    return weights


def as_loss(identifier: Any) -> keras.losses.Loss:
    """Returns the loss object for a loss, a function or a name, as `compile` accepts them."""
    loss = keras.losses.get(identifier)
    return loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)


def output_part(
    weighed: WeighedTasks, name: str, y: Tensors, y_pred: Tensors, sample_weight: Any
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns an output's loss as this replica's part of the global batch, and 1 if the output has labels, else 0."""
    loss = weighed.losses[name]
    weight = sample_weight.get(name) if isinstance(sample_weight, dict) else sample_weight
    if isinstance(loss, MaskedLoss) and loss.reduction == "mean_with_sample_weight":
        losses, weights = loss.sums(y[name], y_pred[name], weight)
        return mean_part(ops.sum(losses), ops.sum(weights))
    value = loss(y[name], y_pred[name], weight)
    return value, ops.ones_like(value)


def mean_part(sums: keras.KerasTensor, weights: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Converts sums over this replica to parts of means over the global batch, with 1 where the weight is not 0."""
    weights = _over_replicas(weights)
    return ops.divide_no_nan(sums, weights), ops.cast(weights > 0, sums.dtype)


@contextmanager
def _strategy_scope(model: keras.Model) -> Iterator[None]:
    """Enters the strategy scope in which the model was built, because Keras allows calling `compile` outside of it."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    with model.distribute_strategy.scope():
        yield


def _num_replicas() -> int:
    if keras.backend.backend() != "tensorflow":
        return 1  # JAX computes with the global batch
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def _over_replicas(values: keras.KerasTensor) -> keras.KerasTensor:
    """Sums over the replicas of tf.distribute."""
    if _num_replicas() == 1:
        return values
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def _forget_gradients(variables: list[keras.Variable]) -> None:
    """Clears the gradients of variables on PyTorch, which accumulates them; Keras clears only those of the model."""
    if keras.backend.backend() == "torch":
        for variable in variables:
            variable.value.grad = None
