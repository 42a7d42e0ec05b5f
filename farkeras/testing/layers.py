"""A test that every layer must pass."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import tree

from farkeras.testing.config import check_config, mixed_precision, same

Structure = Any  # arrays, tensors or shapes: one, or lists, tuples and dicts of them


def run_layer_test(
    layer_class: type[keras.layers.Layer],
    init_kwargs: dict[str, Any] | Callable[[], dict[str, Any]],
    *,
    input_shape: Structure | None = None,
    input_data: Structure | None = None,
    expected_output_shape: tuple[Any, ...],
    expected_num_trainable_weights: int,
    expected_num_non_trainable_weights: int,
    call_kwargs: dict[str, Any] | None = None,
) -> None:
    """Checks the properties that every Keras layer must have, on the active Keras backend.

    - The config has the constructor's arguments as keys, and recreates the same layer through JSON.
    - The layer can be built on its own. It has the expected number of weights, and their paths differ.
    - Symbolic and eager calls have the same shapes and dtypes, also according to `compute_output_shape`.
    - A model with the layer has the same outputs after saving as `.keras` and loading.
    - Two compiled training steps change every trainable weight, and all weights stay finite. There are two steps,
      because weights behind a gate that starts at 0 change in the second step only.
    - Under `mixed_bfloat16` the outputs are bfloat16 and nearly the same, and the weights are float32.

    Args:
        layer_class: The class of the layer, registered with Keras.
        init_kwargs: The arguments of the constructor: a dict, or a function that returns one. Pass a function if an
            argument is itself a layer; the test calls it once for each layer that it creates.
        input_shape: Shape of the input including the batch, without None; for several inputs a list or dict of shapes.
            The input is then normally distributed random numbers.
        input_data: The input, instead of `input_shape`, if random numbers are not suitable.
        expected_output_shape: Shape of the output including the batch; a tuple of shapes for several outputs.
        expected_num_trainable_weights: Expected number of trainable weight variables.
        expected_num_non_trainable_weights: Expected number of non-trainable weight variables.
        call_kwargs: Further arguments of the call.

    Raises:
        AssertionError: One of the properties does not hold.
        ValueError: Neither or both of `input_shape` and `input_data` are given.

    Examples:
        >>> run_layer_test(
        ...     CGFF, {"reduction": 2}, input_shape=(2, 3, 8), expected_output_shape=(2, 3, 8),
        ...     expected_num_trainable_weights=3, expected_num_non_trainable_weights=0,
        ... )  # fmt: skip
    """
    if (input_shape is None) == (input_data is None):
        raise ValueError("Set either `input_shape` or `input_data`.")
    call_kwargs = call_kwargs or {}
    keras.utils.set_random_seed(0)
    if input_data is None:
        random = np.random.default_rng(0)
        input_data = tree.map_shape_structure(lambda s: np.float32(random.normal(size=s)), input_shape)
    shapes = tree.map_structure(lambda x: tuple(x.shape), input_data)

    def make_layer() -> keras.layers.Layer:
        return layer_class(**(init_kwargs() if callable(init_kwargs) else init_kwargs))

    check_config(make_layer(), init_kwargs() if callable(init_kwargs) else init_kwargs)
    layer = make_layer()
    layer.build(shapes)
    same("`built` after build()", layer.built, True)
    trainable, others = (
        [w.path for w in weights] for weights in (layer.trainable_weights, layer.non_trainable_weights)
    )
    same(f"number of trainable weights {trainable}", len(trainable), expected_num_trainable_weights)
    same(f"number of non-trainable weights {others}", len(others), expected_num_non_trainable_weights)
    same(f"number of different paths of {trainable + others}", len({*trainable, *others}), len(layer.weights))

    outputs = _check_calls(layer, input_data, call_kwargs, expected_output_shape)
    inputs = tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=str(x.dtype)), input_data)
    model = keras.Model(inputs, tree.flatten(layer(inputs, **call_kwargs)))
    _check_saving(model, input_data, outputs)
    _check_mixed_precision(make_layer, layer, input_data, call_kwargs, outputs)
    if layer.trainable_weights:
        _check_training(model, input_data, outputs)


def _check_calls(
    layer: keras.layers.Layer, input_data: Structure, call_kwargs: dict[str, Any], expected_output_shape: tuple
) -> list[np.ndarray]:
    """Compares symbolic and eager calls, and returns the eager outputs as a flat list."""

    def symbolic_outputs(batch: tuple[int | None, ...]) -> list[keras.KerasTensor]:
        inputs = tree.map_structure(lambda x: keras.KerasTensor((*batch, *x.shape[len(batch) :])), input_data)
        return tree.flatten(layer(inputs, **call_kwargs))

    symbolic, any_batch = symbolic_outputs(()), symbolic_outputs((None,))
    eager = tree.flatten(layer(_tensors(input_data), **call_kwargs))
    expected = [expected_output_shape] if len(eager) == 1 else list(expected_output_shape)
    same("shape of the eager output", [tuple(x.shape) for x in eager], expected)
    same("shape of the symbolic output", [tuple(x.shape) for x in symbolic], expected)
    same("shape with any batch", [tuple(x.shape) for x in any_batch], [(None, *shape[1:]) for shape in expected])
    same("dtype of the symbolic output", _dtypes(symbolic), _dtypes(eager))
    if not call_kwargs:
        shape = layer.compute_output_shape(tree.map_structure(lambda x: tuple(x.shape), input_data))
        shapes = [tuple(shape)] if isinstance(shape[0], int) else [tuple(s) for s in shape]
        same("compute_output_shape", shapes, expected)
    return [keras.ops.convert_to_numpy(x) for x in eager]


def _check_saving(model: keras.Model, input_data: Structure, outputs: list[np.ndarray]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    for before, after in zip(outputs, tree.flatten(loaded(_tensors(input_data))), strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(after), before, rtol=1e-5, atol=1e-6)


def _check_mixed_precision(
    make_layer: Callable[[], keras.layers.Layer],
    layer: keras.layers.Layer,
    input_data: Structure,
    call_kwargs: dict[str, Any],
    outputs: list[np.ndarray],
) -> None:
    with mixed_precision():
        mixed = make_layer()
    mixed.build(tree.map_structure(lambda x: tuple(x.shape), input_data))
    mixed.set_weights(layer.get_weights())
    same("dtypes of the weights under mixed_bfloat16", {w.dtype for w in mixed.trainable_weights} - {"float32"}, set())
    halves = tree.flatten(mixed(_tensors(input_data), **call_kwargs))
    same("dtypes of the output under mixed_bfloat16", _dtypes(halves), ["bfloat16"] * len(outputs))
    for full, half in zip(outputs, halves, strict=True):
        half = keras.ops.convert_to_numpy(keras.ops.cast(half, "float32"))
        # bfloat16 has a precision of 8 bits, so the tolerance is a few units in the last place of the largest value.
        np.testing.assert_allclose(half, full, atol=0.05 * max(np.abs(full).max(), 1e-3))


def _check_training(model: keras.Model, input_data: Structure, outputs: list[np.ndarray]) -> None:
    random = np.random.default_rng(1)
    targets = [random.normal(size=x.shape).astype("float32") for x in outputs]
    before = [keras.ops.convert_to_numpy(w).copy() for w in model.trainable_weights]
    model.compile(keras.optimizers.Adam(0.01), loss=["mse"] * len(targets))
    model.fit(input_data, targets, batch_size=len(targets[0]), epochs=2, verbose=0)
    for weight, value in zip(model.trainable_weights, before, strict=True):
        after = keras.ops.convert_to_numpy(weight)
        same(f"{weight.path} is finite after two training steps", bool(np.isfinite(after).all()), True)
        same(f"{weight.path} moves in two training steps", bool((after != value).any()), True)


def _tensors(data: Structure) -> Structure:
    return tree.map_structure(keras.ops.convert_to_tensor, data)


def _dtypes(tensors: list) -> list[str]:
    return [keras.backend.standardize_dtype(x.dtype) for x in tensors]
