"""What the commands in export/ print, and how they end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from farkeras.cli import exports
from farkeras.cli.flags import Flags
from farkeras.errors import FarkerasError
from farkeras.exporters import run
from farkeras.exporters.artifact import Exported
from farkeras.exporters.parity import ParityError

ROOT = Path(__file__).parents[2]
REPORT = {
    "data": {"images": 512, "data_dir": "data/faces", "procedural": True},
    "keras": {"mean_accuracy": 0.9123, "mean_balanced_accuracy": None},
    "runtimes": {
        "ONNX Runtime": {
            "max_difference": 3.21e-5,
            "mean_difference": 4e-7,
            "equal_decisions": 1.0,
            "mean_accuracy": 0.9122,
            "mean_balanced_accuracy": None,
        }
    },
    "exceeded": [],
}


def options(*arguments):
    values = Flags()
    exports.define(values)
    exports.define_input_size(values)
    values.parse(["export", "--workdir=runs/demo", *arguments])
    return values


def exporting(monkeypatch, *results):
    """Puts `results`, exports or errors, in the place of what is written; gives the arguments that came."""
    calls = []

    def export_each(*arguments, **named):
        calls.append((*arguments, named))
        for result in results:
            if isinstance(result, Exception):
                raise result
            yield result

    monkeypatch.setattr(run, "export_each", export_each)
    monkeypatch.setattr(exports, "silence_native_logs", lambda: None)  # it holds to the end of the process
    return calls


def test_the_table(monkeypatch, capsys):
    calls = exporting(monkeypatch, Exported(Path("runs/demo/export/onnx"), REPORT))
    given = options(
        "--parity_images=100", "--source=table", "--data_dir=a.csv", "--group_column=person", "--calibrate=none"
    )
    exports.run_exports("ONNX", "onnx", given, input_size=(64, 48))
    ((workdir, name, output, images, calibrate, named),) = calls
    assert (workdir, name, output, calibrate) == ("runs/demo", "onnx", "", "none")
    assert named == {"input_size": (64, 48)}
    assert (images.number, images.source, images.data_dir) == (100, "table", "a.csv")
    assert images.settings == {"group_column": "person"}
    printed = capsys.readouterr().out
    assert printed.startswith("512 images of the test split of data/faces; equal answers and accuracy in percent\n")
    (row,) = [line for line in printed.splitlines() if "ONNX Runtime" in line]
    assert row.replace("│", "").split() == ["ONNX", "Runtime", "3.2e-05", "4.0e-07", "100.00", "91.22", "–"]
    assert "Procedural faces: these metrics say nothing about CelebA or LFWA." in printed
    assert printed.endswith("ONNX: runs/demo/export/onnx\n")


def test_the_table_of_an_export_past_its_limits(monkeypatch, capsys):
    exporting(monkeypatch, ParityError("The export differs: it.", REPORT))
    with pytest.raises(ParityError):
        exports.run_exports("ONNX", "onnx", options())
    printed = capsys.readouterr().out
    assert "3.2e-05" in printed
    assert "ONNX: " not in printed


def test_one_table_of_several_exports_also_after_an_error(monkeypatch, capsys):
    float32 = Exported(Path("float32"), REPORT | {"runtimes": {"LiteRT float32": REPORT["runtimes"]["ONNX Runtime"]}})
    exporting(monkeypatch, float32, ParityError("The export differs: it.", REPORT))
    with pytest.raises(ParityError):
        exports.run_exports("TFLite", "tflite", options())
    printed = capsys.readouterr().out
    assert [printed.count(name) for name in ("Keras", "LiteRT float32", "ONNX Runtime")] == [1, 1, 1]
    assert printed.endswith("TFLite: float32\n")


def test_without_images(monkeypatch, capsys):
    exporting(monkeypatch, Exported(Path("there"), None))
    exports.run_exports("ONNX", "onnx", options("--parity_images=0"))
    assert (
        capsys.readouterr().out
        == "The export was not compared with the Keras model (--parity_images=0).\nONNX: there\n"
    )


@pytest.mark.parametrize("value", ["218", "218,0", "218,x", "1,2,3"])
def test_input_size(value):
    assert exports.input_size(options("--input_size=64,48")) == (64, 48)
    with pytest.raises(FarkerasError, match=rf"--input_size must be .*\. Received: {value}\."):
        exports.input_size(options(f"--input_size={value}"))


def export(name, *arguments):
    command = [sys.executable, str(ROOT / "export" / f"export_{name}.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)


def test_a_workdir_without_a_model_is_one_line(tmp_path):
    done = export("onnx", f"--workdir={tmp_path}")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path} holds no model.keras: expected the --workdir of a training run after its first validation. "
        "Train first, or wait for the first validation.\n"
    )
    assert not list(tmp_path.iterdir())
