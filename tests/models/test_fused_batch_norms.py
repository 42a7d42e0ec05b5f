"""Batch normalisation in one operation: the training step, statistics and files of Keras's layer."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from farkeras.models.batch_norms import batch_norms
from farkeras.models.fused_batch_norms import fuse_batch_norms
from farkeras.models.multi_task import MultiTaskModel

pytestmark = pytest.mark.core
values = ops.convert_to_numpy
needs_fused = pytest.mark.skipif(keras.backend.backend() == "torch", reason="on PyTorch, Keras's operations are used")


def normalising(dtype="float32", kind=keras.Model, **options):
    """A normalisation between two convolutions, so that its gradients reach weights."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((7, 5, 6))
    x = layers.Conv2D(6, 3, use_bias=False, dtype=dtype, name="before")(inputs)
    x = layers.BatchNormalization(momentum=0.8, dtype=dtype, name="norm", **options)(x)
    x = layers.Conv2D(4, 3, activation="relu", dtype=dtype, name="after")(x)
    return kind(inputs, {"size": layers.Dense(1, dtype="float32", name="size")(layers.Flatten(dtype=dtype)(x))})


def train(model, steps=3):
    """Trains on images whose channels have means far from 0, and returns the weights."""
    random = np.random.default_rng(0)
    for _ in range(steps):
        images = random.normal((0, 2, 4, 8, 20, 50), 3, (8, 7, 5, 6)).astype("float32")
        keras.Model.train_on_batch(model, images, {"size": images.std(axis=(1, 2, 3))[:, None] - 18})
    return {weight.path: values(weight).astype("float32") for weight in model.weights}


@needs_fused
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"epsilon": 0.5}])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("mixed_bfloat16", 0.03)])
def test_training_steps_are_those_of_keras(dtype, tolerance, options):
    ours, theirs = normalising(dtype, **options), normalising(dtype, **options)
    fuse_batch_norms(ours)
    for model in (ours, theirs):
        model.compile(keras.optimizers.SGD(0.01), "mean_squared_error")
    start = {weight.path: values(weight).astype("float32") for weight in ours.weights}
    mine, other = train(ours), train(theirs)
    for path, value in other.items():
        moved = np.abs(value - start[path]).max()
        assert moved > 0, path
        np.testing.assert_allclose(mine[path], value, atol=tolerance * moved, err_msg=path)
    images = np.full((2, 7, 5, 6), 3.0, "float32")
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(*(values(model(images, training=False)["size"]) for model in (ours, theirs)))


@needs_fused
@pytest.mark.parametrize(("dtype", "mean", "deviation"), [("bfloat16", 2, 3), ("float32", 1000, 1), ("uint8", 100, 9)])
def test_the_first_step_has_the_statistics_of_its_batch(dtype, mean, deviation):
    images = np.random.default_rng(0).normal(mean, deviation, (4, 7, 5, 6)).astype("float32")
    images = values(ops.cast(images, dtype))
    layer = layers.BatchNormalization(momentum=0.8, dtype="mixed_bfloat16" if dtype == "bfloat16" else "float32")
    model = keras.Model(inputs := keras.Input((7, 5, 6), dtype=dtype), layer(inputs))
    fuse_batch_norms(model)
    outputs = values(ops.cast(layer(ops.convert_to_tensor(images), training=True), "float32"))
    numbers = values(ops.cast(images, "float32")).astype("float64")
    mean, variance = numbers.mean(axis=(0, 1, 2)), numbers.var(axis=(0, 1, 2))  # over n values, not n - 1
    np.testing.assert_allclose(values(layer.moving_mean), 0.2 * mean, rtol=1e-5)
    np.testing.assert_allclose(values(layer.moving_variance), 0.8 + 0.2 * variance, rtol=1e-5)
    expected = (numbers - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(outputs, expected, atol=0.02 if dtype == "bfloat16" else 1e-3)


class Loud(layers.BatchNormalization):
    """A class of a user's own."""


class Unused(layers.Layer):
    """A layer that never calls its normalisation."""

    def __init__(self):
        super().__init__()
        self.norm = layers.BatchNormalization()

    def build(self, input_shape):
        pass

    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("what", "shape", "options"),
    [
        ("float64", (7, 5, 6), {"dtype": "float64"}),
        ("float16", (7, 5, 6), {"dtype": "mixed_float16"}),
        ("variables in bfloat16", (7, 5, 6), {"dtype": "bfloat16"}),
        ("renormalisation", (7, 5, 6), {"renorm": True}),
        ("vectors", (6,), {}),
        ("channels first", (7, 5, 6), {"axis": 1}),
    ],
)
def test_other_layers_stay(what, shape, options):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layers.BatchNormalization(**options)(inputs))
    fuse_batch_norms(model)
    assert ["call" in vars(layer) for layer in batch_norms(model)] == [False], what


@needs_fused
def test_a_layer_that_averages_over_replicas_stays():
    model = normalising()
    model.get_layer("norm").synchronized = True
    fuse_batch_norms(model)
    assert "call" not in vars(model.get_layer("norm"))


@pytest.mark.parametrize("layer", [Loud, Unused])
def test_layers_of_a_user_stay(layer):
    inputs = keras.Input((7, 5, 6))
    model = keras.Model(inputs, layer()(inputs))
    fuse_batch_norms(model)
    assert ["call" in vars(norm) for norm in batch_norms(model)] == [False]


def test_a_frozen_layer_uses_its_statistics():
    model = normalising()
    fuse_batch_norms(model)
    norm = model.get_layer("norm")
    norm.trainable = False
    images = np.full((4, 7, 5, 6), 3.0, "float32")
    np.testing.assert_allclose(values(norm(images, training=True)), 3, rtol=0.01)  # mean 0, variance 1
    np.testing.assert_array_equal(values(norm.moving_mean), np.zeros(6))


def test_compile_fuses_and_the_file_is_a_plain_model(tmp_path):
    model = normalising(kind=MultiTaskModel)
    model.compile("sgd", {"size": "mean_squared_error"})
    fused = keras.backend.backend() != "torch"
    assert ["call" in vars(norm) for norm in batch_norms(model)] == [fused]
    train(model)
    model.save(tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert not any("call" in vars(norm) for norm in batch_norms(saved))
    images = np.random.default_rng(0).normal(2, 3, (2, 7, 5, 6)).astype("float32")
    np.testing.assert_array_equal(*(values(m(images, training=False)["size"]) for m in (model, saved)))
