"""`python -m farkeras.align` as a user runs it: crops, one line for each photo without one, exit codes."""

import os
import subprocess
import sys

import pytest
from PIL import Image


def run(*arguments, **environment):
    command = [sys.executable, "-m", "farkeras.align", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, **environment})


def test_a_folder_of_drawn_faces_and_a_text(faces_dir, tmp_path):
    pytest.importorskip("mediapipe")
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    not_utf8 = os.fsdecode(b"3\xfc.jpg")
    for number, name in enumerate(("1.jpg", "2.jpg", not_utf8), 1):
        (photos / "sub" / name).symlink_to(faces_dir / f"img_align_celeba/{number:06}.jpg")
    (photos / "text.jpg").write_text("text")
    done = run(photos, tmp_path / "none.jpg", f"--output={tmp_path / 'crops'}", "--workers=2")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: {photos}/text.jpg is not an image; expected JPEG, PNG or another format that Pillow reads.",
        f"error: There is no file {tmp_path}/none.jpg; check the path.",
    ]
    assert done.stdout.startswith(f"{tmp_path}/crops: 3 crops of 3 of 5 photos, ")
    assert done.stdout.endswith(" photos/s; see crops.csv\n")
    assert sorted(path.name for path in (tmp_path / "crops/sub").iterdir()) == ["1.jpg", "2.jpg", not_utf8]
    assert "\nsub/3\\udcfc.jpg," in (tmp_path / "crops/crops.csv").read_text(encoding="utf-8")
    with Image.open(tmp_path / "crops/sub/1.jpg") as crop:
        assert crop.size == (178, 218)

    done = run(photos / "sub", f"--output={tmp_path / 'all'}", "--all_faces", "--workers=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "1_1.jpg",
        "2_1.jpg",
        os.fsdecode(b"3\xfc_1.jpg"),
        "crops.csv",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: No photo given: python -m farkeras.align PHOTO_OR_FOLDER... --output=DIR.\n"),
        (["a.jpg"], "error: --output is missing. Folder of the crops; existing crops are replaced.\n"),
        (["a.jpg", "--output=."], "error: The output folder . overlaps with the photo folder .; "),
    ],
)
def test_wrong_command(arguments, message):
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(message)


def test_an_empty_folder_makes_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    done = run(tmp_path / "empty", f"--output={tmp_path / 'crops'}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path}/empty holds no photo; expected files that end in ")
    assert not (tmp_path / "crops").exists()


def test_without_mediapipe_one_line_says_what_to_install(faces_dir, tmp_path):
    (tmp_path / "mediapipe").mkdir()
    (tmp_path / "mediapipe/__init__.py").write_text("raise ImportError\n")
    photo = faces_dir / "img_align_celeba/000001.jpg"
    done = run(photo, f"--output={tmp_path / 'crops'}", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "pip install 'farkeras[keypoints]'" in done.stderr
    assert not (tmp_path / "crops").exists()


def test_tensorflow_is_not_imported():
    code = "import sys, farkeras, farkeras.align; farkeras.align_face; sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
