"""The same JPEG files through every runtime, by code that knows nothing of farkeras: everywhere the model's numbers.

Pillow reads the files; the resize is in the exported graphs.
"""

import io
import json

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from farkeras.clients.litert import LiteRTRecognizer
from farkeras.clients.openvino import OpenVINORecognizer, import_openvino
from farkeras.decisions import decide
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.tflite import write_tflite
from farkeras.files import plain_path
from farkeras.inference.recognizer import load
from farkeras.serving.servable import Servable
from tests.exporters.conftest import CALIBRATION

openvino = import_openvino()


@pytest.fixture(scope="module")
def files(faces_dir) -> list[bytes]:
    """Twelve drawn faces, 178 x 218."""
    return [path.read_bytes() for path in sorted((faces_dir / "img_align_celeba").iterdir())[:12]]


@pytest.fixture(scope="module")
def crops(files):
    return np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])


@pytest.fixture(scope="module")
def in_session(saved_model):
    """A SavedModel in a Session: `in_session(signature, values)`."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default(), plain_path(saved_model.path) as folder:
        signatures = tf.compat.v1.saved_model.loader.load(session, ["serve"], folder).signature_def

    def run(signature, values):
        (feed,) = signatures[signature].inputs.values()
        return session.run(signatures[signature].outputs["probabilities"].name, {feed.name: values})

    yield run
    session.close()


def test_the_local_server_loads_it_from_a_folder_of_any_name(saved_model):
    servable = Servable(saved_model.path)
    assert {"serving_default", "images", "tensors"} <= set(servable.signatures)
    servable.close()


def test_image_bytes_in_a_session(in_session, files, keras_model):
    probabilities = in_session("serving_default", np.array(files, object))
    np.testing.assert_allclose(probabilities, keras_model(files)[0], atol=5e-5)


def test_crops_in_a_session(in_session, files, crops, keras_model):
    np.testing.assert_allclose(in_session("images", crops), keras_model(files)[0], atol=5e-5)


def test_crops_in_onnx_runtime(onnx_model, files, crops, keras_model):
    session = onnxruntime.InferenceSession(onnx_model.path / "model.onnx", providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": crops})
    np.testing.assert_allclose(probabilities, keras_model(files)[0], atol=5e-5)


@pytest.mark.parametrize("batch", [1, 5, 12])
def test_crops_in_openvino(openvino_models, files, crops, keras_model, batch):
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(openvino_models["float32"].path / "model.xml", "CPU", options)
    probabilities = [model({"images": crops[i : i + batch]})["probabilities"] for i in range(0, 12, batch)]
    np.testing.assert_allclose(np.concatenate(probabilities), keras_model(files)[0], atol=5e-5)


@pytest.fixture(scope="module")
def tflite_model(workdir, tmp_path_factory):
    (exported,) = write_tflite(workdir, tmp_path_factory.mktemp("tflite"), ParityImages(0), ["float32"])
    return exported.path / "model.tflite"


def test_crops_in_litert(tflite_model, files, crops, keras_model):
    run = Interpreter(str(tflite_model)).get_signature_runner()
    probabilities = [run(images=crop[None])["probabilities"][0] for crop in crops]
    np.testing.assert_allclose(probabilities, keras_model(files)[0], atol=5e-5)


def test_every_file_has_the_thresholds_and_makes_the_same_decisions(
    workdir, saved_model, in_session, onnx_model, openvino_models, tflite_model, files, crops
):
    """Keras, SavedModel, ONNX, OpenVINO and LiteRT, each with what its own file says."""
    keras_answers = [p.decisions for p in load(workdir).predict_each(files, align=False, min_confidence=0.7)]
    assert {True, False, None} == {decision for answer in keras_answers for decision in answer.values()}
    session = onnxruntime.InferenceSession(onnx_model.path / "model.onnx", providers=["CPUExecutionProvider"])
    onnx = json.loads(session.get_modelmeta().custom_metadata_map["farkeras"])
    served = json.loads((saved_model.path / "assets.extra" / "farkeras.json").read_text())
    rows = {
        "ONNX": (onnx, session.run(["probabilities"], {"images": crops})[0]),
        "SavedModel": (served, in_session("images", crops)),
    }
    runners = (LiteRTRecognizer(tflite_model), OpenVINORecognizer(openvino_models["float32"].path / "model.xml"))
    for runner in runners:
        rows[type(runner).__name__] = runner.metadata, runner.probabilities(list(crops))
        assert runner.thresholds == CALIBRATION.thresholds
        assert [runner.decide(answer, 0.7) for answer in runner(files)] == keras_answers
    for name, (metadata, probabilities) in rows.items():
        assert metadata["calibration"] == CALIBRATION.to_dict(), name
        assert metadata["export"]["calibrated"] is True
        assert metadata["export"]["calibrate"] == "auto"
        thresholds = metadata["calibration"]["thresholds"]
        named = [dict(zip(metadata["attributes"], row, strict=True)) for row in probabilities.tolist()]
        assert [decide(row, thresholds, 0.7) for row in named] == keras_answers, name


def test_calibrate_none_leaves_it_out(any_workdir, files, crops, tmp_path):
    (exported,) = write_tflite(any_workdir, tmp_path, ParityImages(4), ["float32"], calibrate="none")
    runner, recognizer = LiteRTRecognizer(exported.path / "model.tflite"), load(any_workdir, calibrate="none")
    assert set(runner.thresholds.values()) == set(recognizer.thresholds.values()) == {0.5}
    assert runner.metadata["calibration"] is None
    assert runner.metadata["export"]["calibrated"] is False
    assert runner.metadata["export"]["calibrate"] == "none"
    own, calibrated = recognizer.probabilities(crops), load(any_workdir).probabilities(crops)
    np.testing.assert_allclose(runner.probabilities(list(crops)), own, atol=5e-5)
    assert np.abs(own - calibrated).max() > 0.05
    np.testing.assert_array_equal(own.argsort(axis=0), calibrated.argsort(axis=0))  # the ranking is the same
