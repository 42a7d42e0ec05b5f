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
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, save_model


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    inputs = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    model = LogitsModel(inputs, {"logits": keras.layers.Dense(40)(pooled)})
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
        (["a.jpg"], "error: Give either --workdir=FOLDER or --model=FILE.keras."),
        (["a.jpg", "--workdir=a", "--model=b"], "error: Give either --workdir=FOLDER"),
        (["a.jpg", "--workdir=a", "--json", "--output=b.csv"], "error: Give either --json, which prints"),
        (["a.jpg", "--workdir=a", "--overlay=b.jpg"], "error: An overlay is a PNG file, so its name must end"),
        (["b.jpg", "a.png", "--workdir=a", "--overlay=./a.png"], "error: ./a.png is one of the photos; name another"),
        ([*["a.jpg"] * 51, "--workdir=a", "--overlay=b.png"], "error: An overlay shows 1 to 50 photos. Received: 51."),
    ],
)
def test_wrong_command(arguments, expected):
    out, err = predict(*arguments, code=1)
    assert out == ""
    assert err.startswith(expected)
    assert err.count("\n") == 1


def test_nothing_but_empty_folders(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    out, err = predict(tmp_path / "a", tmp_path / "b", "--workdir=none", code=1)
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith(f"error: {tmp_path / 'a'} holds no photo; expected files")
    assert second.startswith(f"error: {tmp_path / 'b'} holds no photo; expected files")
    assert not list((tmp_path / "a").iterdir())


def test_table_and_one_line_for_each_photo_that_fails(workdir, tmp_path):
    pytest.importorskip("mediapipe")
    data = pytest.importorskip("skimage.data")
    photo, blank, truncated, text, empty = (
        tmp_path / name for name in ("astronaut.png", "blank.png", "truncated.jpg", "text.jpg", "empty")
    )
    Image.fromarray(data.astronaut()).save(photo)
    Image.new("RGB", (300, 300)).save(blank)
    Image.fromarray(data.astronaut()).save(truncated)
    truncated.write_bytes(truncated.read_bytes()[:-2000])
    text.write_text("text")
    empty.mkdir()
    out, err = predict(blank, empty, truncated, photo, text, f"--workdir={workdir}", code=1)
    errors = err.splitlines()
    assert len(errors) == 4, err  # none of TensorFlow's and MediaPipe's lines
    assert errors[0].startswith(f"error: {empty} holds no photo; expected files that end in ")
    assert errors[1].startswith(f"error: {blank}: no face found")
    assert errors[2].startswith(f"error: {truncated} cannot be decoded (")
    assert errors[3].startswith(f"error: {text} is not an image")
    assert "astronaut.png" in out.replace("\n", "")  # a long path is wrapped
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
    assert tuple(first["positive"]) == CELEBA_ATTRIBUTES
    assert first["unsure"] == []
    assert second["error"] == f"There is no file {tmp_path / 'b.png'}; check the path."
    assert err == f"error: {second['error']}\n"


def test_folder(workdir, tmp_path):
    photos, empty = tmp_path / "photos", tmp_path / "empty"
    photos.mkdir()
    empty.mkdir()
    noise = np.random.default_rng(0)
    for i in range(11):  # more than a batch
        pixels = noise.integers(0, 256, (40, 30, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{i:02d}.{'JPG' if i % 2 else 'png'}")
    (photos / "05.JPG").write_text("text")
    (photos / "notes.txt").touch()
    (photos / "07.JPG").write_bytes((photos / "07.JPG").read_bytes()[:-500])
    out, err = predict(empty, photos, f"--workdir={workdir}", "--noalign", code=1)
    assert out == f"{photos / 'predictions.csv'}: 9 of 11 photos\n"
    left_out, without, text, truncated = err.splitlines()
    assert left_out == f"{photos}: 1 file left out (no image suffix): notes.txt"
    assert without.startswith(f"error: {empty} holds no photo")
    assert text == f"error: {photos}/05.JPG is not an image; expected a whole JPEG or PNG image."
    assert truncated.startswith(f"error: {photos}/07.JPG cannot be decoded (")
    with open(photos / "predictions.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["photo", *CELEBA_ATTRIBUTES, "positive", "unsure", "error"]
    assert [row[0][-6:-4] for row in rows] == [f"{i:02d}" for i in range(11)]
    assert [i for i, row in enumerate(rows) if row[-1]] == [5, 7]
    assert all(0 < float(value) < 1 for row in rows if not row[-1] for value in row[1:-3])
    assert len(list(photos.iterdir())) == 13
    assert list(empty.iterdir()) == []


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
    assert "has no masks of facial regions; expected an MGMTN model. Leave out --overlay" in err
    assert err.count("\n") == 1  # the photograph, which is not there, was not tried
    assert list(tmp_path.iterdir()) == []
