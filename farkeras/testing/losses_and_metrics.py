"""The tests that every loss and every metric goes through, on whichever Keras backend is active."""

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
    """Checks what a masked loss must do.

    - The constructor's arguments are the config's keys; the config goes through JSON and gives the same loss again.
    - The value is the expected one. Predictions of unknown targets change nothing and get no gradient.
    - `reduction="none"` gives the losses one by one, `"sum"` their sum.
    - Sample weights of 1 change nothing; of 0 for all, they make the loss 0.
    - A model that was compiled with it is the same after saving and loading, and evaluates to the same loss.
    - A compiled training step under `mixed_bfloat16` gives a finite float32 loss.

    Args:
        loss_class: The class, registered with Keras.
        init_kwargs: Arguments of the constructor.
        y_true: Targets with the batch, some unknown.
        y_pred: Predictions, float32.
        unknown: Bool, of the shape of the losses one by one: which targets are unknown.
        expected: The loss.

    Raises:
        AssertionError: Something of the above does not hold.
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
    """Checks what a masked metric must do.

    - The constructor's arguments are the config's keys; the config goes through JSON and gives the same metric again.
    - The result is the expected one, from one batch or from several, and again after `reset_state`.
    - Sample weights of 1 change nothing; images of weight 0 do not count.
    - `fit` and `evaluate` of a model compiled under `mixed_bfloat16` give it, also after saving and loading.

    Args:
        metric_class: The class, registered with Keras.
        init_kwargs: Arguments of the constructor.
        y_true: `(batch, attributes)`, some unknown; four images or more.
        y_pred: Predictions, float32; short binary fractions, which bfloat16 holds exactly.
        expected: The result; NaN for what is undefined.

    Raises:
        AssertionError: Something of the above does not hold.
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
    history = model.fit(**data, epochs=2).history  # two, so that a second epoch starts from nothing
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
    """A model that gives what it is given, with weights that can be trained."""
    inputs = keras.Input(values.shape[1:])
    layer = keras.layers.Dense(values.shape[-1], kernel_initializer="identity", name="identity")
    return keras.Model(inputs, layer(inputs))


def _saved(model: keras.Model) -> keras.Model:
    """The model after saving and loading."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return keras.saving.load_model(path)
