"""`python -m farkeras.check_data` as a user runs it: tables, findings, JSON and the exit code."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from farkeras import check_data
from farkeras.cli.flags import Flags


def run(*arguments):
    command = [sys.executable, "-m", "farkeras.check_data", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.fixture
def faces(faces_dir, tmp_path):
    return shutil.copytree(faces_dir, tmp_path / "faces")


def test_damaged_images(faces, tmp_path):
    for number in range(1, 8):
        (faces / f"img_align_celeba/{number:06}.jpg").write_text("text")
    done = run(f"--data_dir={faces}", f"--json={tmp_path / 'check.json'}")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert "│ train      │    192 │       0 │           7 │" in lines
    assert any(line.startswith("│ Young ") for line in lines)
    assert any(line.startswith("240 images read, ") and line.endswith(" images/s.") for line in lines)
    at = lines.index(
        "training fails, undecodable: 7 images are undecodable. In train, more than the allowed 1% cannot be used; "
        "replace them."
    )
    assert lines[at + 1] == "  img_align_celeba/000001.jpg (train): is not an image"
    assert lines[at + 6] == "  ... and 2 more; --json=FILE lists all."
    assert lines[-1].endswith("findings, training would fail.")
    written = json.loads((tmp_path / "check.json").read_text())
    assert (written["source"], written["data_dir"], written["training_fails"]) == ("celeba", str(faces), True)
    assert len(written["findings"][0]["images"]) == 7


def test_a_sound_folder(faces):
    done = run(f"--data_dir={faces}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith("training can start.")


def test_a_source_that_cannot_be_opened_is_a_finding(faces):
    (faces / "list_eval_partition.txt").write_text("000001.jpg 3\n")
    done = run(f"--data_dir={faces}")
    assert (done.returncode, done.stderr) == (1, "")
    first, last = done.stdout.splitlines()
    assert first.startswith(f"training fails, source: {faces}/list_eval_partition.txt, line 1 (000001.jpg): expected 0")
    assert last == f"{faces}: 1 finding, training would fail."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: No data folder given; name it with --data_dir=PATH.\n"),
        (["surplus"], "error: Unexpected argument 'surplus'. Give settings as --name=value.\n"),
    ],
)
def test_wrong_command(arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def test_json_that_cannot_be_written(faces, tmp_path):
    (tmp_path / "file").touch()
    done = run(f"--data_dir={faces}", f"--json={tmp_path}/file/check.json")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: Cannot write {tmp_path}/file/check.json (")
    assert done.stderr.endswith("); choose another place for the JSON file.\n")


def test_a_run_that_could_not_start_in_its_workdir(faces, tmp_path, monkeypatch, capsys):
    """Batches that do not divide among the replicas; no file of weights; no room. The workdir stays untouched."""
    small = ["--image_size=32,32", "--backbone=ResNetTiny", "--backbone_alpha=0.25", "--batch_size=15"]
    arguments = [f"--data_dir={faces}", f"--workdir={tmp_path / 'run'}", *small]
    replicas = "settings: --batch_size must be a multiple of the 2 replicas. Received: 15."
    weights = "settings: Cannot read missing.pth (No such file or directory)"
    for more, kind in ((["--replicas=2"], replicas), (["--backbone_weights=missing.pth"], weights), ([], "room")):
        options = Flags()
        check_data.define(options)
        options.parse(["check_data", *arguments, *more])
        monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=900_000))
        assert check_data.main(options) == 1
        printed = capsys.readouterr().out
        assert f"training fails, {kind}" in printed
        assert printed.endswith("training would fail.\n")
    assert not (tmp_path / "run").exists()
