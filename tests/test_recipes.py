"""The recipes of docs/recipes.md, as a reader runs them; on procedural faces and with small models."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import farkeras
from tests.own_table import write_groups, write_own_table

ROOT = Path(farkeras.__file__).parents[1]


def block(section):
    """The Python code of a section."""
    text = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    (code,) = re.findall(rf"^## {section}$.*?^```python\n(.*?)^```$", text.split("\n## ", 0)[0], re.M | re.S)[:1]
    return code


def replaced(code, changes):
    for old, new in changes.items():
        assert old in code, f"the recipe has no {old}"
        code = code.replace(old, new)
    return code


SMALL = {"epochs=10": "epochs=1, verbose=0"}


@pytest.fixture
def folder(annotated_dir, tmp_path, monkeypatch):
    """The reader's folder: faces, their table and groups."""
    for name in ("img_align_celeba", "keypoints"):
        (tmp_path / name).symlink_to(annotated_dir / name)
    write_own_table(tmp_path / "faces.csv", annotated_dir)
    write_groups(tmp_path / "groups.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def from_a_table():
    """The first recipe with a small model, in two parts: until the model is saved, and what is then done with it."""
    code = block("From a table to an exported model")
    assert len([line for line in code.splitlines() if line]) <= 20
    changes = {
        "image_size=(112, 96), batch_size=32": "image_size=(32, 32), batch_size=16",
        '"MobileNetV3Small", config.image_size, backbone_weights="imagenet"': '"ResNetTiny", (32, 32), 0.25',
        '"epochs": 20': '"epochs": 1, "verbose": 0',
    }
    train, use = replaced(code, changes).split("\nprint(")
    return train, f"import farkeras\nprint({use}"


def test_from_a_folder_of_images_and_a_table_to_an_exported_model(folder, from_a_table, capsys):
    for part in from_a_table:
        exec(part, {})
    assert 0 <= float(capsys.readouterr().out.splitlines()[-1]) <= 1
    assert (folder / "runs/own_fit/export/saved_model/1/saved_model.pb").is_file()
    (answer,) = farkeras.load("runs/own_fit")(["img_align_celeba/000001.jpg"], align=False)
    assert list(answer) == ["Hat", "Fringe", "Glasses", "Smile", "Open_Mouth", "Lipstick", "Moustache"]


def test_fine_tuning(folder, faces_dir):
    changes = {
        'data_dir="/data/celeba"': f'data_dir="{faces_dir}", image_size=(32, 32), batch_size=16',
        '"MobileNetV2", config.image_size, backbone_weights="imagenet"': '"ResNetTiny", config.image_size, 0.25',
        "epochs=3": "epochs=1, verbose=0",
        "epochs=20,": "epochs=1, verbose=0,",
    }
    exec(replaced(block("Fine-tuning"), changes), names := {})
    assert names["model"].optimizer.get_config()["multipliers"] == names["model"].backbone_multipliers(0.1)
    assert farkeras.evaluate_run("runs/fine_tuned").evaluation["num_images"] == 24


def test_a_backbone_of_ones_own(folder, faces_dir):
    code = block("A backbone of your own")
    exec(replaced(code, SMALL | {"/data/celeba": str(faces_dir)}), names := {})
    assert set(names["model"].task_weights) == set(names["data"].grouping.names)
    assert farkeras.evaluate_run("runs/own_backbone").evaluation["num_images"] == 24


def test_masks(folder, annotated_dir):
    changes = {
        "/data/celeba": str(annotated_dir),
        "config.backbone, config.image_size": "config.backbone, (112, 96), 0.25",
        'data_dir="': 'batch_size=16, data_dir="',
        "data.steps_per_epoch": "2",
    }
    exec(replaced(block("MGMTN with its masks"), SMALL | changes), {})
    assert "mask_iou" in farkeras.evaluate_run("runs/mgmtn_fit").evaluation


def test_two_tasks_that_have_nothing_to_do_with_faces(folder):
    exec(
        replaced(block("DWS on two tasks of your own"), {"epochs=10": "epochs=10, verbose=0"}),
        names := {},
    )
    weights = names["model"].task_weights
    assert weights["kind"] > 1.2 > 0.8 > weights["price"]
    assert (folder / "houses.keras").is_file()


def test_the_same_script_on_jax(folder, from_a_table):
    pytest.importorskip("jax", reason="jax is not installed")
    for name, code in zip(("train.py", "use.py"), from_a_table, strict=True):
        (folder / name).write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": "--xla_backend_optimization_level=0"}

    def run(script, backend):
        environment["KERAS_BACKEND"] = backend
        return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=600)

    trained = run("train.py", "jax")
    assert trained.returncode == 0, trained.stderr[-3000:]
    refused = run("use.py", "jax")
    assert refused.returncode == 1
    assert "FarkerasError: Keras runs on jax in this process, but the training loop, prediction" in refused.stderr
    used = run("use.py", "tensorflow")
    assert used.returncode == 0, used.stderr[-3000:]
    assert 0 <= float(used.stdout.splitlines()[-1]) <= 1
    (answer,) = farkeras.load("runs/own_fit")(["img_align_celeba/000001.jpg"], align=False)
    assert np.ptp(list(answer.values())) > 0
