"""A SavedModel as TF Serving runs it (loader and Session) gives the model's numbers from image bytes."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import config_pb2

from farkeras.errors import FarkerasError
from farkeras.exporters import saved_model as exporter
from farkeras.exporters.parity import ParityError
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.saved_model import write_saved_model
from farkeras.exporters.served_images import MAX_PIXELS
from farkeras.files import plain_path
from farkeras.models.model_file import ModelMetadata, load_model
from farkeras.wire.protos.serving_pb2 import PredictionLog
from tests.bad_images import HTML, encode, half, jpeg_bomb, png_bomb, smooth_image
from tests.exporters.conftest import GROUPING

pytestmark = pytest.mark.core

ENDPOINTS = ("serving_default", "images", "tensors")


@pytest.fixture(scope="module")
def session(saved_model):
    """A Session with the SavedModel, loaded as TF Serving loads it, and the signatures."""
    with tf.Graph().as_default() as graph:
        session = tf.compat.v1.Session(graph=graph)
        with plain_path(saved_model.path) as folder:
            signatures = tf.compat.v1.saved_model.loader.load(session, ["serve"], folder).signature_def
    yield session, signatures
    session.close()


@pytest.fixture(scope="module")
def serve(session):
    """`serve(signature, value, output="probabilities")`, without the checks of Session.run, as TF Serving feeds it."""
    session, signatures = session

    def call(name, value, output="probabilities"):
        (argument,) = signatures[name].inputs.values()
        options = config_pb2.CallableOptions(feed=[argument.name], fetch=[signatures[name].outputs[output].name])
        return session._make_callable_from_options(options)(value)[0]

    return call


def test_image_bytes(serve, photos, expected):
    probabilities = serve("serving_default", np.array(photos, object))
    np.testing.assert_allclose(probabilities, expected[0], atol=5e-5)


@pytest.mark.parametrize("batch", [1, 2])
def test_any_batch(serve, photos, expected, batch):
    probabilities = serve("serving_default", np.array(photos[:batch], object))
    np.testing.assert_allclose(probabilities, expected[0][:batch], atol=5e-5)


def test_decoded_images_of_any_size(serve, photos, expected):
    for photo, probabilities in zip(photos, expected[0], strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(photo)))[None]
        np.testing.assert_allclose(serve("images", pixels)[0], probabilities, atol=5e-5)


def test_the_models_own_input(serve, expected):
    np.testing.assert_allclose(serve("tensors", expected[1]), expected[0], atol=5e-5)


def test_every_row_of_every_endpoint_says_whether_it_is_valid(serve, photos, expected):
    inputs = {"serving_default": np.array(photos, object), "images": np.zeros((3, 9, 9, 3), np.uint8)}
    inputs["tensors"] = expected[1].copy()
    for name, value in inputs.items():
        assert serve(name, value, "valid").tolist() == [True] * 3
    inputs["tensors"][1, 5, 5, 0] = np.nan
    assert serve("tensors", inputs["tensors"], "valid").tolist() == [True, False, True]


def disguised(jpeg: bytes) -> bytes:
    """The JPEG with a comment before all else that has the fields of a PNG's header in their places."""
    return jpeg[:2] + b"\xff\xfe\x00\x1c" + bytes(6) + b"IHDR" + struct.pack(">II", 1, 1) + bytes(8) + jpeg[2:]


BAD = {
    "empty": b"",
    "web page": HTML,
    "half a JPEG": half(encode(smooth_image())),
    "half a PNG": half(encode(smooth_image(), "PNG")),
    "PNG of 900 million pixels": png_bomb(),
    "JPEG of 900 million pixels": jpeg_bomb(),
    "progressive JPEG of 900 million pixels": jpeg_bomb(progressive=True),
    "PNG of one row too many": encode(Image.new("L", (2**12, MAX_PIXELS // 2**12 + 1)), "PNG"),
    "large JPEG with the header of a small PNG": disguised(encode(Image.new("L", (2**12, MAX_PIXELS // 2**12 + 1)))),
    "GIF": encode(smooth_image(), "GIF"),
    "WebP": encode(smooth_image(), "WEBP"),
}


def test_a_bad_row_does_not_spoil_the_others(serve, photos, expected):
    files = np.array([photos[0], *BAD.values(), photos[1]], object)
    valid = [True, *[False] * len(BAD), True]
    assert dict(zip(BAD, serve("serving_default", files, "valid")[1:-1].tolist(), strict=True)) == dict.fromkeys(
        BAD, False
    )
    probabilities = serve("serving_default", files)
    np.testing.assert_allclose(probabilities[valid], expected[0][:2], atol=5e-5)
    assert np.isnan(probabilities[np.logical_not(valid)]).all()


@pytest.mark.parametrize("files", [[b""], list(BAD.values()), []])
@pytest.mark.parametrize("output", ["probabilities", "valid"])
def test_nothing_but_bad_rows_is_an_error(serve, files, output):
    with pytest.raises(tf.errors.InvalidArgumentError, match="No image of the request can be decoded"):
        serve("serving_default", np.array(files, object), output)


def test_every_kind_of_jpeg_and_png_as_in_training(serve, keras_model):
    face = smooth_image()
    files = [
        encode(face.convert("L")),
        encode(face.convert("CMYK")),
        encode(face, progressive=True),
        encode(face.convert("RGBA"), "PNG"),
        encode(face.convert("P"), "PNG"),
        encode(face.resize((1, 1)), "PNG"),
        encode(smooth_image(1000, 1500)),
    ]
    probabilities = serve("serving_default", np.array(files, object))
    np.testing.assert_allclose(probabilities, keras_model(files)[0], atol=5e-5)


def test_signatures(session):
    def describe(tensors):
        return {name: (t.dtype, tuple(d.size for d in t.tensor_shape.dim)) for name, t in tensors.items()}

    assert {name: describe(session[1][name].inputs) for name in ENDPOINTS} == {
        "serving_default": {"bytes": (tf.string.as_datatype_enum, (-1,))},
        "images": {"images": (tf.uint8.as_datatype_enum, (-1, -1, -1, 3))},
        "tensors": {"images": (tf.float32.as_datatype_enum, (-1, 64, 48, 3))},
    }
    for name in ENDPOINTS:
        assert describe(session[1][name].outputs) == {
            "probabilities": (tf.float32.as_datatype_enum, (-1, 7)),
            "valid": (tf.bool.as_datatype_enum, (-1,)),
        }
        assert session[1][name].method_name == "tensorflow/serving/predict"


def test_masks(session, workdir, photos):
    model, metadata = load_model(workdir)
    session, signatures = session
    if not model.has_masks:
        assert "masks" not in signatures
        return
    pixels = np.asarray(Image.open(io.BytesIO(photos[0])))[None]
    (argument,), (output,) = signatures["masks"].inputs.values(), signatures["masks"].outputs.values()
    masks = session.run(output.name, {argument.name: pixels})
    assert masks.shape == (1, 32, 24, 8)
    np.testing.assert_allclose(masks, model.masks(metadata.preprocessing.resize(pixels)), atol=5e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("serving_default", np.array([[b"a"], [b"b"]], object)),
        ("images", np.zeros((1, 9, 9, 4), np.uint8)),
        ("images", np.zeros((9, 9, 3), np.uint8)),
        ("tensors", np.zeros((1, 48, 64, 3), np.float32)),
        ("tensors", np.zeros((64, 48, 3), np.float32)),
    ],
)
def test_wrong_shapes_are_refused(serve, name, value):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        serve(name, value)


def test_metadata_lies_beside_the_graph(saved_model, as_passed_on):
    extra = saved_model.path / "assets.extra"
    values = json.loads((extra / "farkeras.json").read_text(encoding="utf-8"))
    assert tuple(values["attributes"]) == GROUPING.attributes
    assert (extra / "labels.txt").read_text(encoding="utf-8").split() == values["attributes"]
    assert ModelMetadata.from_dict(values) == as_passed_on(saved_model.path)
    assert "farkeras.align" in values["input"]
    assert values["export"]["kind"] == "saved_model"
    assert values["export"]["format_version"] == 1
    assert [name for name in values["export"]["endpoints"] if name != "masks"] == list(ENDPOINTS)
    assert {"tensorflow", "keras", "farkeras"} <= set(values["export"]["versions"])


def test_the_comparison_lies_beside_the_graph(saved_model):
    report = json.loads((saved_model.path / "assets.extra" / "parity.json").read_text(encoding="utf-8"))
    assert report == saved_model.report
    assert (report["data"]["images"], report["exceeded"]) == (10, [])
    assert list(report["runtimes"]) == list(ENDPOINTS)
    assert max(row["max_difference"] for row in report["runtimes"].values()) <= 5e-5


def test_warm_up_requests_can_be_served(saved_model, serve):
    records = tf.data.TFRecordDataset(str(saved_model.path / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [PredictionLog.FromString(record) for record in records.as_numpy_iterator()]
    assert [len(log.predict_log.request.inputs["bytes"].string_val) for log in logs] == [1, 3]
    for request in (log.predict_log.request for log in logs):
        files = np.array(list(request.inputs["bytes"].string_val), object)
        assert np.isfinite(serve(request.model_spec.signature_name, files)).all()


def test_warm_up_sizes_out_of_range(any_workdir, tmp_path):
    with pytest.raises(FarkerasError, match=r"must be at most 1000 numbers above 0\. Received: \[1, 0\]"):
        write_saved_model(any_workdir, tmp_path, warmup_batch_sizes=(1, 0))


@pytest.fixture
def quick(monkeypatch):
    """Writes less than TensorFlow does."""

    class Archive:
        def write_out(self, path, verbose):
            (Path(path) / "saved_model.pb").touch()

    monkeypatch.setattr(exporter, "_archive", lambda *_: Archive())


def test_next_version(any_workdir, tmp_path, quick):
    for name in ("2", "10", "notes", "3.partial", "11.rejected"):
        (tmp_path / name).mkdir()
    exported = write_saved_model(any_workdir / "model.keras", tmp_path)
    assert exported == (tmp_path / "11", None)
    assert not (tmp_path / "11" / "assets.extra" / "parity.json").exists()


def test_other_numbers_are_kept_aside(any_workdir, tmp_path, quick, monkeypatch):
    zeros = {"images": lambda faces: np.zeros((len(faces.crops), 7))}
    monkeypatch.setattr(exporter, "session_runtimes", lambda *_: zeros)
    with pytest.raises(
        ParityError, match=r"images: max_difference .*, limit 5e-05\. The export is kept in .*1\.rejected"
    ):
        write_saved_model(any_workdir, tmp_path, ParityImages(3))
    assert [path.name for path in tmp_path.iterdir()] == ["1.rejected"]
    report = json.loads((tmp_path / "1.rejected" / "assets.extra" / "parity.json").read_text())
    assert len(report["exceeded"]) == 1


def test_a_full_disk_leaves_no_partial_version(any_workdir, tmp_path, monkeypatch, file_size_limit):
    def load_then_fill_the_disk(*arguments):
        loaded = load_model(*arguments)
        file_size_limit(50_000)
        return loaded

    monkeypatch.setattr(exporter, "load_model", load_then_fill_the_disk)
    with pytest.raises(FarkerasError, match=r"Cannot write the export .*1 \(File too large\)\. Nothing was left"):
        write_saved_model(any_workdir, tmp_path)
    assert not list(tmp_path.iterdir())


def test_export_dir_that_is_a_file(any_workdir, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FarkerasError, match=r"Cannot write the export .*file"):
        write_saved_model(any_workdir, tmp_path / "file")


def test_no_model(tmp_path):
    with pytest.raises(FarkerasError, match="No model at"):
        write_saved_model(tmp_path / "nowhere", tmp_path / "export")
    assert not (tmp_path / "export").exists()
