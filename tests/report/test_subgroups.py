"""The words, tables and bars of subgroups, for Markdown, the page and the console."""

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.data.subgroups import Subgroups
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.metrics.subgroups import evaluate_subgroups
from farkeras.report.page import html_report
from farkeras.report.subgroups import (
    gap_lines,
    markdown_subgroups,
    rate_rows,
    shown_gaps,
    subgroup_headline,
    subgroup_note,
)

GROUPING = Grouping({"Hair": ("Bangs",), "Object": ("Male", "Wearing_Hat")})


@pytest.fixture(scope="module")
def evaluation() -> dict:
    """A model that misses half of the hats on dark skin, and no other label."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (400, 3)).astype(np.int8)
    skin = np.arange(400) % 2
    labels[:50, 0] = -1
    answers = labels.clip(0).astype(float)
    answers[(skin == 0) & (np.arange(400) % 4 == 0), 2] = 0
    divisions = {
        "Male": Subgroups(("Male", "not Male"), 1 - labels[:, 1].astype(np.int64), "attribute"),
        "skin": Subgroups(("dark", "light"), skin, "subgroups.csv"),
    }
    run = {
        "model": "m",
        "source": "celeba",
        "data_dir": "d",
        "split": "test",
        "procedural": False,
        "undecodable": 0,
    }
    subgroups = evaluate_subgroups(labels, answers, GROUPING.attributes, divisions, np.arange(400).astype(str))
    return {"run": run, **evaluate_attributes(labels, answers, GROUPING), "subgroups": subgroups}


def test_the_sentence_says_what_chance_explains(evaluation):
    subgroups = evaluation["subgroups"]
    note = subgroup_note(subgroups)
    assert note.startswith("Subgroups by Male, skin, with the answers at 50 %. A gap is")
    assert "by bootstrap over 400 people" in note
    assert f"widened to {subgroups['factor']:.2f} standard errors" in note
    assert note.endswith(f"{subgroups['num_clear']} of {subgroups['num_gaps']} gaps are clear.")
    own = subgroup_note(subgroups | {"thresholds": {"Bangs": 0.5, "Male": 0.4}})
    assert "with the answers at the attributes' own thresholds." in own
    assert "over the images" in subgroup_note(subgroups | {"resampled": "images"})
    assert subgroup_note(subgroups | {"num_clear": 1}).endswith("gaps is clear.")


def test_clear_gaps_come_first_on_the_console(evaluation):
    subgroups = evaluation["subgroups"]
    assert "gaps are clear, the others may be chance. The largest clear gaps:" in subgroup_headline(subgroups)
    first, *_ = gap_lines(subgroups)
    assert first.startswith("Wearing Hat, false negatives: ")
    assert " points more for skin: dark than for light (95 % interval " in first
    unclear = subgroups | {"num_clear": 0, "gaps": [gap | {"clear": False} for gap in subgroups["gaps"]]}
    assert subgroup_headline(unclear).endswith("The largest gaps, each of which may be chance:")
    assert len(gap_lines(unclear)) == 3


def test_without_gaps_the_sentence_says_why():
    few = evaluate_subgroups(
        np.ones((4, 1), np.int8), np.ones((4, 1)), ["Bangs"], {"h": Subgroups(("a", "b"), np.arange(4) % 2, "x.csv")}
    )
    assert subgroup_note(few).startswith("Subgroups by h. No rate has at least 30 labels in two subgroups")
    assert "too few labels" in subgroup_headline(few)
    assert gap_lines(few) == []
    assert "| h: a | 2 |" in "\n".join(markdown_subgroups({"subgroups": few}))
    assert markdown_subgroups({}) == []


def test_all_clear_gaps_are_shown(evaluation):
    gaps = [{"clear": number > 30} for number in range(50)]
    shown = shown_gaps({"gaps": gaps})
    assert len(shown) == 12 + 19
    assert [gap["clear"] for gap in shown] == [False] * 12 + [True] * 19


def test_small_rates_are_marked(evaluation):
    labels = np.array([[1]] * 5 + [[0]] * 40 + [[0]] * 45, np.int8)
    result = evaluate_subgroups(
        labels, labels.astype(float), ["Bangs"], {"h": Subgroups(("a", "b"), np.arange(90) // 45, "x.csv")}
    )
    assert rate_rows(result["names"]["h"]) == [
        ["Bangs", "a", "45", "5", "100.00", "100.00*", "0.00", "0.00*"],
        ["Bangs", "b", "45", "0", "100.00", "–", "0.00", "–"],
    ]


def test_markdown_and_page_show_the_same_gaps(evaluation):
    text, page = "\n".join(markdown_subgroups(evaluation)), html_report(evaluation, [], {})
    gap = evaluation["subgroups"]["gaps"][0]
    assert f"| Wearing_Hat | false negatives | skin: dark above light | {100 * gap['gap']:.1f} |" in text
    assert page.count('class="interval bad"') == evaluation["subgroups"]["num_clear"]
    assert page.count("<details>") == 2
    assert "skin: every attribute in\ndark (200 images), light (200 images)" in page
    assert "Male: every attribute in" in page
    without = {name: value for name, value in evaluation.items() if name != "subgroups"}
    assert "Subgroups" not in html_report(without, [], {})


def test_bars_lie_within_their_column(evaluation):
    import re

    page = html_report(evaluation, [], {})
    section = page[page.index("The largest gaps") : page.index("<details>")]
    for left, width in re.findall(r'class="ci" style="left:([\d.]+)%;width:([\d.]+)%"', section):
        assert 0 <= float(left) <= float(left) + float(width) <= 100.02
