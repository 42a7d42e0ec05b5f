"""`python -m farkeras.predict` as a user runs it; one process per case, since flags and logs are global."""

import csv
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from farkeras.attributes import CELEBA_ATTRIBUTES, GROUPINGS, Grouping
from farkeras.data.preprocessing import Preprocessing
from farkeras.models import MGMTN
from farkeras.models.model_file import ModelMetadata, save_model


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    inputs = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, {"logits": keras.layers.Dense(40)(pooled)})
    grouping = Grouping(GROUPINGS["mgmtn8"], CELEBA_ATTRIBUTES)
    save_model(model, ModelMetadata(grouping, Preprocessing((16, 16))), folder / "model.keras")
    return folder


@pytest.fixture(scope="module")
def masked_workdir(tmp_path_factory):
    """A model with masks."""
    folder = tmp_path_factory.mktemp("masked")
    model = MGMTN("mgmtn8", "ResNetTiny", (64, 64), mask_widths=(4, 8), mask_stride=2, fusion_width=8)
    save_model(model, ModelMetadata(model.grouping, Preprocessing((64, 64))), folder / "model.keras")
    return folder


def predict(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "farkeras.predict", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "error: No photo given"),
        (["a.jpg"], "error: Name the model with either --workdir=DIR or --model=FILE.keras."),
        (["a.jpg", "--workdir=a", "--model=b"], "error: Name the model with either"),
        (["a.jpg", "--workdir=a", "--json", "--output=b.csv"], "error: Give --json for the screen"),
        (["a.jpg", "--workdir=a", "--overlay=b.jpg"], "error: An overlay is drawn as PNG, got b.jpg; give it a"),
        (["b.jpg", "a.png", "--workdir=a", "--overlay=./a.png"], "error: ./a.png is one of the photos; name another"),
        ([*["a.jpg"] * 51, "--workdir=a", "--overlay=b.png"], "error: An overlay shows 1 to 50 photos, got 51"),
    ],
)
def test_wrong_command(arguments, expected):
    out, err = predict(*arguments, code=1)
    assert out == ""
    assert err.startswith(expected)
    assert err.count("\n") == 1


def test_table_and_one_line_for_each_photo_that_fails(workdir, tmp_path):
    pytest.importorskip("mediapipe")
    data = pytest.importorskip("skimage.data")
    photo, blank, text = (tmp_path / name for name in ("astronaut.png", "blank.png", "text.jpg"))
    Image.fromarray(data.astronaut()).save(photo)
    Image.new("RGB", (300, 300)).save(blank)
    text.write_text("text")
    out, err = predict(blank, photo, text, f"--workdir={workdir}", code=1)
    errors = err.splitlines()
    assert len(errors) == 2, err  # none of TensorFlow's and MediaPipe's lines
    assert errors[0].startswith(f"error: {blank}: no face found")
    assert errors[1].startswith(f"error: {text} is not an image")
    assert "astronaut.png" in out
    assert all(name in out for name in CELEBA_ATTRIBUTES)
    assert all(group in out for group in GROUPINGS["mgmtn8"])


def test_json(workdir, tmp_path):
    Image.new("RGB", (178, 218)).save(tmp_path / "a.png")
    arguments = [tmp_path / "a.png", tmp_path / "b.png", f"--model={workdir / 'model.keras'}"]
    out, err = predict(*arguments, "--noalign", "--json", code=1)
    first, second = json.loads(out)
    assert first["photo"] == str(tmp_path / "a.png")
    assert tuple(first["attributes"]) == CELEBA_ATTRIBUTES
    assert set(first["attributes"].values()) == {0.5}  # black and no bias: logit 0
    assert "Cannot read" in second["error"]
    assert err == f"error: {second['error']}\n"


def test_folder(workdir, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0)
    for i in range(11):  # more than a batch
        pixels = noise.integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{i:02d}.{'JPG' if i % 2 else 'png'}")
    (photos / "05.JPG").write_text("text")
    out, err = predict(photos, f"--workdir={workdir}", "--noalign", code=1)
    assert out == f"{photos / 'predictions.csv'}: 10 of 11 photos\n"
    assert err.count("\n") == 1
    with open(photos / "predictions.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["photo", *CELEBA_ATTRIBUTES, "error"]
    assert [row[0][-6:-4] for row in rows] == [f"{i:02d}" for i in range(11)]
    assert [bool(row[-1]) for row in rows] == [i == 5 for i in range(11)]
    assert all(0 < float(value) < 1 for i, row in enumerate(rows) if i != 5 for value in row[1:-1])
    assert len(list(photos.iterdir())) == 12


def test_overlay(masked_workdir, tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (178, 218), (90, 120, 150)).save(tmp_path / name)
    photos = [tmp_path / "a.png", tmp_path / "none.png", tmp_path / "b.png"]
    arguments = [*photos, f"--workdir={masked_workdir}", "--noalign", f"--overlay={tmp_path / 'out.png'}"]
    out, err = predict(*arguments, code=1)
    assert out.endswith(f"{tmp_path / 'out.png'}: 2 of 3 photos\n")
    assert all(name in out for name in CELEBA_ATTRIBUTES)  # the tables as without
    assert err.count("\n") == 1
    picture = np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))
    assert (picture != picture[0, 0]).any(axis=-1).mean() > 0.3  # two photographs and 80 lines on the ground


def test_overlay_of_a_model_without_masks(workdir, tmp_path):
    places = [f"--workdir={workdir}", f"--overlay={tmp_path / 'out.png'}", f"--output={tmp_path / 'out.csv'}"]
    out, err = predict("none.png", *places, code=1)
    assert out == ""
    assert "has no masks of facial regions; expected one that has, MGMTN. Leave out --overlay" in err
    assert err.count("\n") == 1  # the photograph, which is not there, was not tried
    assert list(tmp_path.iterdir()) == []
