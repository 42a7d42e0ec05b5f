"""Predict over gRPC, as TF Serving answers it."""

import io
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from farkeras.clients import GrpcClient, RestClient
from farkeras.consistency.answers import Consistency
from farkeras.consistency.rules import Contradiction
from farkeras.inference.recognizer import load
from farkeras.models.model_file import load_model
from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_proto
from tests.serving.target import PREDICTION, code_of, predict_request

X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    """JPEG and PNG files of different sizes."""
    random, files = np.random.default_rng(0), []
    for size, kind in (((178, 218), "JPEG"), ((60, 90), "JPEG"), ((178, 218), "PNG")):
        file = io.BytesIO()
        small = Image.fromarray(random.integers(0, 256, (6, 5, 3), np.uint8))
        small.resize(size, Image.Resampling.BICUBIC).save(file, kind)
        files.append(file.getvalue())
    return files


@pytest.fixture(scope="module")
def keras_model(models, photos):
    """The model's inputs for the photos, and what Keras makes of them."""
    model, metadata = load_model(models / "faces" / "model.keras")
    inputs = tf.stack([metadata.preprocessing.resize(metadata.preprocessing.decode(photo)) for photo in photos])
    temperatures, shifts = (
        list(values.values()) for values in (metadata.calibration.temperatures, metadata.calibration.shifts)
    )
    return inputs.numpy(), tf.sigmoid(model(inputs)["logits"] / temperatures + shifts).numpy()


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_image_files_have_the_keras_models_probabilities(serving_target, photos, keras_model, rows):
    answer = serving_target.values("faces", {"bytes": np.array(photos[:rows], object)})
    assert np.ptp(keras_model[1]) > 0.1, "this test would not see a wrong answer"
    np.testing.assert_allclose(answer["probabilities"], keras_model[1][:rows], atol=5e-5)


def test_decoded_images_and_ready_tensors_do_too(serving_target, photos, keras_model):
    inputs, expected = keras_model
    pixels = np.asarray(Image.open(io.BytesIO(photos[2])))[None]
    images = serving_target.values("faces", {"images": pixels}, signature="images")
    np.testing.assert_allclose(images["probabilities"], expected[2:], atol=5e-5)
    tensors = serving_target.values("faces", {"images": inputs}, signature="tensors")
    np.testing.assert_allclose(tensors["probabilities"], expected, atol=5e-5)


def test_clients_decide_as_the_keras_model_does(serving_target, models, photos):
    """Over gRPC and REST, with the thresholds of the export, and also without contradictions."""
    recognizer = load(models / "faces")
    expected = list(recognizer.predict_each(photos, align=False, min_confidence=0.8))
    present = expected[0].positive[0]  # never alone, by this rule
    rules = [Contradiction((present,), (other,)) for other in recognizer.attributes if other != present]
    consistency = Consistency(recognizer.attributes, rules)
    consistent = list(recognizer.predict_each(photos, align=False, consistency=consistency))
    assert {decision for answer in expected for decision in answer.decisions.values()} == {True, False, None}
    for client in (
        GrpcClient(serving_target.address, models / "faces", model="faces"),
        RestClient(serving_target.rest_address, models / "faces", model="faces"),
    ):
        with client:
            answers = client.recognize(photos, min_confidence=0.8)
            alone = client.recognize(photos, consistency=consistency)
        for answer, prediction in zip(answers, expected, strict=True):
            assert answer.probabilities == pytest.approx(prediction.probabilities, abs=5e-5)
            assert answer.decisions == prediction.decisions
            assert (answer.positive, answer.unsure) == (prediction.positive, prediction.unsure)
        assert [answer.decisions for answer in alone] == [prediction.decisions for prediction in consistent]
        assert [present] not in [answer.positive for answer in alone]


def test_the_answer_says_where_it_comes_from(serving_target):
    spec = serving_target.predict("latest", {"x": X}).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("latest", 3, "serving_default")
    spec = serving_target.predict("all", {"x": X}, version=2, signature="serving_default").model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("all", 2, "serving_default")


def test_tensors_come_in_the_typed_fields(serving_target):
    (tensor,) = serving_target.predict("latest", {"x": X}).outputs.values()
    assert (list(tensor.float_val), tensor.tensor_content) == ([3, 6, 9, 12, 15, 18], b"")
    assert [dim.size for dim in tensor.tensor_shape.dim] == [2, 3]


@pytest.mark.parametrize("packed", [True, False])
def test_every_type_there_and_back(serving_target, packed):
    inputs = {
        "float64": np.array([0.1, np.nan]),
        "int32": np.array([-(2**31), 7], np.int32),
        "int64": np.array([-(2**63), 2**63 - 1]),
        "uint8": np.array([0, 255], np.uint8),
        "bool": np.array([True, False]),
        "half": np.array([0.5, -2], np.float16),
    }
    sent = {name: to_proto(array, packed) for name, array in inputs.items()}
    answer = serving_target.values("latest", sent, signature="types")
    assert answer.keys() == inputs.keys()
    for name, array in inputs.items():
        np.testing.assert_array_equal(answer[name], array, strict=True)


def test_strings_are_bytes(serving_target):
    texts = np.array([b"", b"\xff\x00\n"], object)
    answer = serving_target.values("latest", {"number": X[0, :2], "text": texts}, signature="two")
    assert answer["twice"].tolist() == [b"", b"\xff\x00\n" * 2]
    assert answer["product"].tolist() == [3, 6]


def test_output_filter(serving_target):
    inputs = {"number": X[0], "text": np.array([b"a"] * 3, object)}
    answer = serving_target.values("latest", inputs, signature="two", outputs=["twice"])
    assert answer.keys() == {"twice"}


UNPARSEABLE = pb.TensorProto(dtype=pb.DT_FLOAT, tensor_content=b"abc", tensor_shape={"dim": [{"size": 2}, {"size": 3}]})
ENORMOUS = pb.TensorProto(dtype=pb.DT_FLOAT, float_val=[1], tensor_shape={"dim": [{"size": 2**40}, {"size": 2**20}]})
NEGATIVE = pb.TensorProto(dtype=pb.DT_FLOAT, float_val=[1], tensor_shape={"dim": [{"size": -2}, {"size": 3}]})
NO_TYPE = pb.TensorProto(tensor_shape={"dim": [{"size": 1}]})


@pytest.mark.parametrize(
    ("code", "model", "inputs", "options"),
    [
        ("NOT_FOUND", "missing", {"x": X}, {}),
        ("NOT_FOUND", "latest", {"x": X}, {"version": 99}),
        ("NOT_FOUND", "latest", {"x": X}, {"version": 1}),
        ("INVALID_ARGUMENT", "", {"x": X}, {}),
        ("INVALID_ARGUMENT", "labelled", {"x": X}, {"label": "missing"}),
        ("INVALID_ARGUMENT", "latest", {"x": X}, {"label": "stable"}),
        ("FAILED_PRECONDITION", "latest", {"x": X}, {"signature": "missing"}),
        ("INVALID_ARGUMENT", "latest", {}, {}),
        ("INVALID_ARGUMENT", "latest", {"z": X}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": X, "z": X}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": X}, {"outputs": ["missing"]}),
        ("INVALID_ARGUMENT", "latest", {"x": X}, {"outputs": ["y", "y"]}),
        ("INVALID_ARGUMENT", "latest", {"x": X.astype(np.float64)}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": X.astype(np.int32)}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": np.array([b"a"], object)}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": X[:, :2]}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": X[0]}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": UNPARSEABLE}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": ENORMOUS}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": NEGATIVE}, {}),
        ("INVALID_ARGUMENT", "latest", {"x": NO_TYPE}, {}),
        ("INVALID_ARGUMENT", "faces", {"bytes": np.array([[b"a"]], object)}, {}),
        ("INVALID_ARGUMENT", "faces", {"images": np.zeros((1, 9, 9, 4), np.uint8)}, {"signature": "images"}),
        ("INVALID_ARGUMENT", "faces", {"images": np.zeros((9, 9, 3), np.uint8)}, {"signature": "images"}),
        ("INVALID_ARGUMENT", "faces", {"images": np.zeros((1, 48, 64, 3), np.float32)}, {"signature": "tensors"}),
        ("INVALID_ARGUMENT", "faces", {"images": np.zeros((64, 48, 3), np.float32)}, {"signature": "tensors"}),
    ],
)
def test_codes_of_errors(serving_target, code, model, inputs, options):
    assert code_of(lambda: serving_target.predict(model, inputs, **options)) == code
    assert code_of(lambda: serving_target.predict("latest", {"x": X})) == "OK"


def test_what_is_no_image(serving_target):
    files = np.array([b"no image", b"\xff\xd8\xff\xe0"], object)
    assert code_of(lambda: serving_target.predict("faces", {"bytes": files})) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("content", [b"\xff" * 50, b"\x0a\x7f", bytes(range(256))])
def test_what_is_no_message(serving_target, content):
    assert code_of(lambda: serving_target.raw(PREDICTION + "Predict", content)) in ("INTERNAL", "INVALID_ARGUMENT")


def test_an_empty_message_names_no_model(serving_target):
    assert code_of(lambda: serving_target.raw(PREDICTION + "Predict", b"")) == "INVALID_ARGUMENT"


def test_unknown_methods(serving_target):
    assert code_of(lambda: serving_target.raw("/tensorflow.serving.PredictionService/Paint", b"")) == "UNIMPLEMENTED"
    assert code_of(lambda: serving_target.raw("/no.such.Service/Predict", b"")) == "UNIMPLEMENTED"


def test_deadline(serving_target):
    steps, start = {"steps": np.array([3000], np.int32)}, time.monotonic()
    assert code_of(lambda: serving_target.predict("latest", steps, 0.3, signature="slow")) == "DEADLINE_EXCEEDED"
    assert time.monotonic() - start < 10
    assert code_of(lambda: serving_target.predict("latest", {"x": X})) == "OK"


def test_large_requests_are_received(serving_target):
    rows = np.ones((2**20, 3), np.float32)  # 12 MB
    assert serving_target.values("latest", {"x": rows}, outputs=["y"])["y"].shape == rows.shape


def test_an_answer_above_the_clients_limit(serving_target):
    """gRPC clients take 4 MiB unless they say otherwise."""
    request = predict_request("latest", {"size": np.array(2**21, np.int32)}, signature="zeros").SerializeToString()
    with grpc.insecure_channel(serving_target.address) as channel:
        call = channel.unary_unary(PREDICTION + "Predict")
        assert code_of(lambda: call(request, timeout=30)) == "RESOURCE_EXHAUSTED"
    assert len(serving_target.raw(PREDICTION + "Predict", request)) > 2**22
