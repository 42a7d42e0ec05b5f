"""An ONNX file, run by ONNX Runtime, gives the model's numbers from aligned crops."""

import json
import sys

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
import tf2onnx

from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.exporters import onnx as exporter
from farkeras.exporters.onnx import OPSET, write_onnx
from farkeras.exporters.reference import ParityImages
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, load_model, save_model
from tests.bad_images import smooth_image
from tests.exporters.conftest import GROUPING

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def session(onnx_model):
    return onnxruntime.InferenceSession(onnx_model.path / "model.onnx", providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("batch", [1, 3])
def test_the_models_numbers_at_any_batch(session, workdir, batch):
    crops = np.stack([np.roll(smooth_image(), 40 * i, axis=1) for i in range(batch)])
    model, metadata = load_model(workdir)
    expected = model.probabilities(metadata.preprocessing.resize(crops))
    (probabilities,) = session.run(["probabilities"], {"images": crops})
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_inputs_and_outputs(session):
    described = {node.name: (node.type, node.shape) for node in (*session.get_inputs(), *session.get_outputs())}
    assert described == {
        "images": ("tensor(uint8)", ["batch", 218, 178, 3]),
        "probabilities": ("tensor(float)", ["batch", 7]),
    }


def test_the_checker_is_content(onnx_model):
    model = onnx.load(onnx_model.path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import if not opset.domain] == [OPSET]


def test_names_and_settings_lie_in_the_file_and_beside_it(onnx_model, session, as_passed_on):
    inside = session.get_modelmeta().custom_metadata_map
    assert tuple(inside["labels"].split("\n")) == GROUPING.attributes
    values = json.loads(inside["farkeras"])
    assert ModelMetadata.from_dict(values) == as_passed_on(onnx_model.path)
    assert values == json.loads((onnx_model.path / "farkeras.json").read_text(encoding="utf-8"))
    assert (values["export"]["kind"], values["export"]["input_size"]) == ("onnx", [218, 178])
    assert values["export"]["versions"]["tf2onnx"]
    assert "farkeras.align" in session.get_modelmeta().description
    assert json.loads((onnx_model.path / "parity.json").read_text(encoding="utf-8")) == onnx_model.report
    assert onnx_model.report["exceeded"] == []


@pytest.mark.parametrize("before", [(218, 178), (7, 5), (48, 64), (1, 3)])
@pytest.mark.parametrize("after", [(112, 96), (13, 11), (24, 32)])
def test_resizes_as_tensorflow(before, after):
    signature = [tf.TensorSpec([None, *before, 3], tf.float32, name="x")]

    @tf.function(input_signature=signature)
    def resize(x):
        return {"y": tf.raw_ops.ResizeBilinear(images=x, size=after, half_pixel_centers=True)}

    handlers = {"ResizeBilinear": (exporter._resize_bilinear, [])}
    proto, _ = tf2onnx.convert.from_function(resize, signature, opset=OPSET, custom_op_handlers=handlers)
    images = np.random.default_rng(0).uniform(0, 255, (2, *before, 3)).astype(np.float32)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["y"], {"x": images})[0], resize(images)["y"], atol=1e-4)


def test_constants_of_a_backbone(tmp_path):
    """As those in keras.applications.ResNet50, which subtracts the mean of ImageNet."""
    inputs = keras.Input((8, 8, 3))
    mean = keras.layers.GlobalAveragePooling2D()(inputs - tf.constant([[[[1.0, 2.0, 3.0]]]]))
    model = LogitsModel(inputs, {"logits": keras.layers.Dense(7)(mean / 100.0)})
    save_model(model, ModelMetadata(GROUPING, Preprocessing((8, 8))), tmp_path / "model.keras")
    path = write_onnx(tmp_path, tmp_path / "onnx", input_size=(8, 8)).path / "model.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    crops = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    expected = tf.sigmoid(model(crops.astype(np.float32))["logits"])
    np.testing.assert_allclose(session.run(["probabilities"], {"images": crops})[0], expected, atol=1e-5)


def test_crops_of_another_size(any_workdir, tmp_path):
    exported = write_onnx(any_workdir, tmp_path / "onnx", input_size=(64, 48))
    session = onnxruntime.InferenceSession(exported.path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 64, 48, 3]
    assert exported.report is None
    assert not (exported.path / "parity.json").exists()


def test_images_to_compare_on_of_another_size(any_workdir, tmp_path):
    with pytest.raises(FarkerasError, match=r"have 218 x 178 pixels .*takes 64 x 48\. Set `input_size=218,178`"):
        write_onnx(any_workdir, tmp_path / "onnx", ParityImages(3), input_size=(64, 48))
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(any_workdir, tmp_path, monkeypatch, file_size_limit):
    def convert_then_fill_the_disk(*arguments):
        file_size_limit(50_000)
        return onnx.helper.make_model(
            onnx.helper.make_graph([], "big", [], [], [onnx.numpy_helper.from_array(np.zeros(50_000), "x")]),
            ir_version=8,
        )

    monkeypatch.setattr(exporter, "_convert", convert_then_fill_the_disk)
    with pytest.raises(FarkerasError, match=r"Cannot write the export .*onnx \(File too large\)\. Nothing was left"):
        write_onnx(any_workdir, tmp_path / "onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_packages(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(FarkerasError, match=r"The ONNX export needs tf2onnx: pip install 'farkeras\[onnx\]'"):
        write_onnx(tmp_path, tmp_path / "onnx")
