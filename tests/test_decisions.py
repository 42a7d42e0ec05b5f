"""From a probability to an answer: the threshold, and how sure the answer is."""

import numpy as np
import pytest

from farkeras.consistency.answers import Consistency
from farkeras.consistency.rules import Contradiction
from farkeras.decisions import Calibration, check_calibrate, check_share, confidence, decide, thresholds_of
from farkeras.errors import FarkerasError


@pytest.mark.parametrize(
    ("probability", "threshold", "expected"),
    [
        (0.9, 0.5, 0.9),  # at 50 %, the probability of the answer
        (0.1, 0.5, 0.9),
        (0.2, 0.2, 0.5),  # at the threshold, the answer could as well be the other
        (0.5, 0.2, 0.8),  # odds 1 over odds 1/4: 4 to 1
        (0.1, 0.2, 9 / 13),  # odds 1/9 over odds 1/4: 4 to 9
        (1.0, 0.5, 1.0),
        (0.0, 0.0, 0.5),
        (0.3, 1.0, 1.0),
    ],
)
def test_confidence_compares_the_odds_with_those_at_the_threshold(probability, threshold, expected):
    assert confidence(probability, threshold) == pytest.approx(expected)


def test_decisions_and_unsure_answers():
    probabilities, thresholds = {"a": 0.3, "b": 0.3, "c": 0.9}, {"a": 0.3, "b": 0.4, "c": 0.5}
    assert decide(probabilities, thresholds) == {"a": True, "b": False, "c": True}
    assert decide(probabilities, thresholds, min_confidence=0.5) == {"a": True, "b": False, "c": True}
    # b: odds 3/7 over odds 2/3 are 9/14, a confidence of 14/23 = 0.609
    assert decide(probabilities, thresholds, min_confidence=0.6) == {"a": None, "b": False, "c": True}
    assert decide(probabilities, thresholds, min_confidence=0.61) == {"a": None, "b": None, "c": True}


def test_decisions_without_a_contradiction():
    consistency = Consistency(("a", "b", "c"), [Contradiction(("a", "b"))])
    probabilities, thresholds = {"a": 0.6, "b": 0.7, "c": 0.9}, {"a": 0.5, "b": 0.5, "c": 0.5}
    assert decide(probabilities, thresholds) == {"a": True, "b": True, "c": True}
    assert decide(probabilities, thresholds, 0, consistency) == {"a": False, "b": True, "c": True}
    lower = thresholds | {"a": 0.2}  # the odds of a over those at its threshold are 6, those of b 2.3
    assert decide(probabilities, lower, 0.5, consistency) == {"a": True, "b": False, "c": True}
    # The other answer to b contradicts its own probability, so that nothing above 50 % speaks for it.
    assert decide(probabilities, lower, 0.65, consistency) == {"a": True, "b": None, "c": True}
    with pytest.raises(FarkerasError) as raised:
        decide({"b": 0.5, "a": 0.5}, thresholds, 0, consistency)
    assert str(raised.value) == (
        "`consistency` must have the attributes of the model in their order: b, a. Received: a, b, c. Make it with "
        "farkeras.Consistency(attributes)."
    )


def test_thresholds_of_an_export_with_and_without_calibration():
    assert thresholds_of(("a", "b"), {"thresholds": {"b": 0.2, "a": 0.7}}) == {"a": 0.7, "b": 0.2}
    assert thresholds_of(("a", "b"), None) == {"a": 0.5, "b": 0.5}


def test_a_calibration_goes_through_json():
    calibration = Calibration(
        {"a": 1.5}, {"a": -0.5}, {"a": 0.2}, "group", "f1", None, {"images": 3}, {"none": 0.5}, {"a": ["few"]}
    )
    assert Calibration(**calibration.to_dict()) == calibration


def test_messages():
    with pytest.raises(FarkerasError) as raised:
        check_calibrate("off")
    assert str(raised.value) == "`calibrate` must be one of auto, none. Received: 'off'."
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(FarkerasError) as raised:
            check_share("min_confidence", value)
        assert str(raised.value) == f"`min_confidence` must be 0 to 1. Received: {value}."
    check_share("min_confidence", np.float64(1))
