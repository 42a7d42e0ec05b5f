"""The LiteRT runner: what it answers, what it refuses, and that it needs four packages only."""

import os
import subprocess
import sys
import venv
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from farkeras.clients.litert import LiteRTRecognizer, main
from farkeras.errors import FarkerasError
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.tflite import write_tflite
from farkeras.inference.recognizer import load
from tests.bad_images import turned

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def file(workdir):
    (export,) = write_tflite(workdir, workdir / "tflite", ParityImages(0), ["float32"])
    return export.path / "model.tflite"


@pytest.fixture(scope="module")
def crop(tmp_path_factory):
    path = tmp_path_factory.mktemp("crops") / "ann.png"
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8))
    small.resize((178, 218), Image.Resampling.BICUBIC).save(path)
    return path


def test_the_numbers_of_the_keras_model(workdir, file, crop):
    recognizer, (expected,) = LiteRTRecognizer(file), load(workdir)([crop], align=False)
    assert recognizer.attributes == ("Smiling", "Eyeglasses")
    assert recognizer.input_size == (218, 178)
    assert recognizer.metadata["groups"] == {"Eyes": ["Eyeglasses"], "Mouth": ["Smiling"]}
    pixels = np.asarray(Image.open(crop))
    image = Image.open(crop)
    for crops in (
        crop,
        str(crop),
        [crop],
        pixels,
        [pixels],
        pixels[None],
        crop.read_bytes(),
        image,
        BytesIO(crop.read_bytes()),
    ):
        (answer,) = recognizer(crops)
        assert answer == pytest.approx(expected, abs=5e-5)
    assert recognizer([crop, pixels]) == 2 * recognizer(crop)


def test_grey_and_transparent_files(file, tmp_path):
    recognizer, grey = LiteRTRecognizer(file), Image.new("L", (178, 218), 90)
    expected = recognizer(np.full((218, 178, 3), 90, np.uint8))
    deep = Image.fromarray(np.full((218, 178), 90 * 257, np.uint16))  # 16 bits
    for image in (grey, grey.convert("RGBA"), grey.convert("P"), deep):
        image.save(tmp_path / "a.png")
        assert recognizer(tmp_path / "a.png") == expected
    (tmp_path / "a.png").write_bytes(turned("PNG", Image.new("L", (218, 178), 90)))
    assert recognizer(tmp_path / "a.png") == expected


def test_crops_that_do_not_fit(file, tmp_path):
    recognizer = LiteRTRecognizer(file)
    photo, text = tmp_path / "photo.png", tmp_path / "text.png"
    Image.new("RGB", (300, 200)).save(photo)
    text.write_text("no image")
    for crops, error in (
        (photo, r"photo\.png is uint8 \[200, 300, 3\]; the model takes uint8 \[218, 178, 3\], .*farkeras\.align"),
        (
            np.zeros((218, 178, 3), np.float32),
            r"image 0: expected a uint8 array \[height, width, 3\]. Received: float32",
        ),
        (None, "image 0 is None: the image could not be read"),
        (text, r"text\.png is not an image; expected a whole JPEG or PNG image"),
        (tmp_path / "none.png", r"There is no file .*none\.png"),
    ):
        with pytest.raises(FarkerasError, match=error):
            recognizer(crops)


def test_files_without_a_model(tmp_path):
    (tmp_path / "other.tflite").write_bytes(b"other")
    with pytest.raises(FarkerasError, match=r"other\.tflite contains no attribute names"):
        LiteRTRecognizer(tmp_path / "other.tflite")
    with pytest.raises(FarkerasError, match=r"Cannot read .*none\.tflite: No such file"):
        LiteRTRecognizer(tmp_path / "none.tflite")


def test_the_command(file, crop, capsys, tmp_path):
    answer = LiteRTRecognizer(file)(crop)[0]
    assert main([str(file), str(crop), str(crop), "--threads=1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ann.png", "ann.png"]
    assert [line.split() for line in lines[1:]] == [
        [name, *2 * [f"{'*' if answer[name] >= 0.5 else ''}{answer[name]:.0%}"]] for name in ("Smiling", "Eyeglasses")
    ]
    assert main([str(file), str(crop), "--min_confidence=1"]) == 0
    assert [line.split()[1][0] for line in capsys.readouterr().out.splitlines()[1:]] == ["?", "?"]
    (tmp_path / "rules.toml").write_text('[[rule]]\nif = "Smiling"\nalways = ["Eyeglasses"]\n')
    rules = f"--consistency_rules={tmp_path / 'rules.toml'}"
    assert main([str(file), str(crop), rules]) == 0
    marked = [line.split()[1].startswith("*") for line in capsys.readouterr().out.splitlines()[1:]]
    assert marked in ([False, False], [True, True], [False, True])
    assert main([str(file), str(crop), "--min_confidence=2"]) == 1
    assert capsys.readouterr().err == "error: --min_confidence must be 0 to 1. Received: 2.0.\n"
    assert main([str(file), str(tmp_path / "none.png")]) == 1
    assert capsys.readouterr().err.startswith("error: There is no file ")


def test_without_litert(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(FarkerasError, match=r"needs ai_edge_litert.*: pip install 'farkeras\[litert\]'"):
        LiteRTRecognizer(file)


def test_a_fresh_environment_with_four_packages(file, crop, tmp_path):
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--retries=0", "--timeout=5"]
    wanted = ["numpy", "pillow", "ai-edge-litert", "lazy_loader"]
    done = subprocess.run([*pip, "install", "--quiet", *wanted], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot install {', '.join(wanted)}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    has_tensorflow = subprocess.run([python, "-c", "import tensorflow"], env=environment, capture_output=True)
    assert b"ModuleNotFoundError" in has_tensorflow.stderr
    command = [python, "-m", "farkeras.clients.litert", file, crop]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    answer = LiteRTRecognizer(file)(crop)[0]
    marked = {name: f"{'*' if p >= 0.5 else ''}{p:.0%}" for name, p in answer.items()}
    assert there.stdout.split() == ["ann.png", *(cell for pair in marked.items() for cell in pair)]


def test_nothing_else_is_imported():
    script = "import sys, farkeras.clients.litert; print(*{name.split('.')[0] for name in sys.modules})"
    modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert not {"tensorflow", "keras", "absl", "rich", "grpc"} & set(modules.split())
