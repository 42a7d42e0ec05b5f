"""Splits by hash: near the shares asked for, and the same for ever."""

import numpy as np

from farkeras.data.sources.splits import assign_splits


def test_shares():
    split = assign_splits((f"{i:06}.jpg" for i in range(20_000)), (0.7, 0.2, 0.1))
    assert split.dtype == np.int8
    np.testing.assert_allclose(np.bincount(split) / len(split), [0.7, 0.2, 0.1], atol=0.01)
    assert set(assign_splits(map(str, range(1000)), (0.5, 0, 0.5)).tolist()) == {0, 2}


def test_the_splits_of_some_keys_never_change():
    # Else a model would be measured on what it was trained on.
    assert assign_splits(["a", "b", "photos/ü.jpg", "", *map(str, range(8))], (0.4, 0.3, 0.3)).tolist() == [
        *[0, 1, 0, 2],
        *[2, 2, 0, 2, 2, 2, 1, 1],
    ]
