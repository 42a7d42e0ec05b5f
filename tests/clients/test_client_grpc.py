"""The command `serving/client_grpc.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.fake_server import serve

ROOT = Path(__file__).parents[2]


@pytest.fixture
def command(model, metadata, tmp_path):
    """Runs the command in a folder with a file `good.jpg` that the model reads, and one that it does not."""
    (tmp_path / "good.jpg").write_bytes(b"x" * 600)
    (tmp_path / "bad.jpg").write_bytes(b"bad")

    def run(*arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
        with serve("grpc", model) as address:
            start = [sys.executable, ROOT / "serving" / "client_grpc.py", f"--server={address}"]
            return subprocess.run(
                [*start, f"--metadata={metadata}", *arguments],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
            )

    return run


def test_a_table(command):
    done = command("good.jpg")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["good.jpg"]
    assert ["first", "*", "80%", "c", "*", "60%", "a"] in lines
    assert ["second", "*", "70%", "b"] in lines
    assert done.stderr == "This model learned from procedural faces: its answers on photographs mean little.\n"
    assert done.returncode == 0


def test_json_and_an_image_that_cannot_be_decoded(command, model):
    options = ["--threshold=0.65", "--min_confidence=0.6"]  # 0.6, 0.7, 0.8: confidences 0.553, 0.557, 0.683
    done = command("good.jpg", "bad.jpg", "none.jpg", "--json", "--header=key=a=b", "--label=canary", *options)
    good, bad, none = json.loads(done.stdout)
    assert good == {
        "photo": "good.jpg",
        "attributes": {"a": 0.6, "b": 0.7, "c": 0.8},
        "positive": ["c"],
        "unsure": ["a", "b"],
    }
    assert bad["error"].startswith("bad.jpg cannot be decoded by the server")
    assert done.stderr.splitlines()[:2] == [f"error: {bad['error']}", f"error: {none['error']}"]
    assert done.returncode == 1
    assert (model.headers["key"], model.asked_for) == ("a=b", ("farkeras", None, "canary"))


def test_errors_are_one_line(command, model):
    model.refusals = [("NOT_FOUND", "Servable not found for request: Latest(faces)")]
    done = command("good.jpg", "--model=faces")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: 127.0.0.1:")
    assert "NOT_FOUND: Servable not found for request: Latest(faces)." in line


def test_the_thresholds_of_the_export(command, metadata, tmp_path):
    values = json.loads(metadata.read_text()) | {"calibration": {"thresholds": {"a": 0.65, "b": 0.65, "c": 0.65}}}
    (tmp_path / "own.json").write_text(json.dumps(values))
    done = command("good.jpg", f"--metadata={tmp_path / 'own.json'}")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["Group", "*", "65%", "or", "more"] in lines
    assert ["first", "*", "80%", "c", "60%", "a"] in lines


def test_answers_without_contradictions(command, tmp_path):
    (tmp_path / "rules.toml").write_text('[[rule]]\nat_most_one = ["a", "c"]\n')
    (answer,) = json.loads(command("good.jpg", "--json", f"--consistency_rules={tmp_path / 'rules.toml'}").stdout)
    assert answer["positive"] == ["b", "c"]  # c has 80 %, a has 60 %
    (answer,) = json.loads(command("good.jpg", "--json", "--consistent").stdout)
    assert answer["positive"] == ["a", "b", "c"]  # the rules of the package name other attributes


def test_a_setting_is_named_as_a_flag(command):
    done = command("good.jpg", "--min_confidence=2")
    assert (done.returncode, done.stderr) == (1, "error: --min_confidence must be 0 to 1. Received: 2.0.\n")
    done = command("good.jpg", "--timeout=0")
    assert (done.returncode, done.stderr) == (1, "error: --timeout must be 0.001 to 86,400. Received: 0.0.\n")


def test_an_empty_folder(command, tmp_path):
    (tmp_path / "empty").mkdir()
    done = command("empty")
    assert (done.returncode, done.stderr.splitlines()[0][:27]) == (1, "error: empty holds no photo")
