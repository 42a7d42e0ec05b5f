"""Predictions of a folder of photographs, and the CSV file that they become."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

import farkeras
from farkeras.errors import FarkerasError
from farkeras.inference.folder import write_predictions
from farkeras.inference.recognizer import Prediction


def test_a_folder_of_crops(recognizer, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 218, 178, 3), np.uint8)
    for name, image in zip(("a.png", "b, c.png"), pixels, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    (tmp_path / "damaged.jpg").write_bytes(b"no image")
    seen = []
    predictions = farkeras.predict_folder(recognizer, tmp_path, align=False, progress=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [p.photo for p in predictions] == [str(tmp_path / name) for name in ("a.png", "b, c.png", "damaged.jpg")]
    assert predictions[2].error == f"{tmp_path / 'damaged.jpg'} is not an image; expected a whole JPEG or PNG image."
    np.testing.assert_allclose(
        [list(p.probabilities.values()) for p in predictions[:2]], recognizer.probabilities(pixels), atol=1e-6
    )
    with open(tmp_path / "predictions.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["photo", *recognizer.attributes, "positive", "unsure", "error"]
    assert [(row[0], row[-1]) for row in rows] == [(p.photo, p.error or "") for p in predictions]


def test_a_folder_without_photographs(recognizer, tmp_path):
    with pytest.raises(FarkerasError, match="holds no photo; expected files that end in"):
        farkeras.predict_folder(recognizer, tmp_path)
    assert not list(tmp_path.iterdir())


def test_csv(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    decisions = {"Bald": None, "Bangs": True}
    predictions = [
        Prediction("a, b.jpg", {"Bald": 0.25, "Bangs": 1.0}, decisions=decisions),
        Prediction("c", error="no"),
    ]
    write_predictions(path, ["Bald", "Bangs"], predictions)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["photo", "Bald", "Bangs", "positive", "unsure", "error"],
        ["a, b.jpg", "0.250000", "1.000000", "Bangs", "Bald", ""],
        ["c", "", "", "", "", "no"],
    ]


def test_csv_with_a_name_that_is_not_utf8(tmp_path):
    path = tmp_path / "out.csv"
    photos = [os.fsdecode(b"a\xfc.jpg"), "ü.jpg"]
    write_predictions(path, ["Bald"], [Prediction(photo, {"Bald": 0.5}) for photo in photos])
    assert path.read_text(encoding="utf-8").splitlines()[1:] == ["a\\udcfc.jpg,0.500000,,,", "ü.jpg,0.500000,,,"]


def test_csv_that_is_interrupted_leaves_the_old_one(tmp_path):
    def interrupted():
        yield Prediction("a.jpg", {"Bald": 0.5})
        raise KeyboardInterrupt

    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, ["Bald"], interrupted())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_csv_in_an_impossible_place(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FarkerasError, match=r"Cannot write .*out\.csv \("):
        write_predictions(tmp_path / "file" / "out.csv", ["Bald"], [])
