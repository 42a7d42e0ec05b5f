"""Contradictions in answers and labels, and the most probable answers without one, against a search of all answers."""

import itertools

import numpy as np
import pytest

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.consistency.answers import Consistency
from farkeras.consistency.rules import Contradiction
from farkeras.errors import FarkerasError

BEARD = ("No_Beard", "Goatee", "Mustache")
RULES = [Contradiction(("No_Beard", "Goatee")), Contradiction(("No_Beard", "Mustache"))]


def test_contradictions_in_labels():
    consistency = Consistency(("A", "B", "C"), [Contradiction(("A", "B")), Contradiction(("A",), ("C",))])
    labels = [[1, 1, 1], [1, 0, 0], [1, -1, -1], [0, 1, 0]]  # an unknown label contradicts nothing
    assert consistency.found(labels).tolist() == [[True, False], [False, True], [False, False], [False, False]]


def test_rules_of_other_attributes_are_ignored_and_counted():
    consistency = Consistency(("No_Beard", "Goatee", "Scar"))
    assert list(map(str, consistency.contradictions)) == ["No_Beard with Goatee"]
    assert consistency.ignored == 17
    assert Consistency(("Scar",)).answers([[0.7]]).tolist() == [[True]]


def test_the_most_probable_allowed_combination():
    """0.6 of no beard is less than 0.7 of a goatee, and also less than 0.55 and 0.55 of two forms together."""
    consistency = Consistency(BEARD, RULES)
    answers = consistency.answers([[0.6, 0.7, 0.1], [0.55, 0.54, 0.54], [0.9, 0.55, 0.55], [0.2, 0.9, 0.9]])
    assert answers.tolist() == [[False, True, False], [False, True, True], [True, False, False], [False, True, True]]


def test_odds_count_relative_to_the_threshold():
    """0.6 is 6 times the odds of 0.2, and 0.7 is 2.3 times those of 0.5: the first answer stands."""
    consistency = Consistency(("No_Beard", "Goatee"), RULES[:1])
    assert consistency.answers([[0.6, 0.7]]).tolist() == [[False, True]]
    assert consistency.answers([[0.6, 0.7]], [0.2, 0.5]).tolist() == [[True, False]]


def test_ties_change_few_answers_and_keep_the_first_attributes():
    consistency = Consistency(BEARD, RULES)
    # Both are certain, as a float32 probability may be. At 50 %, a changed moustache costs nothing but is a change.
    assert consistency.answers([[1, 1, 0.5], [1, 1, 0.1]]).tolist() == [[False, True, True], [True, False, False]]
    three = Consistency(
        ("A", "B", "C"), [Contradiction(("A", "B")), Contradiction(("B", "C")), Contradiction(("A", "C"))]
    )
    assert three.answers([[0.7, 0.7, 0.7]]).tolist() == [[True, False, False]]


def test_a_search_of_all_answers_finds_the_same():
    rules = [
        Contradiction(("A", "B")),
        Contradiction(("B",), ("C",)),
        Contradiction((), ("C", "D")),
        Contradiction(("D", "E")),
        Contradiction(("F", "G")),
    ]
    names, random = tuple("ABCDEFGH"), np.random.default_rng(0)
    consistency = Consistency(names, rules)
    probabilities, thresholds = random.random((200, 8)), random.uniform(0.2, 0.8, 8)
    every = np.array(list(itertools.product([False, True], repeat=8)))
    allowed = every[~consistency.found(every).any(axis=1)]
    relative = np.log(probabilities / (1 - probabilities)) - np.log(thresholds / (1 - thresholds))
    expected = allowed[(relative @ allowed.T).argmax(axis=1)]
    found = consistency.answers(probabilities, thresholds)
    np.testing.assert_array_equal(found, expected)
    assert not consistency.found(found).any()
    unchanged = ~consistency.found(probabilities >= thresholds).any(axis=1)
    assert 0 < unchanged.sum() < 200
    np.testing.assert_array_equal(found[unchanged], (probabilities >= thresholds)[unchanged])


def test_an_image_has_the_same_answers_in_every_batch():
    consistency, random = Consistency(CELEBA_ATTRIBUTES), np.random.default_rng(1)
    probabilities = random.random((300, 40)).astype(np.float32).round(1)  # with many ties
    together = consistency.answers(probabilities)
    assert not consistency.found(together).any()
    np.testing.assert_array_equal(together, np.concatenate([consistency.answers(row[None]) for row in probabilities]))


def test_rules_that_cannot_be_kept_and_rules_of_too_many_attributes():
    many = [f"A{number}" for number in range(20)]
    with pytest.raises(
        FarkerasError, match=r"connect 20 attributes \(A0, A1, A2 and 17 more\) and allow more than 10,0"
    ):
        Consistency(many, [Contradiction((many[0], other)) for other in many[1:]])
    # At most one of many is no problem.
    one = Consistency(many, [Contradiction(pair) for pair in itertools.combinations(many, 2)])
    assert one.answers(np.full((1, 20), 0.9)).sum() == 1
    never = [
        Contradiction((), ("A", "B")),
        Contradiction(("A", "B")),
        Contradiction(("A",), ("B",)),
        Contradiction(("B",), ("A",)),
    ]
    with pytest.raises(FarkerasError, match=r"allow no answers for A, B\. Remove one of the rules"):
        Consistency(("A", "B"), never)
