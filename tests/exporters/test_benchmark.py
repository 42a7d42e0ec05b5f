"""The same images through every runtime: what is found of each. Times are never asserted."""

from pathlib import Path

import keras
import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.clients.openvino import has_bfloat16
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.exporters import benchmark
from farkeras.exporters.benchmark import BARE_BACKBONE, Measured, find_exports, measure_exports, take_turns
from farkeras.exporters.openvino import write_openvino
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.tflite import write_tflite
from farkeras.models import FARAMTN
from farkeras.models.model_file import ModelMetadata, save_model


@pytest.fixture(scope="module")
def workdir(faces_dir, tmp_path_factory):
    """A small model with two exports."""
    folder = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(0)
    grouping = Grouping({"Eyes": ("Eyeglasses",), "Mouth": ("Smiling",)}, ("Smiling", "Eyeglasses"))
    model = FARAMTN(grouping, "ResNetTiny", (64, 48), backbone_alpha=0.25)
    metadata = ModelMetadata(grouping, Preprocessing((64, 48)), {"source": "celeba", "data_dir": str(faces_dir)})
    save_model(model, metadata, folder / "model.keras")
    list(write_tflite(folder, folder / "export" / "tflite", ParityImages(0), ["float32"]))
    list(write_openvino(folder, folder / "export" / "openvino", ParityImages(0), ["float32"]))
    return folder


def test_keras_an_export_and_the_bare_backbone(workdir):
    rows = measure_exports(workdir, workdir / "export", ParityImages(3), threads=[1], rounds=2, bare_backbone=True)
    assert [(row.name, row.threads) for row in rows] == [
        ("Keras", 1),
        ("LiteRT float32", 1),
        ("OpenVINO float32", 1),
        *([("OpenVINO bfloat16", 1)] if has_bfloat16() else []),
        (f"LiteRT {BARE_BACKBONE}", 1),
    ]
    for row in rows:
        assert len(row.seconds) == 6
        assert 0 < row.p50 <= row.p99
        assert row.memory > 10e6
    keras_row, litert, openvino, *in_bfloat16, bare = rows
    folder = workdir / "export" / "openvino" / "float32"
    assert openvino.size == sum((folder / name).stat().st_size for name in ("model.xml", "model.bin"))
    assert openvino.difference < 5e-5
    assert openvino.memory < keras_row.memory
    assert all(openvino.difference < row.difference < 0.1 for row in in_bfloat16)
    assert litert.size == (workdir / "export" / "tflite" / "float32" / "model.tflite").stat().st_size
    assert keras_row.difference < 5e-5
    assert litert.difference < 5e-5
    assert bare.difference is None
    assert litert.memory < keras_row.memory  # it has not loaded TensorFlow
    assert bare.size < litert.size


def test_figures():
    row = Measured("LiteRT", "int8", Path("model.tflite"), 1, 9, [0.001, 0.003, 0.002])
    assert (row.p50, row.images_per_second) == (0.002, 500.0)
    assert row.p99 == pytest.approx(np.quantile([0.001, 0.002, 0.003], 0.99))


@pytest.mark.parametrize("bfloat16", [True, False])
def test_what_is_exported(tmp_path, monkeypatch, bfloat16):
    monkeypatch.setattr(benchmark, "has_bfloat16", lambda: bfloat16)
    for name in ("saved_model/2", "saved_model/10", "saved_model/11.rejected", "tflite/int8", "tflite/float32", "onnx"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("openvino/float32", "openvino/int8", "openvino/int8.rejected"):
        (tmp_path / name).mkdir(parents=True)
    model = tmp_path / "openvino" / "float32" / "model.xml"
    for name in ("tflite/int8/model.tflite", "onnx/model.onnx", "openvino/int8/model.xml", model):
        (tmp_path / name).touch()
    assert find_exports(tmp_path) == [
        ("SavedModel", "", tmp_path / "saved_model" / "10"),
        ("LiteRT", "int8", tmp_path / "tflite" / "int8" / "model.tflite"),
        ("ONNX Runtime", "", tmp_path / "onnx" / "model.onnx"),
        ("OpenVINO", "float32", model),
        *([("OpenVINO bfloat16", "", model)] if bfloat16 else []),
        ("OpenVINO", "int8", tmp_path / "openvino" / "int8" / "model.xml"),
    ]


def test_nothing_exported(workdir, tmp_path):
    with pytest.raises(FarkerasError, match=r"holds no exports\. Run export/export_tflite\.py"):
        measure_exports(workdir, tmp_path, ParityImages(1))


def test_a_runtime_that_fails(tmp_path):
    file = tmp_path / "model.tflite"
    file.write_bytes(b"no model")
    row = Measured("LiteRT", "float32", file, 1, 8)
    with pytest.raises(FarkerasError, match=r"LiteRT float32 cannot run .*contains no attribute names"):
        take_turns([row], [np.zeros((218, 178, 3), np.uint8)], 1, np.zeros((1, 2), np.float32))
