"""The OpenVINO runner: what it answers, in threads too, what it refuses, and which packages it needs."""

import os
import re
import shutil
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from farkeras.clients import openvino
from farkeras.clients.litert import LiteRTRecognizer
from farkeras.clients.openvino import OpenVINORecognizer, main
from farkeras.errors import FarkerasError
from farkeras.exporters.openvino import write_openvino
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.tflite import write_tflite
from farkeras.inference.recognizer import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def file(workdir):
    (export,) = write_openvino(workdir, workdir / "openvino", ParityImages(0), ["float32"])
    return export.path / "model.xml"


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    """Twenty-five crops, each with other answers."""
    random = np.random.default_rng(0)
    small = (Image.fromarray(random.integers(0, 256, (6, 5, 3), np.uint8)) for _ in range(25))
    return np.stack([np.asarray(image.resize((178, 218), Image.Resampling.BICUBIC)) for image in small])


@pytest.fixture(scope="module")
def crop(crops, tmp_path_factory):
    path = tmp_path_factory.mktemp("crops") / "ann.png"
    Image.fromarray(crops[0]).save(path)
    return path


def test_the_numbers_of_the_keras_model(workdir, file, crop, crops):
    recognizer, (expected,) = OpenVINORecognizer(file), load(workdir)([crop], align=False)
    assert recognizer.attributes == ("Smiling", "Eyeglasses")
    assert recognizer.input_size == (218, 178)
    assert recognizer.metadata["groups"] == {"Eyes": ["Eyeglasses"], "Mouth": ["Smiling"]}
    for given in (crop, str(crop), [crop], crops[0], crops[:1], crop.read_bytes()):
        (answer,) = recognizer(given)
        assert answer == pytest.approx(expected, abs=5e-5)
    assert recognizer([]) == []


def test_several_calls_of_the_model(file, crops):
    expected = [OpenVINORecognizer(file)(crop)[0] for crop in crops[:7]]
    for batch_size in (1, 3, 32):
        answers = OpenVINORecognizer(file, batch_size=batch_size)(crops[:7])
        for answer, alone in zip(answers, expected, strict=True):
            assert answer == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("runtime", ["LiteRT", "OpenVINO"])
def test_eight_threads_answer_as_one(workdir, file, crops, runtime, tmp_path):
    if runtime == "OpenVINO":
        recognizer = OpenVINORecognizer(file)
    else:
        (export,) = write_tflite(workdir, tmp_path, ParityImages(0), ["float32"])
        recognizer = LiteRTRecognizer(export.path / "model.tflite")
    alone = [recognizer.probabilities([crop]) for crop in crops]
    assert np.ptp(alone) > 1e-3, "no test would see a wrong answer"
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: recognizer.probabilities([crops[i % 25]]), range(200)))
    np.testing.assert_array_equal(answers, 8 * alone)


def test_bfloat16(file, crops, monkeypatch):
    if openvino.has_bfloat16():
        bfloat16 = OpenVINORecognizer(file, inference_precision="bfloat16").probabilities(crops)
        assert 1e-5 < np.abs(bfloat16 - OpenVINORecognizer(file).probabilities(crops)).max() < 0.05
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: False)
    with pytest.raises(FarkerasError, match=r"^`inference_precision` must be 'float32' on this processor"):
        OpenVINORecognizer(file, inference_precision="bfloat16")


@pytest.mark.parametrize("name", ["a b", "头 é", "[1] *", os.fsdecode(b"caf\xe9")])
def test_folders_of_any_name(file, crops, name, tmp_path):
    folder = Path(shutil.copytree(file.parent, tmp_path / name))
    assert OpenVINORecognizer(folder / "model.xml")(crops[:2]) == OpenVINORecognizer(file)(crops[:2])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"num_threads": 0}, r"`num_threads` must be at least 1\. Received: 0\."),
        ({"batch_size": -1}, r"`batch_size` must be at least 1\. Received: -1\."),
        (
            {"inference_precision": "int8"},
            r"`inference_precision` must be one of float32, bfloat16\. Received: 'int8'",
        ),
    ],
)
def test_arguments_out_of_range(file, options, error):
    with pytest.raises(FarkerasError, match=error):
        OpenVINORecognizer(file, **options)


def test_crops_that_do_not_fit(file, tmp_path):
    recognizer = OpenVINORecognizer(file)
    photo = tmp_path / "photo.png"
    Image.new("RGB", (300, 200)).save(photo)
    with pytest.raises(FarkerasError, match=r"photo\.png is uint8 \[200, 300, 3\]; the model takes uint8 \[218"):
        recognizer(photo)
    with pytest.raises(FarkerasError, match=r"There is no file .*none\.png"):
        recognizer([photo, tmp_path / "none.png"])


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_metadata(path):
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub("<metadata value=.*/>", "", text), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "change", "error"),
    [
        (
            "model.xml",
            Path.unlink,
            r"^Cannot read .*model\.xml: No such file .*\. Expected model\.xml and",
        ),
        ("model.bin", Path.unlink, r"^Cannot read .*model\.bin: No such file"),
        (
            "model.xml",
            cut,
            r"^OpenVINO cannot read .*model\.xml; expected model\.xml and model\.bin, complete",
        ),
        ("model.bin", cut, r"^OpenVINO cannot read .*model\.xml; expected"),
        ("model.xml", without_metadata, r"model\.xml contains no attribute names; expected a model\.xml that export/"),
    ],
)
def test_files_that_are_not_whole(file, tmp_path, name, change, error):
    folder = Path(shutil.copytree(file.parent, tmp_path / "openvino"))
    change(folder / name)
    with pytest.raises(FarkerasError, match=error):
        OpenVINORecognizer(folder / "model.xml")


def test_the_command(file, crop, capsys, tmp_path):
    answer = OpenVINORecognizer(file)(crop)[0]
    assert main([str(file), str(crop), str(crop), "--threads=1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ann.png", "ann.png"]
    assert [line.split() for line in lines[1:]] == [
        [name, *2 * [f"{'*' if answer[name] >= 0.5 else ''}{answer[name]:.0%}"]] for name in ("Smiling", "Eyeglasses")
    ]
    assert main([str(file), str(crop), "--min_confidence=1"]) == 0
    assert [line.split()[1][0] for line in capsys.readouterr().out.splitlines()[1:]] == ["?", "?"]
    assert main([str(file), str(crop), "--min_confidence=2"]) == 1
    assert capsys.readouterr().err == "error: --min_confidence must be 0 to 1. Received: 2.0.\n"
    assert main([str(file), str(crop), "--inference_precision=int4"]) == 1
    assert capsys.readouterr().err.startswith("error: `inference_precision` must be one of float32, bfloat16")


def test_without_openvino(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(FarkerasError, match=r"^OpenVINO needs openvino: pip install 'farkeras\[openvino\]'$"):
        OpenVINORecognizer(file)


def test_a_fresh_environment_with_four_packages(file, crop, tmp_path):
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--retries=0", "--timeout=5"]
    wanted = ["numpy", "pillow", "openvino", "lazy_loader"]
    done = subprocess.run([*pip, "install", "--quiet", *wanted], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot install {', '.join(wanted)}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    command = [python, "-m", "farkeras.clients.openvino", file, crop]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    there = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    answer = OpenVINORecognizer(file)(crop)[0]
    marked = {name: f"{'*' if p >= 0.5 else ''}{p:.0%}" for name, p in answer.items()}
    assert there.stdout.split() == ["ann.png", *(cell for pair in marked.items() for cell in pair)]


def test_nothing_else_is_imported(file):
    code = f"""
import sys
from farkeras.clients.openvino import OpenVINORecognizer
OpenVINORecognizer({str(file)!r})
print(*{{name.split('.')[0] for name in sys.modules}}, sys.modules["openvino_telemetry"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    *modules, telemetry = done.stdout.split()
    assert not {"tensorflow", "keras", "rich", "grpc", "nncf"} & set(modules)
    assert telemetry == "None"  # the package that sends usage data was not imported
