"""The wheel, made from the source distribution and installed alone: from drawn faces to the answer of a server."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = "--image_size=32,32 --backbone_alpha=0.25 --epochs=1 --batch_size=16 --steps_per_loop=4".split()


def build(kind, source, output):
    code = f"import setuptools.build_meta as backend; print(backend.build_{kind}({str(output)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return output / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name, follow_symlinks=False)
    with tarfile.open(build("sdist", folder / "source", folder)) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return build("wheel", unpacked, folder)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs a command of an environment that has the wheel, in an empty folder; gives its output and that folder."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    # The packages that farkeras needs; a path in a .pth file does not bring what is installed there for editing.
    (packages / "needed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    folder = tmp_path_factory.mktemp("empty")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments, code=0):
        done = subprocess.run(
            [home / "bin" / "farkeras", *map(str, arguments)],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == code, done.stderr[-2000:]
        return done

    run.folder, run.packages, run.script, run.environment = folder, packages, home / "bin" / "farkeras", environment
    return run


def test_what_the_wheel_holds(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for script in ("export/export_onnx.py", "export/export_openvino.py", "serving/client_grpc.py"):
            assert archive.read(f"farkeras/{Path(script).name}") == (ROOT / script).read_bytes()
        for settings in (ROOT / "configs").iterdir():  # flagfiles and the plans of studies
            assert archive.read(f"farkeras/configs/{settings.name}") == settings.read_bytes()
    assert {f"farkeras/models/shipped_masks/widths_8_16_24_32_64_stride_{stride}.keras" for stride in (2, 4)} <= names
    tracked = subprocess.run(["git", "ls-files", "farkeras"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    missing = (
        {name for name in tracked if Path(name).exists() and "/dummy_data/" not in name} - names - {"farkeras/configs"}
    )
    assert not missing
    assert not [name for name in names if not name.startswith(("farkeras/", "farkeras-"))]


PYTHON = """
import json, os, farkeras
assert not farkeras.__file__.startswith(os.environ["ROOT"])
evaluated = farkeras.evaluate_run("run")
few = farkeras.ParityImages(16)
exported = farkeras.export_run("run", ["saved_model", "onnx"], images=few)
for name in ("tflite", "openvino"):
    exported += farkeras.export_run("run", [name], images=few, precisions=["float32"])
(predicted,) = farkeras.predict_folder("run", "crops", align=False)
print(json.dumps([evaluated.evaluation["num_images"], [str(e.path) for e in exported], predicted.probabilities]))
"""


def test_from_drawn_faces_to_the_answer_of_a_server(installed):
    folder = installed.folder
    installed("synthesize", "--num_images=160", "--output=faces")
    trained = installed("train", "--flagfile=demo", "--data_dir=faces", "--workdir=run", *SMALL)
    assert f"demo: {installed.packages}/farkeras/configs/demo.flags\n" in trained.stderr
    assert "Best model: run/model.keras" in trained.stdout

    crop = folder / "crops" / "face.jpg"
    crop.parent.mkdir()
    shutil.copy(sorted((folder / "faces" / "img_align_celeba").iterdir())[0], crop)
    command = [installed.script.with_name("python"), "-c", PYTHON]
    environment = installed.environment | {"ROOT": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    num_images, exported, predicted = json.loads(done.stdout.splitlines()[-1])
    assert num_images == 16
    assert exported == [
        f"run/export/{name}" for name in ("saved_model/1", "onnx", "tflite/float32", "openvino/float32")
    ]
    assert (folder / "run" / "report.html").exists()

    model = folder / "run" / "export" / "saved_model"
    serve = [installed.script, "serve", f"--model_dir={model}", "--port=0", "--rest_api_port=0"]
    with subprocess.Popen(serve, cwd=folder, env=installed.environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = next(found[1] for line in server.stdout if (found := re.match(r"Serving: gRPC at (\S+),", line)))
            asked = installed("client_grpc", crop, f"--server={address}", f"--metadata={model / '1'}", "--json")
        finally:
            server.terminate()
    (answer,) = json.loads(asked.stdout)
    assert answer["attributes"] == pytest.approx(predicted, abs=5e-5)


def test_a_configuration_that_is_not_there(installed):
    done = installed("train", "--flagfile=nowhere", "--workdir=other", code=1)
    assert done.stderr.startswith("error: ")
    assert "nowhere" in done.stderr
    assert done.stderr.count("\n") == 1
