"""Figures of subgroups by hand, and gaps: which count, how wide their intervals are, and what chance alone makes."""

import json

import numpy as np
import pytest

from farkeras.data.subgroups import Subgroups
from farkeras.metrics.subgroups import RATES, SMALL, evaluate_subgroups


def divided(member, values=("one", "other"), origin="attribute"):
    return Subgroups(values, np.asarray(member), origin)


def data(*cells):
    """Labels, answers and subgroups of one attribute, from (subgroup, hits, misses, rejections, alarms)."""
    rows = [
        (subgroup, label, answer)
        for subgroup, *counts in cells
        for (label, answer), count in zip(((1, 1), (1, 0), (0, 0), (0, 1)), counts, strict=True)
        for _ in range(count)
    ]
    subgroup, labels, answers = np.array(rows).T
    return labels[:, None].astype(np.int8), answers[:, None].astype(float), subgroup


@pytest.fixture(scope="module")
def by_hand():
    """One subgroup answers all right; of the other's labels, 1 in 4 positive and 2 in 5 negative ones are wrong."""
    labels, answers, member = data((0, 40, 0, 60, 0), (1, 30, 10, 30, 20))
    return evaluate_subgroups(labels, answers, ["Smile"], {"Hat": divided(member)})


def test_figures_of_a_subgroup(by_hand):
    one, other = (group["attributes"]["Smile"] for group in by_hand["names"]["Hat"]["subgroups"].values())
    assert {rate: one[rate] for rate in RATES} == dict(zip(RATES, (1, 1, 0, 0), strict=True))
    assert (other["num_known"], other["positives"], other["negatives"]) == (90, 40, 50)
    assert other["accuracy"] == pytest.approx(60 / 90)
    assert other["balanced_accuracy"] == pytest.approx((0.75 + 0.6) / 2)
    assert (other["false_positive_rate"], other["false_negative_rate"]) == (0.4, 0.25)
    assert other["small"] == []
    json.dumps(by_hand, allow_nan=False)


def test_gaps_are_sorted_and_their_intervals_are_those_of_two_shares(by_hand):
    gaps = by_hand["gaps"]
    assert [gap["rate"] for gap in gaps] == [
        "false_positive_rate",  # 0.4
        "accuracy",  # 1/3
        "balanced_accuracy",  # 0.325
        "false_negative_rate",  # 0.25
    ]
    assert (gaps[0]["highest"], gaps[0]["lowest"]) == ("other", "one")
    assert (gaps[1]["highest"], gaps[1]["lowest"]) == ("one", "other")
    # With one more error and one more correct answer, the shares are 21/52 and 1/62 (Agresti and Caffo).
    least = np.sqrt(21 / 52 * 31 / 52 / 52 + 1 / 62 * 61 / 62 / 62)
    low, high = gaps[0]["ci95"]
    assert (low + high) / 2 == pytest.approx(0.4)
    assert (high - low) / 2 / 1.96 == pytest.approx(least, rel=0.05)
    assert by_hand["num_clear"] == by_hand["num_gaps"] == 4


def test_a_subgroup_without_errors_is_not_certain():
    labels, answers, member = data((0, 40, 0, 60, 0), (1, 40, 0, 60, 0))
    result = evaluate_subgroups(labels, answers, ["Smile"], {"Hat": divided(member)})
    assert {gap["gap"] for gap in result["gaps"]} == {0.0}
    assert all(gap["ci95"][0] < 0 < gap["ci95"][1] and not gap["clear"] for gap in result["gaps"])


def test_rates_over_few_labels_are_marked_and_make_no_gap():
    labels, answers, member = data((0, 0, SMALL - 1, SMALL, 0), (1, SMALL, 0, SMALL, 0))
    result = evaluate_subgroups(labels, answers, ["Smile"], {"Hat": divided(member)})
    cell = result["names"]["Hat"]["subgroups"]["one"]["attributes"]["Smile"]
    assert cell["small"] == ["balanced_accuracy", "false_negative_rate"]
    assert cell["false_negative_rate"] == 1.0
    assert {gap["rate"] for gap in result["gaps"]} == {"accuracy", "false_positive_rate"}


def test_without_gaps_nothing_is_clear():
    result = evaluate_subgroups(
        *data((0, 2, 0, 0, 1), (1, 1, 1, 1, 1))[:2], ["Smile"], {"Hat": divided([0] * 3 + [1] * 4)}
    )
    assert (result["gaps"], result["factor"], result["num_clear"]) == ([], None, 0)
    cells = [group["attributes"]["Smile"] for group in result["names"]["Hat"]["subgroups"].values()]
    assert cells[0]["false_positive_rate"] == 1.0
    assert result["names"]["Hat"]["mean_gaps"] == dict.fromkeys(RATES)


def test_undefined_rates_are_none():
    labels, answers, member = data((0, 40, 0, 0, 0), (1, 40, 0, 40, 0))
    result = evaluate_subgroups(labels, answers, ["Smile"], {"Hat": divided(member)})
    cell = result["names"]["Hat"]["subgroups"]["one"]["attributes"]["Smile"]
    assert (cell["balanced_accuracy"], cell["false_positive_rate"]) == (None, None)


def test_unknown_labels_and_subgroups_are_left_out():
    labels, answers, member = data((0, 40, 0, 40, 0), (1, 40, 0, 40, 0), (-1, 0, 40, 0, 40))
    labels[0] = -1
    result = evaluate_subgroups(labels, answers, ["Smile"], {"Hat": divided(member)})
    assert result["names"]["Hat"]["num_unknown"] == 80
    groups = result["names"]["Hat"]["subgroups"]
    assert [group["num_images"] for group in groups.values()] == [80, 80]
    assert [group["attributes"]["Smile"]["num_known"] for group in groups.values()] == [79, 80]
    assert max(gap["gap"] for gap in result["gaps"]) == 0


def test_the_attribute_that_divides_is_left_out_of_its_own_subgroups():
    labels = np.random.default_rng(0).integers(0, 2, (400, 2)).astype(np.int8)
    result = evaluate_subgroups(
        labels, labels.astype(float), ["Hat", "Smile"], {"Hat": divided(1 - labels[:, 0], ("Hat", "not Hat"))}
    )
    assert {gap["attribute"] for gap in result["gaps"]} == {"Smile"}
    assert list(result["names"]["Hat"]["subgroups"]["Hat"]["attributes"]) == ["Smile"]
    assert result["names"]["Hat"]["mean_gaps"]["accuracy"]["num_attributes"] == 1


def test_each_attribute_has_its_threshold():
    labels = np.tile(np.array([[1, 1], [0, 0]], np.int8), (100, 1))
    probabilities = np.tile([[0.6, 0.6], [0.4, 0.4]], (100, 1))
    result = evaluate_subgroups(
        labels, probabilities, ["a", "b"], {"h": divided(np.arange(200) // 100)}, thresholds=np.array([0.5, 0.3])
    )
    assert result["thresholds"] == {"a": 0.5, "b": 0.3}
    cells = result["names"]["h"]["subgroups"]["one"]["attributes"]
    assert (cells["a"]["accuracy"], cells["b"]["accuracy"], cells["b"]["false_positive_rate"]) == (1, 0.5, 1)


def test_the_gap_of_means_is_over_the_attributes_that_all_subgroups_define():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (300, 3)).astype(np.int8)
    labels[:, 2] = 0  # no positives: only accuracy and false positives are defined
    member = np.repeat([0, 1, 2], (140, 140, 20))  # the last is too small
    answers = np.where((member == 1)[:, None] & (random.random((300, 3)) < 0.2), 1 - labels, labels).astype(float)
    gaps = evaluate_subgroups(labels, answers, "abc", {"h": divided(member, ("one", "two", "few"))})
    mean = gaps["names"]["h"]["mean_gaps"]
    assert mean["accuracy"]["num_attributes"] == 3
    assert mean["balanced_accuracy"]["num_attributes"] == 2
    wrong = (answers != labels)[member == 1].mean()
    assert mean["accuracy"]["gap"] == pytest.approx(wrong)
    assert mean["accuracy"]["means"] == {"one": 1.0, "two": pytest.approx(1 - wrong)}
    assert (mean["accuracy"]["highest"], mean["accuracy"]["lowest"]) == ("one", "two")


def noise(seed, images=400, attributes=20):
    random = np.random.default_rng(seed)
    labels = (random.random((images, attributes)) < 0.4).astype(np.int8)
    answers = np.where(random.random(labels.shape) < 0.1, 1 - labels, labels).astype(float)
    subgroups = {"Hat": divided(random.integers(0, 2, images)), "skin": divided(random.integers(0, 3, images), "abc")}
    return labels, answers, [f"a{i}" for i in range(attributes)], subgroups


def test_chance_makes_large_gaps_but_no_clear_ones():
    result = evaluate_subgroups(*noise(seed=1))
    alone = [gap for gap in result["gaps"] if gap["ci95"][0] > 0]
    assert len(alone) > 5  # of the 160 gaps; each interval alone would call them more than chance
    assert result["num_clear"] == 0
    assert 3 < result["factor"] < 5


def test_a_true_gap_is_clear():
    labels, answers, attributes, subgroups = noise(seed=1)
    dark = subgroups["skin"].member == 2
    answers[dark, 7] = 1 - labels[dark, 7] * (np.arange(dark.sum()) % 2)  # half of the positives are missed
    result = evaluate_subgroups(labels, answers, attributes, subgroups)
    clear = [gap for gap in result["gaps"] if gap["clear"]]
    assert {(gap["attribute"], gap["subgroups"]) for gap in clear} >= {("a7", "skin")}
    assert clear[0] == result["gaps"][0]


def test_people_with_many_images_make_intervals_wider():
    """Each image ten times over, of the same person, is no more evidence than the image once."""
    labels, answers, attributes, subgroups = noise(seed=2, attributes=3)
    ten = np.repeat(np.arange(len(labels)), 10)
    people = np.char.add("person ", ten.astype(str))
    again = {name: each.take(ten) for name, each in subgroups.items()}

    def width(result):
        return [np.diff(gap["ci95"])[0] for gap in sorted(result["gaps"], key=lambda g: (g["rate"], g["attribute"]))]

    once = evaluate_subgroups(labels, answers, attributes, {"Hat": subgroups["Hat"]})
    known = evaluate_subgroups(labels[ten], answers[ten], attributes, {"Hat": again["Hat"]}, people)
    unknown = evaluate_subgroups(labels[ten], answers[ten], attributes, {"Hat": again["Hat"]}, np.full(len(ten), ""))
    images = evaluate_subgroups(labels[ten], answers[ten], attributes, {"Hat": again["Hat"]})
    assert (known["resampled"], known["num_people"]) == ("people", 400)
    assert (images["resampled"], images["num_people"]) == ("images", None)
    np.testing.assert_allclose(width(known), width(once), rtol=0.1)
    assert np.mean(width(images)) < 0.4 * np.mean(width(once))
    assert width(unknown) == width(images)  # each image is a person of its own
