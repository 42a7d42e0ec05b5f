"""Folds of about equal size that keep the images of a person together."""

import numpy as np
import pytest

from farkeras.data.folds import assign_folds
from farkeras.errors import FarkerasError


def test_images_of_unknown_people_are_spread_evenly():
    folds = assign_folds(np.full(11, ""), 3, seed=0)
    assert sorted(np.bincount(folds).tolist()) == [3, 4, 4]
    np.testing.assert_array_equal(folds, assign_folds(np.full(11, ""), 3, seed=0))
    assert (folds != assign_folds(np.full(11, ""), 3, seed=1)).any()


def test_a_person_is_in_one_fold():
    people = np.array([f"p{number % 40}" for number in range(200)] + [""] * 40)
    folds = assign_folds(people, 4, seed=0)
    for person in set(people.tolist()) - {""}:
        assert len(set(folds[people == person].tolist())) == 1
    assert np.ptp(np.bincount(folds)) <= 5  # the images of one person
    assert len(set(folds[people == ""].tolist())) == 4


@pytest.mark.parametrize("folds", [1, 4])
def test_a_number_of_folds_that_is_impossible(folds):
    with pytest.raises(FarkerasError, match=rf"`folds` must be .* the number of people, 3\. Received: {folds}\."):
        assign_folds(np.array(["a", "b", "", "a"]), folds, seed=0)
