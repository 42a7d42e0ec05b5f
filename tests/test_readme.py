"""The page on a user's own attributes: its commands, run on procedural faces. The first lines of the README."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import farkeras
from farkeras import evaluate, train
from farkeras.attributes import load_grouping
from farkeras.cli.flags import Flags
from farkeras.data.sources.table import OwnTable, TableSettings
from farkeras.models.model_file import load_model
from tests.own_table import GROUPS, NAMES, write_own_table

ROOT = Path(__file__).parents[1]
SMALL = "--image_size=32,32 --backbone=ResNetTiny --backbone_alpha=0.25 --backbone_weights=none"
SHORT = "--epochs=1 --batch_size=16"
SETTINGS = {"group_column": "person", "ignore_columns": ["notes"]}


@pytest.fixture(scope="module")
def blocks():
    """The table, the groups, the commands, and the command for few images."""
    page = (ROOT / "docs/own_attributes.md").read_text(encoding="utf-8")
    table, _align, groups, commands, few_images = re.findall(r"^```\w*\n(.*?)^```$", page, re.M | re.S)
    return table, groups, commands, few_images


@pytest.fixture(scope="module")
def folder(blocks, faces_dir, tmp_path_factory):
    """A user's folder, in which all commands were run; only the training is made small."""
    table, groups, commands, _ = blocks
    folder = tmp_path_factory.mktemp("own")
    (folder / "photos").symlink_to(faces_dir / "img_align_celeba")
    write_own_table(folder / "faces.csv", faces_dir, "photos", table.splitlines()[0].split(","))
    (folder / "groups.json").write_text(groups)
    for command in commands.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(command)
        assert program == "python"
        if "farkeras.train" in arguments:
            arguments += [*SMALL.split(), *SHORT.split()]
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
    return folder


def test_the_table_and_the_groups_as_printed(blocks, tmp_path):
    table, groups, *_ = blocks
    (tmp_path / "photos").mkdir()
    for line in table.splitlines()[1:]:
        (tmp_path / line.split(",")[0]).touch()
    (tmp_path / "faces.csv").write_text(table)
    (tmp_path / "groups.json").write_text(groups)
    source = OwnTable(tmp_path / "faces.csv", TableSettings(**SETTINGS, split_ratios=(1, 0, 0)))
    assert source.split("train").labels.tolist() == [[0, 1, 0, 1, 1, -1, 0], [1, -1, 0, 0, 0, 0, 1]]
    assert load_grouping(tmp_path / "groups.json", source.attributes).names == ("Hair", "Eyes", "Mouth")


def test_the_command_for_few_images(blocks):
    """Its settings; the test of the configurations builds its model, and the tests of fine-tuning train so."""
    program, *arguments = shlex.split(blocks[-1].replace("\\\n", " "))
    assert [program, *arguments[:2]] == ["python", "-m", "farkeras.train"]
    options = Flags()
    train.define(options)
    options.parse(arguments[1:])
    config = options.config()
    assert config == farkeras.load_config("own_small", data_dir="faces.csv", grouping="groups.json", **SETTINGS)
    assert config.frozen_epochs > 0
    assert config.patience > 0


def test_the_model_knows_the_names_and_groups(folder):
    model, metadata = load_model(folder / "runs/own")
    assert metadata.grouping.attributes == tuple(NAMES)
    assert {name: list(members) for name, members in metadata.grouping.groups.items()} == GROUPS
    assert list(model.heads) == ["head_Hair", "head_Eyes", "head_Mouth"]
    assert not metadata.procedural  # no synthesize.json lies beside the table


def test_evaluation_is_on_the_split_that_training_left_out(folder):
    evaluation = json.loads((folder / "runs/own/evaluation.json").read_text())
    test = OwnTable(folder / "faces.csv", TableSettings(**SETTINGS)).split("test")
    assert evaluation["num_images"] == len(test)
    known = dict(zip(NAMES, (test.labels >= 0).sum(axis=0).tolist(), strict=True))
    assert {name: figures["num_known"] for name, figures in evaluation["attributes"].items()} == known
    assert max(known.values()) < len(test)
    assert "Open Mouth" in (folder / "runs/own/report.html").read_text(encoding="utf-8")


def test_evaluation_on_another_table(folder, capsys):
    header, *rows = (folder / "faces.csv").read_text().splitlines()
    lines = [re.sub(r",p\d+,", ",test,", row) for row in rows[:30]]
    (folder / "other.csv").write_text("\n".join([re.sub("^image,person", "file,split", header), *lines]))
    options, output = Flags(), folder / "output"
    evaluate.define(options)
    own = [f"--data_dir={folder / 'other.csv'}", "--image_column=file", "--group_column="]
    options.parse(["evaluate", f"--workdir={folder / 'runs/own'}", f"--output={output}", *own])
    evaluate.main(options)
    evaluation = json.loads((output / "evaluation.json").read_text())
    assert (evaluation["num_images"], evaluation["run"]["source"]) == (30, "table")
    assert "Mouth" in capsys.readouterr().out


def test_the_saved_model_and_prediction_name_the_attributes(folder):
    paths = OwnTable(folder / "faces.csv", TableSettings(**SETTINGS)).split("test").paths[:3].tolist()
    answers = farkeras.load(folder / "runs/own")(paths, align=False)
    assert [list(answer) for answer in answers] == [list(NAMES)] * 3
    version = folder / "runs/own/export/saved_model/1"
    described = json.loads((version / "assets.extra/farkeras.json").read_text(encoding="utf-8"))
    assert (described["attributes"], described["groups"]) == (list(NAMES), GROUPS)
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    probabilities = served(bytes=tf.constant([Path(path).read_bytes() for path in paths]))["probabilities"]
    np.testing.assert_allclose(probabilities, [list(answer.values()) for answer in answers], atol=5e-5)


def test_the_python_interface(folder, faces_dir, monkeypatch):
    """The block of the page "Python interface", on procedural faces and with a small model."""
    page = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    small = 'image_size=(32, 32), backbone="ResNetTiny", backbone_alpha=0.25, backbone_weights="none", batch_size=16'
    code = code.replace('data_dir="/data/celeba", epochs=10', f'data_dir="{faces_dir}", epochs=0.2, {small}')
    monkeypatch.chdir(folder)
    shutil.copytree(faces_dir / "img_align_celeba", folder / "few", ignore=lambda _, names: sorted(names)[3:])
    code = code.replace('"photos/")', '"few/", align=False)')
    names: dict = {}
    exec(code, names)
    assert not names["report"].training_fails
    assert 0 <= names["evaluated"].evaluation["mean_balanced_accuracy"] <= 1
    for path in ("report.html", "export/saved_model/1/saved_model.pb", "export/onnx/model.onnx"):
        assert (folder / "runs/celeba" / path).exists()
    assert len((folder / "few" / "predictions.csv").read_text().splitlines()) == 4


def test_the_first_lines(tmp_path, monkeypatch, capsys):
    """The first screen of the README, on fewer faces and with a small model."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"^```python\n(.*?)^```$", readme, re.M | re.S)[1]
    assert len([line for line in code.splitlines() if line]) == 7  # the import and six lines
    small = {
        "num_images=3000": "num_images=60",
        "epochs=10": "epochs=0.5, image_size=(32, 32), backbone_alpha=0.25, batch_size=16",
        "002997": "000060",
    }
    for old, new in small.items():
        assert old in code
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    printed = capsys.readouterr().out.split()[-2:]
    assert all(0 <= float(number) <= 1 for number in printed)
