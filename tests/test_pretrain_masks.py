"""`python -m farkeras.pretrain_masks` as a user runs it, and its function."""

import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import farkeras
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.layers import AML

SETTINGS = {"image_size": (32, 32), "mask_widths": (4, 8), "epochs": 2.0, "batch_size": 8, "learning_rate": 1e-2}


def weights_in(path):
    (layer,) = (layer for layer in keras.saving.load_model(path).layers if isinstance(layer, AML))
    return layer.get_weights()


@pytest.fixture(scope="module")
def unlabelled(annotated_dir, tmp_path_factory):
    """A table of 24 faces with keypoints; its only column is that of the images."""
    folder = tmp_path_factory.mktemp("unlabelled") / "faces"
    folder.mkdir()
    for path in annotated_dir.iterdir():
        (folder / path.name).symlink_to(path)
    names = [f"img_align_celeba/{i:06}.jpg" for i in range(1, 25)]
    (folder / "faces.csv").write_text("\n".join(["image", *names]) + "\n")
    return folder / "faces.csv"


def settings_of(table, **changes):
    return Config(source="table", data_dir=str(table), **SETTINGS | changes)


def test_the_command_on_24_faces_without_labels(unlabelled, tmp_path):
    output = tmp_path / "masks.keras"
    flags = ["--source=table", f"--data_dir={unlabelled}", "--image_size=32,32", "--mask_widths=4,8", "--epochs=2"]
    done = subprocess.run(
        [sys.executable, "-m", "farkeras.pretrain_masks", *flags, "--batch_size=8", f"--output={output}"],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    trained, iou = done.stdout.splitlines()
    assert re.fullmatch(rf"{output}: mask network, \d+ now, \d+ steps/s\.", trained)
    assert re.fullmatch(r"Mask IoU on \d validation images: \d+\.\d\d % \(Hair \d.*, Object \d+\.\d\d\)\.", iou)
    assert weights_in(output)[0].dtype == "float16"


def test_the_same_settings_give_the_same_weights_and_training_lowers_the_loss(unlabelled, tmp_path):
    steps = []
    first = farkeras.train_mask_network(
        settings_of(unlabelled), tmp_path / "a.keras", lambda done, total: steps.append((done, total))
    )
    farkeras.train_mask_network(settings_of(unlabelled), tmp_path / "b.keras")
    for one, two in zip(weights_in(tmp_path / "a.keras"), weights_in(tmp_path / "b.keras"), strict=True):
        np.testing.assert_array_equal(one, two)
    assert steps == [(done, len(steps) - 1) for done in range(len(steps))]
    # It trains on from a file, for longer and in bfloat16.
    longer = settings_of(unlabelled, mask_weights=str(tmp_path / "a.keras"), epochs=20.0, precision="bfloat16")
    assert farkeras.train_mask_network(longer, tmp_path / "c.keras")["mean_mask_iou"] > first["mean_mask_iou"]


def test_what_it_refuses(unlabelled, tmp_path):
    with pytest.raises(FarkerasError, match=r"`output` must be a file name that ends in \.keras\. Received: masks"):
        farkeras.train_mask_network(settings_of(unlabelled), "masks")
    with pytest.raises(FarkerasError, match=r"fewer than `batch_size=64`"):
        farkeras.train_mask_network(settings_of(unlabelled, batch_size=64), tmp_path / "masks.keras")
    huge = settings_of(unlabelled, learning_rate=1e30, warmup_epochs=0.0)
    with pytest.raises(FarkerasError, match=r"The loss is not finite at step \d+\. Lower `learning_rate`"):
        farkeras.train_mask_network(huge, tmp_path / "masks.keras")
    table = unlabelled.with_name("found_nowhere.csv")
    table.write_text("image,split\nimg_align_celeba/000004.jpg,train\n")
    with pytest.raises(FarkerasError, match="No face was found in any training image of"):
        farkeras.train_mask_network(settings_of(table, batch_size=1), tmp_path / "masks.keras")
    assert not list(tmp_path.iterdir())
