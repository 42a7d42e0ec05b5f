"""The same JPEG files through every runtime, by code that knows nothing of farkeras: everywhere the model's numbers.

Pillow reads the files; the resize is in the exported graphs.
"""

import io

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from farkeras.clients.openvino import import_openvino
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.tflite import write_tflite
from farkeras.files import plain_path
from farkeras.serving.servable import Servable

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


def test_crops_in_litert(workdir, files, crops, keras_model, tmp_path):
    (exported,) = write_tflite(workdir, tmp_path, ParityImages(0), ["float32"])
    run = Interpreter(str(exported.path / "model.tflite")).get_signature_runner()
    probabilities = [run(images=crop[None])["probabilities"][0] for crop in crops]
    np.testing.assert_allclose(probabilities, keras_model(files)[0], atol=5e-5)
