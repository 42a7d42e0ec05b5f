"""A SavedModel as TF Serving runs it (loader and Session) gives the model's numbers from image bytes."""

import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import config_pb2

from farkeras.attributes import Grouping
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.exporters import saved_model
from farkeras.exporters.saved_model import export_saved_model
from farkeras.models import FARAMTN, MGMTN
from farkeras.models.model_file import ModelMetadata, load_model, save_model

GROUPING = Grouping({"second": ("b",), "first": ("c", "a")}, ("a", "b", "c"))
PREPROCESSING = Preprocessing((64, 48), (0.1, 0.0, 0.9, 1.0))


def mgmtn(*arguments, **options):
    return MGMTN(*arguments, **options, mask_widths=(8, 8), mask_stride=2, fusion_width=8)


@pytest.fixture(scope="module", params=[FARAMTN, mgmtn], ids=["far_amtn", "mgmtn"])
def workdir(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(0)
    model = request.param(GROUPING, "ResNetTiny", PREPROCESSING.image_size, backbone_alpha=0.25)
    for head in ("head_first", "head_second"):  # logits of different sizes, or every probability were about 1/2
        kernel = model.get_layer(head).kernel
        kernel.assign(100.0 * kernel)
    save_model(model, ModelMetadata(GROUPING, PREPROCESSING), folder / "model.keras")
    return folder


@pytest.fixture(scope="module")
def export_dir(workdir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "saved_model"
    assert export_saved_model(workdir, folder) == folder / "1"
    return folder


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    """JPEG and PNG files of different sizes."""
    random, files = np.random.default_rng(0), []
    for size, kind in (((178, 218), "JPEG"), ((60, 90), "JPEG"), ((178, 218), "PNG")):
        small = Image.fromarray(random.integers(0, 256, (6, 5, 3), np.uint8))
        file = io.BytesIO()
        small.resize(size, Image.Resampling.BICUBIC).save(file, kind)
        files.append(file.getvalue())
    return files


@pytest.fixture(scope="module")
def expected(workdir, photos):
    model, metadata = load_model(workdir)
    inputs = tf.stack([metadata.preprocessing.resize(metadata.preprocessing.decode(photo)) for photo in photos])
    return tf.sigmoid(model(inputs)["logits"]).numpy(), inputs.numpy()


@pytest.fixture(scope="module")
def session(export_dir):
    """A Session with the SavedModel, loaded as TF Serving loads it, and the signatures."""
    with tf.Graph().as_default() as graph:
        session = tf.compat.v1.Session(graph=graph)
        signatures = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(export_dir / "1")).signature_def
    yield session, signatures
    session.close()


@pytest.fixture(scope="module")
def serve(session):
    """`serve(signature, value) -> probabilities`."""
    session, signatures = session

    def call(name, value):
        (argument,) = signatures[name].inputs.values()
        return session.run(signatures[name].outputs["probabilities"].name, {argument.name: value})

    return call


def test_image_bytes(serve, photos, expected):
    probabilities = serve("serving_default", np.array(photos, object))
    assert np.ptp(expected[0]) > 0.1, "this test would not see a wrong answer"
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


def test_signatures(session):
    def describe(tensors):
        return {name: (t.dtype, tuple(d.size for d in t.tensor_shape.dim)) for name, t in tensors.items()}

    inputs = {name: describe(session[1][name].inputs) for name in ("serving_default", "images", "tensors")}
    assert inputs == {
        "serving_default": {"bytes": (tf.string.as_datatype_enum, (-1,))},
        "images": {"images": (tf.uint8.as_datatype_enum, (-1, -1, -1, 3))},
        "tensors": {"images": (tf.float32.as_datatype_enum, (-1, 64, 48, 3))},
    }
    for name in inputs:
        assert describe(session[1][name].outputs) == {"probabilities": (tf.float32.as_datatype_enum, (-1, 3))}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("serving_default", np.array([[b"a"], [b"b"]], object)),
        ("images", np.zeros((1, 9, 9, 4), np.uint8)),
        ("images", np.zeros((9, 9, 3), np.uint8)),
        ("tensors", np.zeros((1, 48, 64, 3), np.float32)),
    ],
)
def test_wrong_shapes_are_refused(serve, name, value):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        serve(name, value)


def test_the_graph_itself_refuses_wrong_shapes(session):
    # TF Serving feeds tensors without the check in Session.run.
    session, signatures = session
    feed, fetch = signatures["tensors"].inputs["images"].name, signatures["tensors"].outputs["probabilities"].name
    call = session._make_callable_from_options(config_pb2.CallableOptions(feed=[feed], fetch=[fetch]))
    assert call(np.zeros((1, 64, 48, 3), np.float32))[0].shape == (1, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(np.zeros((1, 96, 96, 3), np.float32))


def test_metadata_lies_beside_the_graph(export_dir, workdir):
    values = json.loads((export_dir / "1" / "assets.extra" / "farkeras.json").read_text(encoding="utf-8"))
    assert values["attributes"] == ["a", "b", "c"]
    assert ModelMetadata.from_dict(values) == load_model(workdir)[1]


def test_next_version(workdir, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "_archive", lambda *_: Archive())
    for name in ("2", "10", "notes", "3.partial"):
        (tmp_path / name).mkdir()
    assert export_saved_model(workdir / "model.keras", tmp_path) == tmp_path / "11"


class Archive:
    """Writes less than TensorFlow does."""

    def write_out(self, path, verbose):
        Path(path).mkdir()


def test_an_error_leaves_no_partial_version(workdir, tmp_path, monkeypatch):
    class Full(Archive):
        def write_out(self, path, verbose):
            super().write_out(path, verbose)
            raise OSError("No space left on device")

    monkeypatch.setattr(saved_model, "_archive", lambda *_: Full())
    with pytest.raises(
        FarkerasError, match=r"Cannot write the export to .*: No space left on device\. Nothing was left"
    ):
        export_saved_model(workdir, tmp_path)
    assert not list(tmp_path.iterdir())


def test_export_dir_that_is_a_file(workdir, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FarkerasError, match=r"Cannot write the export to .*file"):
        export_saved_model(workdir, tmp_path / "file")


def test_no_model(tmp_path):
    with pytest.raises(FarkerasError, match="No model at"):
        export_saved_model(tmp_path / "nowhere", tmp_path / "export")
    assert not (tmp_path / "export").exists()
