"""A share of the examples."""

import numpy as np
import pytest

from farkeras.data.examples import Examples


def examples(number):
    return Examples(("a",), np.array([f"{i}.jpg" for i in range(number)]), np.arange(number, dtype=np.int8)[:, None])


def rows(number, fraction):
    return examples(number).share(fraction).labels[:, 0].tolist()


def test_a_share_is_the_same_at_each_call_and_part_of_each_larger_one():
    tenth, half = rows(100, 0.1), rows(100, 0.5)
    assert (len(tenth), len(half)) == (10, 50)
    assert tenth == rows(100, 0.1) == sorted(tenth)
    assert set(tenth) < set(half)
    assert tenth != list(range(10))  # not the first ones, which may be those of one person


@pytest.mark.parametrize(("number", "fraction", "left"), [(100, 1.0, 100), (3, 0.0001, 1), (7, 0.5, 4), (1, 0.2, 1)])
def test_how_many(number, fraction, left):
    assert len(rows(number, fraction)) == left


def test_all_is_the_split_itself():
    split = examples(9)
    assert split.share(1.0) is split
