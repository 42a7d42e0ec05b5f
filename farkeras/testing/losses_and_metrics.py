"""Tests that every masked loss and metric must pass, on the active Keras backend."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from farkeras.testing.config import check_config, close, mixed_precision, same


def run_loss_test(
    loss_class: type[keras.losses.Loss],
    init_kwargs: dict[str, Any],
    *,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    unknown: np.ndarray,
    expected: float,
) -> None:
    """Checks the properties that every masked loss must have.

    - The config has the constructor's arguments as keys, and recreates the same loss through JSON.
    - The loss has the expected value, and predictions for unknown targets do not change it.
    - `reduction="none"` returns the individual losses, and `"sum"` returns their sum.
    - Sample weights of 1 do not change the loss, and sample weights of 0 make it 0.
    - A model compiled with the loss evaluates to the expected value, also after saving and loading.
    - A compiled training step under `mixed_bfloat16` returns nearly the expected value, and changes weights by finite
      values.

    Args:
        loss_class: The class of the loss, registered with Keras.
        init_kwargs: The arguments of the constructor.
        y_true: Targets including the batch, some of them unknown.
        y_pred: Predictions, float32.
        unknown: Bool array in the shape of the individual losses: True for unknown targets.
        expected: The expected loss.

    Raises:
        AssertionError: One of the properties does not hold.
    """
    keras.utils.set_random_seed(0)
    loss = loss_class(**init_kwargs)
    check_config(loss, init_kwargs)
    close("loss", loss(y_true, y_pred), expected)
    others = y_pred + np.float32(0.1) * unknown.reshape(*unknown.shape, *[1] * (y_pred.ndim - unknown.ndim))
    close("loss with other predictions of what is unknown", loss(y_true, others), expected)
    one_by_one = ops.convert_to_numpy(loss_class(**init_kwargs, reduction="none")(y_true, y_pred))
    same("shape of the losses one by one", one_by_one.shape, unknown.shape)
    close("losses of what is unknown", one_by_one[unknown], 0.0)
    close("mean of the losses one by one", one_by_one[~unknown].mean(), expected)
    close("sum", loss_class(**init_kwargs, reduction="sum")(y_true, y_pred), one_by_one.sum())
    weights = np.ones(len(y_true), np.float32)
    close("loss with sample weights of 1", loss(y_true, y_pred, weights), expected)
    close("loss with sample weights of 0", loss(y_true, y_pred, 0 * weights), 0.0)
    model = _identity(y_pred)
    model.compile("sgd", loss)
    close("evaluation", model.evaluate(y_pred, y_true, batch_size=len(y_true), verbose=0), expected, 1e-4)
    close("after loading", _saved(model).evaluate(y_pred, y_true, batch_size=len(y_true), verbose=0), expected, 1e-4)
    with mixed_precision():
        mixed = _identity(y_pred)
        mixed.compile("sgd", loss_class(**init_kwargs))
        before = mixed.get_weights()
        close("loss under mixed_bfloat16", mixed.train_on_batch(y_pred, y_true), expected, 0.02)
        moves = [value for old, new in zip(before, mixed.get_weights(), strict=True) for value in (new - old).ravel()]
        same("the step under mixed_bfloat16 moves weights", any(moves), True)
        same("they stay finite", bool(np.isfinite(moves).all()), True)


def run_metric_test(
    metric_class: type[keras.metrics.Metric],
    init_kwargs: dict[str, Any],
    *,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    expected: float | list[float] | dict[str, float],
) -> None:
    """Checks the properties that every masked metric must have.

    - The config has the constructor's arguments as keys, and recreates the same metric through JSON.
    - The result has the expected value from one batch and from several batches, also after `reset_state`.
    - Sample weights of 1 do not change the result, and images of weight 0 are ignored.
    - `fit` and `evaluate` of a model compiled under `mixed_bfloat16` give the expected value, also after saving and
      loading.

    Args:
        metric_class: The class of the metric, registered with Keras.
        init_kwargs: The arguments of the constructor.
        y_true: `(batch, attributes)` labels of at least four images, some of them unknown.
        y_pred: Predictions, float32, that bfloat16 represents exactly.
        expected: The expected result, with NaN for undefined values.

    Raises:
        AssertionError: One of the properties does not hold.
    """
    metric = metric_class(**init_kwargs)
    check_config(metric, init_kwargs)
    for parts in (1, 2, 4):
        metric.reset_state()
        for labels, predictions in zip(np.array_split(y_true, parts), np.array_split(y_pred, parts), strict=True):
            metric.update_state(labels, predictions)
        _close_results(f"result from {parts} batches", metric.result(), expected)
    metric.reset_state()
    weights = np.array([1.0] * len(y_true) + [0.0] * 2, np.float32)
    metric.update_state(np.concatenate([y_true, 1 - y_true[:2]]), np.concatenate([y_pred, y_pred[:2]]), weights)
    _close_results("result with two more images of weight 0", metric.result(), expected)
    with mixed_precision():
        _check_compiled(metric_class(**init_kwargs), y_true, y_pred, expected)


def _check_compiled(metric: keras.metrics.Metric, y_true: np.ndarray, y_pred: np.ndarray, expected: Any) -> None:
    model = _identity(y_pred)
    model.compile(keras.optimizers.SGD(0.0), "mean_squared_error", metrics=[metric])
    data = {"x": y_pred, "y": y_true.astype("float32"), "batch_size": 2, "verbose": 0}
    history = model.fit(**data, epochs=2).history  # the second epoch must start with a reset state
    for what, one in (("evaluate", model), ("evaluate after loading", _saved(model))):
        results = one.evaluate(**data, return_dict=True)
        results.pop("loss")
        if isinstance(expected, float):
            (results,) = results.values()
        _close_results(what, results if isinstance(expected, dict | float) else results[metric.name], expected)
    if isinstance(expected, float):
        close("the second epoch of fit", history[metric.name][1], expected)


def _close_results(what: str, received: Any, expected: Any) -> None:
    if not isinstance(expected, dict):
        return close(what, received, expected)
    same(f"names of the {what}", sorted(received), sorted(expected))
    for name, value in expected.items():
        close(f"{what}, {name}", received[name], value)


def _identity(values: np.ndarray) -> keras.Model:
    """Returns a model with trainable weights that returns its input."""
    inputs = keras.Input(values.shape[1:])
    layer = keras.layers.Dense(values.shape[-1], kernel_initializer="identity", name="identity")
    return keras.Model(inputs, layer(inputs))


def _saved(model: keras.Model) -> keras.Model:
    """Returns the model after saving and loading."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return keras.saving.load_model(path)
