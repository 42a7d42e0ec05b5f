"""Predictions as people and programs read them."""

import csv
import json

import pytest
from rich.console import Console

from farkeras.attributes import CELEBA_ATTRIBUTES, GROUPINGS
from farkeras.cli.predictions import probability_table, to_json, write_csv
from farkeras.errors import FarkerasError
from farkeras.inference.recognizer import Prediction

VALUES = {name: i / 39 for i, name in enumerate(CELEBA_ATTRIBUTES)}


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_table_is_whole_at_any_width(width):
    console = Console(width=width)
    table = probability_table(Prediction("photo [1].jpg", VALUES), GROUPINGS["mgmtn8"], 0.5)
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert "photo [1].jpg" in text
    for name in CELEBA_ATTRIBUTES:
        percent = f"{VALUES[name]:.0%}"
        mark = "*" if VALUES[name] >= 0.5 else " "
        assert f"{mark}{percent:>4} {name}" in text


def test_json():
    text = to_json([Prediction("a.jpg", {"Smiling": 0.123456789}), Prediction("b.jpg", error="no")])
    assert json.loads(text) == [
        {"photo": "a.jpg", "attributes": {"Smiling": 0.123457}},
        {"photo": "b.jpg", "error": "no"},
    ]


def test_csv(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    predictions = [Prediction("a, b.jpg", {"Bald": 0.25, "Bangs": 1.0}), Prediction("c", error="no")]
    write_csv(path, ["Bald", "Bangs"], predictions)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["photo", "Bald", "Bangs", "error"],
        ["a, b.jpg", "0.250000", "1.000000", ""],
        ["c", "", "", "no"],
    ]


def test_csv_that_is_interrupted_leaves_the_old_one(tmp_path):
    def interrupted():
        yield Prediction("a.jpg", {"Bald": 0.5})
        raise KeyboardInterrupt

    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_csv(path, ["Bald"], interrupted())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_csv_in_an_impossible_place(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FarkerasError, match=r"Cannot write .*out\.csv \("):
        write_csv(tmp_path / "file" / "out.csv", ["Bald"], [])
