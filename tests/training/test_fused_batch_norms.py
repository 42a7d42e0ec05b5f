"""Batch normalisation in one operation: the values, gradients and statistics of Keras's layer, in bfloat16 alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from farkeras.models.batch_norms import batch_norms
from farkeras.training.building import Run, open_data
from farkeras.training.fused_batch_norms import fuse_batch_norms
from farkeras.training.loop import run_phases
from tests.training.small_run import small_config

pytestmark = pytest.mark.core


def normalising(dtype="mixed_bfloat16", shape=(7, 5, 6), **options):
    inputs = keras.Input(shape)
    outputs = keras.layers.BatchNormalization(momentum=0.8, dtype=dtype, **options)(inputs)
    return keras.Model(inputs, outputs)


def step(model, images, direction):
    """Returns the output of a training step, the gradients of output times direction, and the weights after it."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = tf.cast(model(images, training=True), tf.float32)
        total = tf.reduce_sum(outputs * direction)
    gradients = tape.gradient(total, [images, *(v.value for v in model.trainable_variables)])
    return [outputs, *gradients, *model.get_weights()]


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_a_training_step_is_that_of_keras(options):
    random = np.random.default_rng(0)
    ours, theirs = normalising(**options), normalising(**options)
    fuse_batch_norms(ours)
    for _ in range(2):  # the second step moves statistics that are no longer 0 and 1
        images = tf.constant(random.normal(2, 3, (4, 7, 5, 6)), tf.float32)
        direction = tf.constant(random.normal(0, 1, (4, 7, 5, 6)), tf.float32)
        for mine, other in zip(step(ours, images, direction), step(theirs, images, direction), strict=True):
            np.testing.assert_allclose(mine, other, atol=0.01 * np.abs(other).max())  # bfloat16 has steps of 0.4 %
    # The statistics are float32: the variance is that over n values, not n - 1.
    for mine, other in zip(ours.non_trainable_variables, theirs.non_trainable_variables, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5)
    np.testing.assert_array_equal(ours(images, training=False), theirs(images, training=False))


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("float32", {"dtype": "float32"}),
        ("float64", {"dtype": "float64"}),
        ("statistics of all replicas", {"synchronized": True}),
        ("vectors", {"shape": (6,)}),
        ("channels first", {"axis": 1}),
    ],
)
def test_other_layers_stay(what, options):
    model = normalising(**options)
    fuse_batch_norms(model)
    assert ["call" in vars(layer) for layer in batch_norms(model)] == [False], what


def test_a_frozen_layer_uses_its_statistics():
    model = normalising()
    fuse_batch_norms(model)
    model.layers[-1].trainable = False
    images = tf.fill((4, 7, 5, 6), 3.0)
    np.testing.assert_allclose(tf.cast(model(images, training=True), tf.float32), 3, rtol=0.01)  # mean 0, variance 1
    np.testing.assert_array_equal(model.layers[-1].moving_mean, np.zeros(6))


def test_a_run_in_bfloat16_trains_with_it_and_saves_a_plain_model(faces_dir, tmp_path):
    config = small_config(faces_dir, precision="bfloat16", epochs=0.2)
    run = Run(config, tmp_path, open_data(config))
    assert all("call" in vars(norm) for norm in batch_norms(run.model))
    run_phases(run)
    (function,) = run.phases[-1].step.run._list_all_concrete_functions()
    operations = [node.op for body in function.graph.as_graph_def().library.function for node in body.node_def]
    assert operations.count("FusedBatchNormV3") == len(batch_norms(run.model))
    saved = keras.saving.load_model(tmp_path / "model.keras")
    assert not any("call" in vars(norm) for norm in batch_norms(saved))
