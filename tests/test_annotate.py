"""`python -m farkeras.annotate` as a user runs it."""

import os
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from farkeras.data.keypoints import load_keypoints
from farkeras.data.sources.celeba import CelebA
from farkeras.synthetic.generate import FaceSettings, draw_faces
from tests.own_table import write_own_table


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "farkeras.annotate", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
    )


@pytest.fixture
def faces(tmp_path):
    """Ten drawn faces, the first of them no image."""
    draw_faces(FaceSettings(num_images=10, seed=1), tmp_path / "faces")
    (tmp_path / "faces/img_align_celeba/000001.jpg").write_text("text")
    return tmp_path / "faces"


def test_annotates_all_splits_and_says_what_came_of_it(faces):
    pytest.importorskip("mediapipe")
    done = run(f"--data_dir={faces}", "--workers=2")
    assert (done.returncode, done.stderr) == (0, "")  # none of MediaPipe's lines
    first, faceless, undecodable, listed = done.stdout.splitlines()
    assert first.startswith(f"{faces}: 10 images annotated, 10 now, ")
    assert first.endswith(" images/s.")
    assert faceless == "0 without a face"
    assert undecodable == "1 undecodable: img_align_celeba/000001.jpg"
    assert listed == f"All of them are listed in {faces}/keypoints/without_points.txt"

    moved = shutil.move(faces, faces.parent / "moved")
    source = CelebA(moved)
    found = [load_keypoints(moved, source.split(name).paths).found.tolist() for name in ("train", "validation", "test")]
    assert found == [[False] + [True] * 7, [True], [True]]


def test_a_table_with_the_settings_of_its_runs(faces, tmp_path):
    pytest.importorskip("mediapipe")
    write_own_table(faces / "mine.csv", faces)
    lines = (faces / "mine.csv").read_text().splitlines()[:3]  # no split has images but train
    (faces / "mine.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "own.flags").write_text(f"--source=table\n--data_dir={faces / 'mine.csv'}\n--learning_rate=0.1\n")
    refused = run(f"--flagfile={tmp_path / 'own.flags'}")
    assert "If these columns are not attributes, set --ignore_columns=person,notes." in refused.stderr
    done = run(f"--flagfile={tmp_path / 'own.flags'}", "--ignore_columns=person,notes", "--split_ratios=1,0,0")
    assert done.stdout.startswith(f"{faces / 'mine.csv'}: 2 images annotated, 2 now, "), done.stderr
    assert done.stdout.endswith(f"All of them are listed in {faces}/keypoints/without_points.txt\n")
    images = [str(faces / f"img_align_celeba/00000{number}.jpg") for number in (1, 2)]
    assert load_keypoints(faces / "mine.csv", images).found.tolist() == [False, True]


def test_a_complete_set_is_left_alone(faces):
    pytest.importorskip("mediapipe")
    (faces / "img_align_celeba/000001.jpg").write_bytes((faces / "img_align_celeba/000002.jpg").read_bytes())
    assert run(f"--data_dir={faces}").returncode == 0
    again = run(f"--data_dir={faces}")
    assert again.stdout.startswith(f"{faces}: 10 images annotated, none left to do.\n0 without a face\n")
    picture = faces.parent / "out.png"
    drawn = run(f"--data_dir={faces}", f"--overlay={picture}")
    assert drawn.stdout.splitlines()[-1] == f"{picture}: the first faces with their masks"
    assert Image.open(picture).size[0] > 1000  # six faces in a row


def test_an_overlay_that_is_no_png_is_refused_before_the_work(faces):
    done = run(f"--data_dir={faces}", "--overlay=out.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: An overlay is a PNG file, so its name must end in .png. Received: out.jpg.\n"


def test_unpacking_shows_its_progress(faces, tmp_path):
    images = faces / "img_align_celeba"
    shutil.make_archive(images, "zip", faces, images.name)
    shutil.rmtree(images)
    (tmp_path / "mediapipe").mkdir()
    (tmp_path / "mediapipe/__init__.py").write_text("raise ImportError\n")  # ends the command after that
    code = "from farkeras import annotate; from farkeras.cli import progress, run; "
    code += "progress.SECONDS_BETWEEN_LINES = 0; run.run_command(annotate.define, annotate.main)"
    command = [sys.executable, "-c", code, f"--data_dir={faces}"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.stdout.splitlines()[-1].startswith("Unpacking 11/11 files  ")  # the folder is one of them
    assert done.stderr.startswith("error: Finding faces needs MediaPipe")
    assert len(list(images.iterdir())) == 10


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


def test_without_mediapipe_one_line_says_what_to_install(faces, tmp_path):
    (tmp_path / "mediapipe").mkdir()
    (tmp_path / "mediapipe/__init__.py").write_text("raise ImportError\n")
    done = run(f"--data_dir={faces}", "--workers=2", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: ")
    assert "pip install 'farkeras[keypoints]'" in done.stderr
    assert not (faces / "keypoints").exists()


def test_tensorflow_is_not_imported():
    code = "import sys, farkeras.annotate; sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
