"""`python -m farkeras.pack` as a user runs it, and a run on what it wrote."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from farkeras.data.check import check_data_set
from farkeras.data.keypoints import load_keypoints
from farkeras.data.packing import pack_data_set
from farkeras.data.sources.packed import Packed
from farkeras.errors import FarkerasError
from farkeras.models.model_file import load_model
from farkeras.training.building import open_data
from farkeras.training.evaluation import evaluate_model
from farkeras.training.run import train_and_evaluate
from tests.training.small_run import small_config


def run(command, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"farkeras.{command}", *map(str, arguments)], capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def packed(faces_dir, tmp_path_factory):
    """The folder and what the command said."""
    folder = tmp_path_factory.mktemp("packed") / "faces"
    return folder, run("pack", f"--data_dir={faces_dir}", f"--output={folder}")


def test_packs_and_says_how_to_train(packed, faces_dir):
    folder, done = packed
    assert (done.returncode, done.stderr) == (0, "")
    first, keypoints, advice = done.stdout.splitlines()
    assert first.startswith(f"{folder}: 240 images in 1 file (")
    assert first.endswith(" images/s.")
    assert keypoints == "The data set has no keypoints to copy."
    assert advice == f"Train with --source=packed --data_dir={folder}"
    again = run("pack", f"--data_dir={faces_dir}", f"--output={folder}")
    assert again.stdout.splitlines()[0].endswith(" MB), none left to do.")


def test_a_run_gives_the_same_numbers_as_from_the_files(packed, faces_dir, tmp_path):
    settings = {"epochs": 1.0, "augment_shift": 0.1}
    train_and_evaluate(small_config(faces_dir, **settings), tmp_path / "files")
    train_and_evaluate(small_config(packed[0], source="packed", **settings), tmp_path / "packed")
    models = [load_model(tmp_path / name)[0] for name in ("files", "packed")]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    results = [
        evaluate_model(str(tmp_path / "files"), "test", source=source, data_dir=str(folder), gallery=str(gallery))
        for source, folder, gallery in (
            ("celeba", faces_dir, tmp_path / "files.png"),
            ("packed", packed[0], tmp_path / "packed.png"),
        )
    ]
    runs = [result.evaluation.pop("run") for result in results]
    assert results[0].evaluation == results[1].evaluation
    assert [run["procedural"] for run in runs] == [True, True]
    assert (tmp_path / "files.png").read_bytes() == (tmp_path / "packed.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["surplus"], "Unexpected argument 'surplus'. Give settings as --name=value."),
        (["--data_dir=faces"], "--output is missing. Folder to write."),
        (["--output=packed"], "No data folder given; name it with --data_dir=PATH."),
    ],
)
def test_wrong_command(arguments, message):
    done = run("pack", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {message}\n")


def test_a_packed_data_set_is_checked_and_a_damaged_record_found(packed, tmp_path):
    folder = shutil.copytree(packed[0], tmp_path / "packed")
    assert not check_data_set("packed", str(folder)).training_fails
    test = Packed(folder).split("test")
    (file,) = folder.glob("images-*")
    with open(file, "r+b") as records:
        records.seek(test.stored()[3].begin + 500)
        records.write(b"damaged")
    finding = check_data_set("packed", str(folder)).findings[0]
    image = Path(test.paths[3]).relative_to(folder).as_posix()
    assert finding.images == ((image, "test", "is damaged: its checksum is wrong"),)
    with pytest.raises(FarkerasError, match=rf"Cannot read .*{image} \(damaged\)"):
        pack_data_set(Packed(folder), folder, tmp_path / "again")


def test_masks_without_key_points_say_where_to_find_them(packed):
    with pytest.raises(FarkerasError, match=r"have no keypoints.*farkeras\.annotate --source=packed --data_dir="):
        open_data(small_config(packed[0], source="packed", model="mgmtn"))
    assert not (packed[0] / "keypoints").exists()
    with pytest.raises(FarkerasError, match="no keypoints"):
        load_keypoints(packed[0], [str(packed[0] / "img_align_celeba/000001.jpg")], "packed")
