"""Learning rates, what weight decay leaves alone, and averaged weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.models import FARAMTN
from farkeras.training.optimizers import WarmupSchedule, averaged_weights, make_optimizer
from farkeras.weighting import Uncertainty

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("cosine", [0.25, 0.5, 0.75, 1.0, 0.75, 0.25, 0.0, 0.0]),
        ("linear", [0.25, 0.5, 0.75, 1.0, 2 / 3, 1 / 3, 0.0, 0.0]),
        ("constant", [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_schedule(decay, expected):
    schedule = WarmupSchedule(2.0, total_steps=6, warmup_steps=3, decay=decay)
    rates = [float(schedule(step)) for step in range(8)]
    np.testing.assert_allclose(rates, 2.0 * np.array(expected), atol=1e-6)
    assert WarmupSchedule.from_config(schedule.get_config()).get_config() == schedule.get_config()


def test_schedule_without_warm_up_starts_at_the_peak():
    assert float(WarmupSchedule(2.0, total_steps=6)(0)) == 2.0


def small_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="stem")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    backbone = keras.Model(inputs, keras.layers.DepthwiseConv2D(3, name="last")(x))
    return FARAMTN(Grouping({"first": ("a",), "second": ("b",)}), backbone=backbone)


def apply(optimizer, variables, gradient=0.0):
    optimizer.apply([tf.fill(v.shape, gradient) for v in variables], variables)


def test_warm_up_is_shorter_than_the_run():
    optimizer = make_optimizer(Config(warmup_epochs=5), [keras.Variable([1.0])], total_steps=4, steps_per_epoch=10)
    assert optimizer._learning_rate.warmup_steps == 3


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weight_decay_shrinks_kernels_only(name):
    model = small_model()
    variables = model.trainable_variables
    config = Config(optimizer=name, weight_decay=0.1, learning_rate=0.5, schedule="constant", warmup_epochs=0)
    for variable in variables:
        variable.assign(ops.ones(variable.shape))
    apply(make_optimizer(config, variables, 10, 5), variables)
    after = {v.path: float(ops.mean(v)) for v in variables}
    decayed = {path for path, value in after.items() if value < 1}
    assert decayed == {path for path in after if "kernel" in path}
    np.testing.assert_allclose([after[path] for path in decayed], 1 - 0.5 * 0.1, rtol=1e-6)
    assert {"stem/bias", "norm/gamma", "norm/beta", "cgff/gamma", "wsgsa/squeeze_bias"} <= set(after) - decayed


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(momentum):
    optimizer = make_optimizer(Config(optimizer="sgd", momentum=momentum), [keras.Variable([1.0])], 10, 5)
    assert (optimizer.momentum, optimizer.nesterov) == (momentum, momentum > 0)


def test_averaged_weights():
    config = Config(
        optimizer="sgd",
        momentum=0.0,
        weight_decay=0.0,
        learning_rate=1.0,
        schedule="constant",
        warmup_epochs=0,
        ema_decay=0.75,
    )
    model, weighting = small_model(), Uncertainty().build([1, 1])
    variables = model.trainable_variables + weighting.trainable_variables
    optimizer = make_optimizer(config, variables, 10, 5)
    first = model.get_weights()
    for _ in range(3):
        apply(optimizer, variables, gradient=1.0)
    trained, log_sigma = model.get_weights(), weighting.log_sigma.numpy()
    # After the steps the weights are w - 1, w - 2, w - 3; the average starts at the first of them.
    average = 0.75 * (0.75 * -1 + 0.25 * -2) + 0.25 * -3
    for weight, before, averaged in zip(
        model.weights, first, averaged_weights(optimizer, model.trainable_variables, model), strict=True
    ):
        np.testing.assert_allclose(averaged, before + (average if weight.trainable else 0), atol=1e-6)
    # The run itself goes on with the trained values.
    for now, then in zip(model.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(weighting.log_sigma.numpy(), log_sigma)


def test_without_averaging_the_trained_weights_are_used():
    model = small_model()
    optimizer = make_optimizer(Config(), model.trainable_variables, 10, 5)
    for averaged, weight in zip(
        averaged_weights(optimizer, model.trainable_variables, model), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(averaged, weight)


def test_averages_of_a_model_trained_with_learned_loss_weights():
    model, weighting = small_model(), Uncertainty().build([1, 1])
    variables = model.trainable_variables + weighting.trainable_variables
    optimizer = make_optimizer(Config(ema_decay=0.5, learning_rate=0.1), variables, 10, 5)
    apply(optimizer, variables, 1.0)
    before = [keras.ops.convert_to_numpy(v) for v in variables]
    assert len(averaged_weights(optimizer, variables, model)) == len(model.weights)
    for value, variable in zip(before, variables, strict=True):
        np.testing.assert_array_equal(value, variable)
