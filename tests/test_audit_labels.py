"""The command with a run: a wrong label in a table is the first of the list."""

import csv

import keras
import numpy as np
import pytest
from PIL import Image

from farkeras import audit_labels as command
from farkeras.attributes import Grouping
from farkeras.cli.flags import Flags
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, save_model

SIDE = 8


@pytest.fixture
def workdir(tmp_path):
    """Bright faces smile, and a model knows it; the table says of 5.png, a bright one, that it does not."""
    rows = []
    for number in range(12):
        Image.new("RGB", (SIDE, SIDE), (200 * (number % 2),) * 3).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,test,{0 if number == 5 else number % 2}\n")
    (tmp_path / "faces.csv").write_text("image,split,Smile\n" + "".join(rows))
    inputs = keras.Input((SIDE, SIDE, 3))
    dense = keras.layers.Dense(1)
    model = LogitsModel(inputs, {"logits": dense(keras.layers.GlobalAveragePooling2D()(inputs))})
    dense.set_weights([np.full((3, 1), 0.02, np.float32), np.array([-3], np.float32)])
    config = {"source": "table", "data_dir": str(tmp_path / "faces.csv")}
    metadata = ModelMetadata(Grouping({"All": ("Smile",)}), Preprocessing((SIDE, SIDE)), config)
    save_model(model, metadata, tmp_path / "run" / "model.keras")
    return tmp_path / "run"


def run(*arguments):
    options = Flags()
    command.define(options)
    options.parse(["audit_labels", *map(str, arguments)])
    return command.main(options)


def test_the_wrong_label_is_found(workdir, tmp_path, capsys):
    run(f"--run={workdir}", "--split=test", f"--workdir={tmp_path / 'audit'}")
    with open(tmp_path / "audit" / "label_audit.csv", newline="") as file:
        (found,) = csv.DictReader(file)
    assert found["image"] == "5.png"
    assert (found["attribute"], found["given"], found["suggested"]) == ("Smile", "0", "1")
    screen = capsys.readouterr().out
    assert "12 images, split test. Suspicious labels: 1." in screen
    assert "Smile: an estimated 8.3 % of the labels are wrong" in screen


def test_a_run_must_not_have_seen_the_labels(workdir, tmp_path):
    with pytest.raises(FarkerasError, match="has trained on the labels of `split=train`"):
        run(f"--run={workdir}", f"--workdir={tmp_path / 'audit'}")
