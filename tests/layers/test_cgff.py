"""CGFF: the formula by hand and its properties."""

import numpy as np
import pytest
from keras import ops

from farkeras.layers import CGFF

pytestmark = pytest.mark.core


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def make(channels, groups=3, gamma=None, **arguments):
    layer = CGFF(**arguments)
    layer.build((None, groups, channels))
    if gamma is not None:
        layer.gamma.assign(gamma)
    return layer


def test_starts_as_the_identity():
    g = numbers(2, 3, 8)
    np.testing.assert_array_equal(ops.convert_to_numpy(CGFF()(g)), g)


def test_value_by_hand():
    layer = make(channels=2, groups=2, gamma=0.5, reduction=1)
    layer.query_kernel.assign(np.eye(2))
    layer.key_kernel.assign(np.sqrt(2.0) * np.eye(2))  # undoes 1 / sqrt(d), d = 2
    g = np.array([[[1.0, 0.0], [0.0, np.log(3.0)]]], "float32")
    # G G^T = [[1, 0], [0, (log 3)^2]]
    e, q = np.e, np.exp(np.log(3.0) ** 2)
    fusion = 0.5 * np.array([[e / (e + 1), 1 / (e + 1)], [1 / (1 + q), q / (1 + q)]])
    fused, received = layer(g, return_fusion=True)
    np.testing.assert_allclose(ops.convert_to_numpy(received)[0], fusion, rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(fused)[0], g[0] + fusion @ g[0], rtol=1e-5)


def test_rows_of_the_fusion_add_up_to_gamma():
    fusion = make(channels=8, gamma=-0.7)(numbers(2, 3, 8), return_fusion=True)[1]
    np.testing.assert_allclose(ops.convert_to_numpy(fusion).sum(axis=-1), -0.7, rtol=1e-5)


def test_a_standardized_affinity_does_not_see_what_all_features_share():
    layer, g = make(channels=8, gamma=1.0, standardize=True), numbers(16, 3, 8)
    affinities = [ops.convert_to_numpy(layer(x, return_fusion=True, training=True)[1]) for x in (g, 5 * g + 100)]
    np.testing.assert_allclose(*affinities, atol=2e-3)  # but for the epsilon of batch normalisation
    assert np.ptp(affinities[0], axis=(0, 1)).max() > 0.1  # it depends on the image and on the group
    # The features themselves are passed on as they are.
    fused, fusion = (ops.convert_to_numpy(x) for x in layer(g, return_fusion=True))
    np.testing.assert_allclose(fused, g + fusion @ g, rtol=1e-4, atol=1e-5)


def test_groups_may_come_in_any_order():
    layer, g, order = make(channels=8, groups=5, gamma=1.0), numbers(2, 5, 8), [3, 0, 4, 1, 2]
    fused, permuted = (ops.convert_to_numpy(layer(x)) for x in (g, g[:, order]))
    np.testing.assert_allclose(permuted, fused[:, order], rtol=1e-5, atol=1e-6)


def test_parameters_do_not_depend_on_the_number_of_groups():
    assert make(channels=64, groups=2).count_params() == make(channels=64, groups=9).count_params() == 2 * 64 * 4 + 1


def test_affinity_is_at_least_one_wide():
    assert make(channels=8, reduction=16).query_kernel.shape == (8, 1)


@pytest.mark.parametrize("reduction", [0, -1, 2.5, "16"])
def test_wrong_reduction(reduction):
    with pytest.raises(
        ValueError, match=f"`reduction` must be an integer of at least 1. Received: reduction={reduction}"
    ):
        CGFF(reduction)


def test_input_without_groups_is_refused():
    with pytest.raises(ValueError, match="ndim=3"):
        CGFF()(numbers(2, 8))
