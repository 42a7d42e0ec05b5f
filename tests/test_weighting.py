"""Group weights: DWS, DWA, uncertainty, FAMO and uniform, by hand."""

import itertools
import re

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from farkeras.config import Config
from farkeras.weighting import DWA, DWS, FAMO, TaskWeighting, Uncertainty, get, make_weighting

pytestmark = pytest.mark.core


def weights(weighting):
    return ops.convert_to_numpy(weighting.weights_now())


def update(weighting, losses, present=None, times=1):
    present = present or [1.0] * len(losses)
    for _ in range(times):
        weighting.update(ops.convert_to_tensor(losses, "float32"), ops.convert_to_tensor(present, "float32"))


def test_uniform_is_the_mean_over_attributes():
    weighting = TaskWeighting().build([3, 1])
    np.testing.assert_array_equal(weights(weighting), [1, 1])
    assert float(weighting.total(ops.convert_to_tensor([0.4, 0.8]))) == pytest.approx((3 * 0.4 + 0.8) / 4)


def test_replicas_parts_add_up_to_the_whole():
    for weighting in (TaskWeighting().build([3, 1]), Uncertainty().build([3, 1])):
        if isinstance(weighting, Uncertainty):
            weighting.log_sigma.assign([0.3, -0.2])
        parts = [weighting.total(ops.convert_to_tensor(part), 2) for part in ([0.1, 0.5], [0.3, 0.3])]
        assert float(sum(parts)) == pytest.approx(float(weighting.total(ops.convert_to_tensor([0.4, 0.8]))), rel=1e-6)


def test_dws_gives_weight_to_the_group_that_lags():
    # Seven groups solved (1 % of their loss left), one at 80 %: lags 0.01 and 0.8 over their mean 0.10875, clipped to
    # 1/5 and 5, normalised to a sum of 8.
    weighting = DWS(warmup_steps=1, alpha=0.0, beta=1.0, decay=0.0).build([1] * 8)
    update(weighting, [1.0] * 8)
    update(weighting, [0.01] * 7 + [0.8])
    np.testing.assert_allclose(weights(weighting), [8 * 0.2 / 6.4] * 7 + [8 * 5 / 6.4])
    np.testing.assert_allclose(weights(weighting)[[0, 7]], [0.25, 6.25])


@pytest.mark.parametrize(
    ("alpha", "beta", "expected"),
    [
        (0.0, 0.0, [1.0, 1.0]),
        # First losses 1 and 4, mean 2.5: scales 2.5 and 0.625.
        (1.0, 0.0, [1.6, 0.4]),
        (0.5, 0.0, [2 * 2 / 3, 2 / 3]),
        # What remains is 0.9 and 0.3, mean 0.6: lags 1.5 and 0.5.
        (0.0, 1.0, [1.5, 0.5]),
        (1.0, 1.0, [2 * 3.75 / 4.0625, 2 * 0.3125 / 4.0625]),
    ],
)
def test_dws_equation(alpha, beta, expected):
    weighting = DWS(warmup_steps=1, alpha=alpha, beta=beta, decay=0.0).build([2, 3])
    update(weighting, [1.0, 4.0])
    update(weighting, [0.9, 1.2])
    np.testing.assert_allclose(weights(weighting), expected, rtol=1e-5)


def test_dws_running_mean():
    # Decay 1/2 without bias from the start: (0.25 * 1 + 0.5 * 4) / 0.75.
    weighting = DWS(warmup_steps=9, decay=0.5).build([1, 1])
    update(weighting, [1.0, 2.0])
    np.testing.assert_allclose(ops.convert_to_numpy(weighting.running()), [1, 2], rtol=1e-6)
    update(weighting, [4.0, 2.0])
    np.testing.assert_allclose(ops.convert_to_numpy(weighting.running()), [3, 2], rtol=1e-6)


def test_dws_is_uniform_during_the_warm_up_whose_end_is_the_reference():
    weighting = DWS(warmup_steps=3, alpha=0.0, beta=1.0, decay=0.0).build([1, 1])
    for losses in ([9.0, 9.0], [5.0, 1.0], [1.0, 1.0]):
        np.testing.assert_array_equal(weights(weighting), [1, 1])
        update(weighting, losses)
    update(weighting, [0.5, 1.0])
    np.testing.assert_allclose(ops.convert_to_numpy(weighting.initial), [1, 1])
    np.testing.assert_allclose(weights(weighting), [2 / 3, 4 / 3], rtol=1e-6)


def test_dws_group_absent_from_a_batch_keeps_its_mean():
    weighting = DWS(warmup_steps=1, decay=0.5).build([1, 1])
    update(weighting, [1.0, 2.0])
    update(weighting, [3.0, 0.0], present=[1.0, 0.0], times=4)
    np.testing.assert_allclose(ops.convert_to_numpy(weighting.running())[1], 2.0, rtol=1e-6)


def test_dws_group_never_seen_weighs_as_the_others_on_average():
    weighting = DWS(warmup_steps=1, alpha=0.0, beta=1.0, decay=0.0).build([1, 1, 1])
    update(weighting, [1.0, 1.0, 0.0], present=[1.0, 1.0, 0.0])
    update(weighting, [0.9, 0.3, 0.0], present=[1.0, 1.0, 0.0])
    np.testing.assert_allclose(weights(weighting), [1.5, 0.5, 1.0], rtol=1e-6)


def test_dws_weights_add_up_to_the_number_of_groups():
    weighting = DWS(warmup_steps=2, alpha=0.7, beta=0.9).build([2] * 8)
    random = np.random.default_rng(0)
    for _ in range(6):
        update(weighting, list(random.uniform(0.01, 2, 8)))
        assert weights(weighting).sum() == pytest.approx(8, rel=1e-5)
        assert (weights(weighting) > 0).all()


def test_dws_weights_are_no_path_for_gradients():
    weighting = DWS(warmup_steps=1, decay=0.0).build([1, 1])
    update(weighting, [1.0, 2.0])
    update(weighting, [0.9, 0.5])
    losses = tf.Variable([0.9, 0.5])
    with tf.GradientTape() as tape:
        total = weighting.total(losses)
    np.testing.assert_allclose(tape.gradient(total, losses), weights(weighting) / 2, rtol=1e-6)


def test_dwa_equation():
    weighting = DWA(steps_per_epoch=2, temperature=2.0).build([1, 1])
    for first, second in (((2.0, 1.0), (4.0, 3.0)), ((1.0, 1.0), (2.0, 3.0))):  # epoch means (3, 2), then (1.5, 2)
        for losses in (first, second):
            np.testing.assert_array_equal(weights(weighting), [1, 1])
            update(weighting, list(losses))
    rates = np.array([1.5 / 3, 2 / 2])
    expected = 2 * np.exp(rates / 2) / np.exp(rates / 2).sum()
    np.testing.assert_allclose(weights(weighting), expected, rtol=1e-6)
    update(weighting, [99.0, 0.1])  # held for an epoch
    np.testing.assert_allclose(weights(weighting), expected, rtol=1e-6)


def test_dwa_mean_is_over_the_steps_that_had_labels():
    weighting = DWA(steps_per_epoch=2).build([1, 1])
    update(weighting, [2.0, 4.0])
    update(weighting, [2.0, 0.0], present=[1.0, 0.0])
    np.testing.assert_allclose(ops.convert_to_numpy(weighting.last), [2, 4])


def test_uncertainty():
    # sum n_g (L_g / (2 s_g^2) + log s_g) / sum n_g with s = (2, 1), n = (3, 1); d/dlog s = n_g (1 - L_g / s_g^2) / 4.
    weighting = Uncertainty().build([3, 1])
    weighting.log_sigma.assign([np.log(2), 0.0])
    with tf.GradientTape() as tape:
        total = weighting.total(tf.constant([0.8, 0.6]))
    assert float(total) == pytest.approx((3 * (0.8 / 8 + np.log(2)) + 0.3) / 4)
    gradient = tape.gradient(total, weighting.log_sigma.value)
    np.testing.assert_allclose(gradient, [3 * (1 - 0.8 / 4) / 4, (1 - 0.6) / 4], rtol=1e-6)
    assert [v.name for v in weighting.trainable_variables] == ["log_sigma"]


def test_famo_weighs_with_the_inverse_of_the_loss():
    weighting = FAMO().build([1, 1])
    np.testing.assert_array_equal(weights(weighting), [1, 1])
    update(weighting, [1.0, 4.0])
    np.testing.assert_allclose(weights(weighting), [2 * 0.8, 2 * 0.2], rtol=1e-6)


def test_famo_follows_its_equation():
    # Two steps of Adam by hand, with the Jacobian of the softmax, diag(z) - z z^T, written out.
    weighting, xi = FAMO(learning_rate=0.1, decay=0.05).build([2, 1]), np.zeros(2)
    losses, mean, square = [[1.0, 1.0], [0.5, 0.9], [0.4, 0.8]], 0.0, 0.0
    for step, (before, after) in enumerate(itertools.pairwise(losses), start=1):
        update(weighting, before) if step == 1 else None
        update(weighting, after)
        z = np.exp(xi) / np.exp(xi).sum()
        gradient = (np.diag(z) - np.outer(z, z)) @ (np.log(before) - np.log(after)) + 0.05 * xi
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        xi = xi - 0.1 * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        np.testing.assert_allclose(ops.convert_to_numpy(weighting.logits), xi, rtol=1e-4)
        expected = np.exp(xi) / after
        np.testing.assert_allclose(weights(weighting), 2 * expected / expected.sum(), rtol=1e-4)
    assert xi[1] > xi[0]  # its loss falls more slowly


def test_famo_group_without_labels_weighs_as_the_others_on_average():
    weighting = FAMO().build([1, 1, 1])
    update(weighting, [1.0, 2.0, 0.0], present=[1.0, 1.0, 0.0], times=3)
    w = weights(weighting)
    assert w[2] == pytest.approx((w[0] + w[1]) / 2)
    assert w.sum() == pytest.approx(3)
    before = ops.convert_to_numpy(weighting.last).copy()
    update(weighting, [1.0, 0.0, 0.0], present=[1.0, 0.0, 0.0])
    np.testing.assert_array_equal(weighting.last, before)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("uniform", TaskWeighting), ("dws", DWS), ("dwa", DWA), ("uncertainty", Uncertainty), ("famo", FAMO)],
)
def test_by_the_setting(name, kind):
    config = Config(weighting=name, weighting_warmup_epochs=0.5, dws_alpha=0.1, dws_beta=0.2, dwa_temperature=3.0)
    weighting = make_weighting(config, steps_per_epoch=30.4)
    assert type(weighting) is kind
    if name == "dws":
        assert (weighting.warmup_steps, weighting.alpha, weighting.beta, weighting.decay) == (15, 0.1, 0.2, 0.99)
        assert make_weighting(config, steps_per_epoch=2).warmup_steps == 10  # a mean of fewer steps is no measure
    if name == "dwa":
        assert (weighting.steps_per_epoch, weighting.temperature) == (30, 3.0)


@pytest.mark.parametrize("name", ["uniform", "dws", "dwa", "uncertainty", "famo"])
def test_float64(name):
    weighting = make_weighting(Config(weighting=name), 1).build([1, 1], "float64")
    weighting.update(tf.constant([1.0, 2.0], tf.float64), tf.constant([1.0, 1.0], tf.float64))
    assert weighting.total(tf.constant([1.0, 2.0], tf.float64)).dtype == tf.float64


def test_a_weighting_is_of_one_training():
    weighting = DWS().build([1, 1])
    with pytest.raises(ValueError, match="This DWS object already has the state of another training"):
        weighting.build([1, 1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DWS(alpha=2), "`alpha` must be a number from 0 to 1. Received: alpha=2"),
        (lambda: DWS(decay=1.0), "`decay` must be a number from 0 to 0.99999. Received: decay=1.0"),
        (lambda: DWA(9, temperature=0), "`temperature` must be a number from 0.01"),
        (
            lambda: get("dwa"),
            "needs the number of steps per epoch. Use `weighting=farkeras.weighting.DWA(steps_per_epoch=...)`",
        ),
        (lambda: get("dsw"), "`weighting` must be one of uniform, dws, uncertainty, famo, or an object"),
        (lambda: FAMO(learning_rate=-1), "`learning_rate` must be a number from 0 to inf. Received: learning_rate=-1"),
        (lambda: FAMO(decay=-1), "`decay` must be a number from 0 to inf. Received: decay=-1"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("make", [lambda: DWS(warmup_steps=1), lambda: DWA(steps_per_epoch=1), FAMO])
def test_a_loss_that_is_not_finite_leaves_no_trace(make):
    weightings = [make().build([1, 1]) for _ in range(2)]
    for weighting, bad in zip(weightings, (np.inf, 2.0), strict=True):
        update(weighting, [1.0, 2.0])
        update(weighting, [0.5, bad], present=[1.0, float(np.isfinite(bad)) * 0.0])
        update(weighting, [0.5, 1.0])
    for after, expected in zip(*(weighting.variables for weighting in weightings), strict=True):
        np.testing.assert_array_equal(after, expected)


def test_dws_of_a_loss_below_0_weighs_as_the_others_on_average():
    weighting = DWS(warmup_steps=1, alpha=1.0, beta=0.0).build([1, 1, 1])
    update(weighting, [1.0, 4.0, -9.0])
    np.testing.assert_allclose(weights(weighting), [1.6, 0.4, 1.0], rtol=1e-5)
