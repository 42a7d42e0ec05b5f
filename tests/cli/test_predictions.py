"""Predictions as people and programs read them."""

import io
import json
import sys

import pytest
from rich.console import Console

from farkeras.attributes import CELEBA_ATTRIBUTES, GROUPINGS
from farkeras.cli.predictions import marks, print_json, probability_table
from farkeras.decisions import decide
from farkeras.inference.recognizer import Prediction

VALUES = {name: i / 39 for i, name in enumerate(CELEBA_ATTRIBUTES)}


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_table_is_whole_at_any_width(width):
    console = Console(width=width)
    decisions = decide(VALUES, dict.fromkeys(VALUES, 0.5), min_confidence=0.55)
    table = probability_table(Prediction("photo [1].jpg", VALUES, decisions=decisions), GROUPINGS["mgmtn8"], "")
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert "photo [1].jpg" in text
    for name in CELEBA_ATTRIBUTES:
        percent = f"{VALUES[name]:.0%}"
        mark = "?" if 0.45 < VALUES[name] < 0.55 else "*" if VALUES[name] >= 0.5 else " "
        assert f"{mark}{percent:>4} {name}" in text


def test_the_heading_says_what_the_marks_mean():
    assert marks([0.5, 0.5], 0) == "* 50% or more"
    assert marks([0.25], 0.9) == "* 25% or more; ? confidence below 90%"
    assert marks([0.25, 0.5], 0.5) == "* at or above the attribute's own threshold"


def test_json(capsys):
    values, decisions = (
        {"Smiling": 0.123456789, "Male": 0.9, "Bald": 0.6},
        {"Smiling": False, "Male": True, "Bald": None},
    )
    print_json([Prediction("a.jpg", values, decisions=decisions), Prediction("b.jpg", error="no")])
    assert json.loads(capsys.readouterr().out) == [
        {
            "photo": "a.jpg",
            "attributes": {"Smiling": 0.123457, "Male": 0.9, "Bald": 0.6},
            "positive": ["Male"],
            "unsure": ["Bald"],
        },
        {"photo": "b.jpg", "error": "no"},
    ]


@pytest.mark.parametrize(
    ("encoding", "photo", "written"),
    [
        ("utf-8", "ж", "ж"),
        ("utf-8", "\udcff", "\\udcff"),  # a byte of a file's name that is not UTF-8
        ("cp1252", "ж", "\\u0436"),
        ("cp1252", "\U0001f600", "\\ud83d\\ude00"),
    ],
)
def test_json_of_names_that_the_terminal_lacks(monkeypatch, encoding, photo, written):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    print_json([Prediction(photo, error="no")])
    terminal.flush()
    text = terminal.buffer.getvalue().decode(encoding)
    assert f'"photo": "{written}"' in text
    assert json.loads(text) == [{"photo": photo, "error": "no"}]
