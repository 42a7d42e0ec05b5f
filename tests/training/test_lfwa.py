"""LFWA from its files to figures, and models of one data set on the other: small runs on drawn faces."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from farkeras.config import Config
from farkeras.data.examples import FULL_FRAME
from farkeras.data.keypoints import load_keypoints
from farkeras.data.sources.lfwa import FRAME, LFWA
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError
from farkeras.flagfiles import read_flagfile
from farkeras.inference.forward import predict_examples
from farkeras.models.model_file import load_model
from farkeras.synthetic.generate import FaceSettings, draw_faces
from farkeras.training.building import open_data
from farkeras.training.evaluation import evaluate_model
from farkeras.training.run import train_and_evaluate
from tests.training.small_run import small_config


@pytest.fixture(scope="module")
def lfwa_dir(tmp_path_factory):
    """120 drawn faces in LFWA's layout, about half of them for the test."""
    folder = tmp_path_factory.mktemp("lfwa") / "lfwa"
    draw_faces(FaceSettings(num_images=120, seed=3, layout="lfwa"), folder, 2)
    return folder


@pytest.fixture(scope="module")
def finished(lfwa_dir, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished")
    train_and_evaluate(small_config(lfwa_dir, source="lfwa", epochs=1.0), workdir)
    return workdir


def test_a_run_on_lfwa_is_evaluated_on_its_test_split(finished, lfwa_dir):
    evaluation = evaluate_model(str(finished), "test").evaluation
    assert evaluation["num_images"] == len(LFWA(lfwa_dir).split("test"))
    assert (evaluation["run"]["source"], evaluation["run"]["procedural"]) == ("lfwa", True)
    assert evaluation["subgroups"]["resampled"] == "people"
    assert list(evaluation["subgroups"]["names"]) == ["Male", "Young", "skin"]
    # What the model takes counts in CelebA's frame: photographs are aligned to it before the model sees them.
    assert load_model(finished)[1].preprocessing.crop == FULL_FRAME


def test_training_goes_on_from_a_celeba_model(faces_dir, lfwa_dir, tmp_path):
    celeba = train_and_evaluate(small_config(faces_dir, epochs=0.2), tmp_path / "celeba")
    config = small_config(lfwa_dir, source="lfwa", init_from=str(tmp_path / "celeba"), epochs=0.3)
    lfwa = train_and_evaluate(config, tmp_path / "lfwa")
    assert lfwa.started_anew == []
    assert len(lfwa.model.weights) == len(celeba.model.weights)


def test_a_model_sees_the_faces_of_the_other_data_set_as_its_own(finished, faces_dir, tmp_path):
    """The same faces in both layouts, the larger images made of the smaller: the same probabilities, nearly."""
    celeba = open_source("celeba", str(faces_dir)).split("test")
    top, left, bottom, right = (round(250 * fraction) for fraction in FRAME)
    placed = []
    for path in celeba.paths:
        with Image.open(path) as image:
            face = np.asarray(image.resize((right - left, bottom - top), Image.Resampling.BICUBIC))
        margins = ((top, 250 - bottom), (left, 250 - right), (0, 0))
        placed.append(tmp_path / Path(path).with_suffix(".png").name)
        Image.fromarray(np.pad(face, margins, mode="edge")).save(placed[-1])
    model, metadata = load_model(finished)
    lfwa = type(celeba)(celeba.attributes, np.array(list(map(str, placed))), celeba.labels, frame=FRAME)
    unframed = type(celeba)(celeba.attributes, lfwa.paths, celeba.labels)
    said = [predict_examples(model, e, metadata.preprocessing, 8).probabilities for e in (celeba, lfwa, unframed)]
    off = [abs(probabilities - said[0]).mean() for probabilities in said[1:]]
    assert off[0] < 0.0005
    assert off[1] > 4 * off[0]  # a model that has hardly learned says nearly the same of everything


def test_evaluating_on_the_other_data_set_is_one_command(finished, faces_dir, tmp_path):
    flags = ["--source=celeba", f"--data_dir={faces_dir}", f"--output={tmp_path / 'on_celeba'}"]
    command = [sys.executable, "-m", "farkeras.evaluate", f"--workdir={finished}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "on_celeba/evaluation.json").read_text())["run"]
    assert (run["source"], run["data_dir"], run["model"]) == ("celeba", str(faces_dir), str(finished))
    assert not (finished / "evaluation.json").exists()


def test_masks_need_keypoints_and_the_message_knows_the_source(lfwa_dir):
    with pytest.raises(FarkerasError, match=r"python -m farkeras\.annotate --source=lfwa --data_dir="):
        open_data(small_config(lfwa_dir, source="lfwa", model="mgmtn", mask_widths=(8, 8, 8), fusion_width=16))


def test_mgmtn_learns_masks_on_annotated_lfwa(lfwa_dir, tmp_path):
    pytest.importorskip("mediapipe")
    folder = tmp_path / "lfwa"
    folder.mkdir()
    for name in ("lfw", "lfw_att_40.mat", "indices_train_test.mat", "synthesize.json"):
        (folder / name).symlink_to(lfwa_dir / name)
    command = [sys.executable, "-m", "farkeras.annotate", "--source=lfwa", f"--data_dir={folder}", "--workers=2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{folder}: 120 images annotated" in done.stdout
    moved = Path(shutil.move(folder, tmp_path / "moved"))  # keypoints are found by the path within the folder
    train = LFWA(moved).split("train")
    assert load_keypoints(moved, train.paths).found.mean() > 0.9
    config = small_config(
        moved, source="lfwa", model="mgmtn", mask_widths=(8, 8, 8), fusion_width=16, epochs=2.0, learning_rate=1e-2
    )
    train_and_evaluate(config, tmp_path / "run")
    evaluation = evaluate_model(str(tmp_path / "run"), "test").evaluation
    assert evaluation["run"]["masks_annotated"] is True
    assert evaluation["mean_mask_iou"] > 0.05


def test_the_recipe_frames_faces_once():
    config = read_flagfile(Path(__file__).parents[2] / "configs" / "lfwa.flags")
    assert (config.source, config.crop) == ("lfwa", Config().crop)
