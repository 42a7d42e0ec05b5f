"""The cross-stitch unit: its equation by hand, its start, and what it explains."""

import numpy as np
import pytest
from keras import ops

from farkeras.layers import CrossStitch

pytestmark = pytest.mark.core


def test_value_by_hand():
    layer = CrossStitch()
    g = np.array([[[1.0, 2.0], [10.0, 20.0]]], "float32")
    layer.build(g.shape)
    layer.mixture.assign([[0.5, 0.2], [-1.0, 1.0]])
    mixed, fusion = layer(g, return_fusion=True)
    np.testing.assert_allclose(ops.convert_to_numpy(mixed), [[[2.5, 5.0], [9.0, 18.0]]], rtol=1e-6)
    # What is added to G: half of group 0 is taken away from itself, and a fifth of group 1 is added to it.
    np.testing.assert_allclose(ops.convert_to_numpy(fusion), [[[-0.5, 0.2], [-1.0, 0.0]]], atol=1e-6)


@pytest.mark.parametrize(("groups", "others"), [(1, 0.0), (2, 0.1), (5, 0.025)])
def test_it_starts_near_the_identity(groups, others):
    layer = CrossStitch()
    layer.build((None, groups, 4))
    mixture = ops.convert_to_numpy(layer.mixture)
    own = 0.9 if groups > 1 else 1.0
    np.testing.assert_allclose(mixture, np.where(np.eye(groups), own, others), rtol=1e-6)
    np.testing.assert_allclose(mixture.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("own", [1.5, -0.1, "most", True, float("nan")])
def test_errors(own):
    with pytest.raises(ValueError, match=f"`own` must be a number in 0..1. Received: own={own}"):
        CrossStitch(own=own)
