"""Private channels: the equation by hand, one convolution for all groups, and the errors."""

import numpy as np
import pytest
from keras import ops

from farkeras.layers import PrivateChannels

pytestmark = pytest.mark.core


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_value_by_hand():
    # Two pixels, two channels; group 0 has the channel x0 + x1, group 1 the channel x0 - x1.
    x = np.array([[[[1.0, 2.0], [3.0, 0.0]]]], "float32")
    layer = PrivateChannels(num_groups=2, channels=1, heads=1)
    layer.build(x.shape)
    layer.convolution.kernel.assign([[[[1.0, 1.0], [1.0, -1.0]]]])
    layer.norm.moving_mean.assign([1.0, 0.0])
    layer.norm.moving_variance.assign([4.0, 1.0])
    # Group 0: (3 - 1) / 2 = 1 at both pixels. Group 1: -1 and 3, so relu gives 0 and 3.
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), [[[1.0], [1.5]]], rtol=1e-3)


def test_each_head_looks_at_what_it_prefers():
    # Channel 0 shows where, channel 1 shows what. The first head of group 0 looks at the second pixel, the others at
    # both pixels alike.
    x = np.array([[[[0.0, 2.0], [1.0, 6.0]]]], "float32")
    layer = PrivateChannels(num_groups=2, channels=2, heads=2)
    layer.build(x.shape)
    layer.convolution.kernel.assign([[[[0.0] * 4, [1.0] * 4]]])
    layer.feature_kernel.assign([[50.0, 0.0, 0.0, 0.0], [0.0] * 4])
    pooled, attention = layer(x, return_attention=True)
    np.testing.assert_allclose(ops.convert_to_numpy(pooled), [[[6.0, 4.0], [4.0, 4.0]]], rtol=1e-3)
    np.testing.assert_allclose(ops.convert_to_numpy(attention), [[[[0.25, 0.75]], [[0.5, 0.5]]]], rtol=1e-3)


def test_a_head_can_prefer_a_region_whatever_is_there():
    layer = PrivateChannels(num_groups=1, channels=2, heads=2)
    x = numbers(1, 4, 6, 3)
    layer.build(x.shape)
    # Number 0 falls from left to right, number 3 from the top to the bottom.
    for number, region in ((0, np.s_[:, 0]), (3, np.s_[0, :])):
        kernel = np.zeros((15, 2), "float32")
        kernel[number] = 50.0
        layer.position_kernel.assign(kernel)
        _, attention = layer(x, return_attention=True)
        assert ops.convert_to_numpy(attention)[0, 0][region].sum() > 0.99


def test_groups_read_the_same_map_and_share_nothing_else():
    layer = PrivateChannels(num_groups=3, channels=4, heads=2)
    x = numbers(2, 5, 4, 8)
    before = ops.convert_to_numpy(layer(x))
    kernel = ops.convert_to_numpy(layer.convolution.kernel).copy()
    kernel[..., 4:8] *= -1
    layer.convolution.kernel.assign(kernel)
    changed = (ops.convert_to_numpy(layer(x)) != before).any(axis=(0, 2))
    np.testing.assert_array_equal(changed, [False, True, False])


@pytest.mark.parametrize("name", ["num_groups", "channels", "heads"])
@pytest.mark.parametrize("value", [0, 2.0])
def test_errors(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1. Received: {name}={value}"):
        PrivateChannels(**{"num_groups": 2, "channels": 4, "heads": 2, name: value})


def test_channels_that_the_heads_cannot_share():
    with pytest.raises(ValueError, match=r"`channels` must be a multiple of heads=8\. Received: channels=12"):
        PrivateChannels(num_groups=2, channels=12)


def test_input_without_a_map_is_refused():
    with pytest.raises(ValueError, match="ndim=4"):
        PrivateChannels(num_groups=2, channels=8)(numbers(2, 8))
