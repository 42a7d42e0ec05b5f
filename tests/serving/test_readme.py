"""The README's commands to serve and to ask, on the suite's faces."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from farkeras.cli.flags import Flags

ROOT = Path(__file__).parents[2]
EXPORT, PHOTO = "runs/demo/export/saved_model", "data/astronaut.png"


def commands(document, heading):
    text = (ROOT / document).read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {heading}$.*?(?=^## )", text, re.M | re.S)
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.M | re.S)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("python ")]


def test_serve_and_ask(serving_target, tmp_path):
    data = pytest.importorskip("skimage.data")
    pytest.importorskip("mediapipe")
    serve, ask = commands("README.md", "The demo")
    assert commands("serving/README.md", "Serve in 60 seconds") == [serve, ask]
    from farkeras import serve as command

    assert serve == f"python -m {command.__name__} --model_dir={EXPORT}"
    options = Flags()
    command.define(options)
    assert "model_dir" in options
    assert options["port"].default == 8500, "the client's default"
    assert EXPORT in ask
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    ask = ask.replace(EXPORT, str(serving_target.models / "faces")).replace(PHOTO, "astronaut.png")
    _, *arguments = shlex.split(ask)
    done = subprocess.run(
        [sys.executable, *arguments, "--model=faces", f"--server={serving_target.address}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["astronaut.png", "Group"]
    assert {"a", "b", "c"} <= set(done.stdout.split())
