"""A model file holds the model and what it was trained on; damaged and foreign ones are named."""

import json
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.data.preprocessing import Preprocessing
from farkeras.decisions import Calibration
from farkeras.errors import FarkerasError
from farkeras.models import FARAMTN, LogitsModel, ScoreFusion, SharedTrunk
from farkeras.models.model_file import (
    ModelMetadata,
    copy_matching_weights,
    current_versions,
    load_model,
    read_metadata,
    replace_calibration,
    save,
    save_model,
)

pytestmark = pytest.mark.core

GROUPING = Grouping({"second": ("b",), "first": ("c", "a")}, ("a", "b", "c"))
METADATA = ModelMetadata(
    GROUPING,
    Preprocessing((48, 32), (0.0, 0.1, 1.0, 0.9)),
    Config(image_size=(48, 32)).to_dict(),
    {"step": 7, "mean_accuracy": 0.75, "loss": None},
    current_versions(),
)


def make_model(attributes=GROUPING, model_class=FARAMTN, width=8, seed=0, **options):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((48, 32, 3), name="images")
    x = keras.layers.Conv2D(width, 3, strides=4, activation="relu", name="stem")(inputs)
    network = keras.Model(inputs, keras.layers.Conv2D(2 * width, 3, name="last")(x), name="small")
    return model_class(attributes, network, **options)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def path(model, tmp_path):
    save_model(model, METADATA, tmp_path / "model.keras")
    return tmp_path / "model.keras"


def logits(model):
    return model(np.random.default_rng(0).uniform(0, 255, (2, 48, 32, 3)).astype("float32"))["logits"].numpy()


@pytest.mark.parametrize("by", ["file", "workdir"])
def test_round_trip(model, path, by):
    loaded, metadata = load_model(path if by == "file" else path.parent)
    assert read_metadata(path if by == "file" else path.parent) == metadata
    assert metadata == METADATA
    assert list(metadata.grouping.groups) == ["second", "first"]  # also the order of groups
    assert Config.from_dict(metadata.config) == Config(image_size=(48, 32))
    np.testing.assert_allclose(logits(loaded), logits(model), atol=1e-6)


def test_a_calibration_is_stored_and_changes_probabilities_but_not_weights(model, path):
    calibration = Calibration(
        {"a": 2.0, "b": 0.5, "c": 1.0},
        {"a": 0.0, "b": 1.0, "c": -0.5},
        {"a": 0.2, "b": 0.3, "c": 0.4},
        notes={"c": ["few"]},
    )
    names = zipfile.ZipFile(path).namelist()
    replace_calibration(path, calibration)
    assert sorted(zipfile.ZipFile(path).namelist()) == sorted(names)
    loaded, metadata = load_model(path)
    assert metadata == replace(METADATA, calibration=calibration)
    assert metadata.thresholds == {"a": 0.2, "b": 0.3, "c": 0.4}
    np.testing.assert_array_equal(logits(loaded), logits(load_model(path, "none")[0]))
    images = np.random.default_rng(0).uniform(0, 255, (2, 48, 32, 3)).astype("float32")
    expected = 1 / (1 + np.exp(-logits(loaded) / [2.0, 0.5, 1.0] - [0.0, 1.0, -0.5]))
    np.testing.assert_allclose(loaded.probabilities(images), expected, atol=1e-6)
    np.testing.assert_allclose(loaded.answers(images)["probabilities"], expected, atol=1e-6)
    again = zipfile.ZipFile(path)
    assert not again.testzip()
    replace_calibration(path, None)
    assert read_metadata(path) == METADATA


def test_calibrate_none_and_files_of_earlier_versions(path):
    loaded, metadata = load_model(path)
    assert (loaded.calibration, metadata.calibration) == (None, None)
    assert metadata.thresholds == {"a": 0.5, "b": 0.5, "c": 0.5}
    replace_calibration(
        path,
        Calibration({"a": 2.0, "b": 2.0, "c": 2.0}, {"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 0.1, "b": 0.1, "c": 0.1}),
    )
    loaded, metadata = load_model(path, calibrate="none")
    assert (loaded.calibration, metadata.calibration) == (None, None)
    values = METADATA.to_dict()
    del values["calibration"]  # as version 0.1.0 wrote it before
    assert ModelMetadata.from_dict(values) == METADATA
    with pytest.raises(FarkerasError, match="`calibrate` must be one of auto, none"):
        load_model(path, calibrate="no")


def test_a_calibration_that_cannot_be_stored_leaves_the_file_before(path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(Calibration, "to_dict", lambda self: {"thresholds": object()})  # fails after the weights
    with pytest.raises(TypeError):
        replace_calibration(path, Calibration({}, {}, {}))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["model.keras"]


def test_it_is_a_keras_file_that_plain_keras_reads(model, path):
    np.testing.assert_allclose(logits(keras.saving.load_model(path)), logits(model), atol=1e-6)


def test_versions_are_those_in_use():
    assert current_versions()["keras"] == keras.__version__
    assert set(current_versions()) == {"python", "farkeras", "keras", "tensorflow", "numpy"}


def test_a_save_that_fails_leaves_the_file_before(model, path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(ModelMetadata, "to_dict", lambda self: {"grouping": object()})  # fails after the weights
    with pytest.raises(TypeError):
        save_model(model, METADATA, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["model.keras"]


def test_no_file(tmp_path):
    with pytest.raises(
        FarkerasError, match=r"No model at .*nowhere: expected a training run's workdir or a \.keras file"
    ):
        load_model(tmp_path / "nowhere")


def test_no_file_at_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FarkerasError, match=rf"No model at runs/a in {tmp_path}: expected a training run's workdir"):
        load_model("runs/a")


def test_workdir_without_a_model(tmp_path):
    with pytest.raises(FarkerasError, match=r"holds no model\.keras: .* Train first, or wait for the first validation"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"text"])
def test_damaged_file(content, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    with pytest.raises(FarkerasError, match="is not a model file of farkeras"):
        load_model(path)


def test_someone_elses_keras_file(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(FarkerasError, match=r"other\.keras is not a model file of farkeras; expected one from"):
        load_model(tmp_path / "other.keras")


def test_newer_format(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("farkeras.json", json.dumps({"format_version": 99}))
    with pytest.raises(FarkerasError, match=r"has format 99, but .* reads formats up to 1\. Upgrade farkeras\."):
        load_model(tmp_path / "model.keras")


def test_weights_for_other_heads(model):
    other = make_model(Grouping({"second": ("x", "y"), "first": ("c", "a")}), seed=1)
    left = copy_matching_weights(model, other)
    assert left == [w.path for w in other.get_layer("head_second").weights]
    for name in ("wsgsa", "cgff", "head_first"):
        for mine, theirs in zip(other.get_layer(name).get_weights(), model.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_weights_of_equal_shape_that_mean_something_else_start_anew(model):
    # The same shapes throughout, but other members in one group, and another order of the groups.
    members = make_model(Grouping({"second": ("b",), "first": ("a", "c")}), seed=1)
    assert {path.split("/")[0] for path in copy_matching_weights(model, members)} == {"head_first"}
    order = make_model(Grouping({"first": ("c", "a"), "second": ("b",)}), seed=1)
    assert {path.split("/")[0] for path in copy_matching_weights(model, order)} == {"wsgsa"}
    stitched = [
        make_model(grouping, private_channels=8, fusion="cross_stitch")
        for grouping in (GROUPING, Grouping({"first": ("c", "a"), "second": ("b",)}))
    ]
    assert {path.split("/")[0] for path in copy_matching_weights(*stitched)} == {
        "wsgsa", "private_channels", "cross_stitch",
    }  # fmt: skip
    fused = [make_model(names, ScoreFusion) for names in (["a", "b", "c"], ["c", "b", "a"])]
    assert {path.split("/")[0] for path in copy_matching_weights(*fused)} == {"head_all", "auxiliary"}
    one_head, reordered = (make_model(names, SharedTrunk) for names in (["a", "b", "c"], ["c", "b", "a"]))
    assert copy_matching_weights(one_head, reordered) == [w.path for w in reordered.get_layer("head").weights]


def test_weights_for_another_number_of_groups(model):
    # The gates of all groups are one tensor: with another number of groups they start anew, the backbone does not.
    other = make_model(["a", "b"], seed=1)
    left = copy_matching_weights(model, other)
    assert {path.split("/")[0] for path in left} == {"wsgsa", "head_all"}
    np.testing.assert_array_equal(other.get_layer("trunk").get_weights()[0], model.get_layer("trunk").get_weights()[0])


def test_weights_of_another_architecture(model):
    other = make_model(width=16)
    before = [w.copy() for w in other.get_weights()]
    with pytest.raises(
        FarkerasError, match=r"Only [\d,]+ of [\d,]+ parameters of 'far_amtn' can be copied from 'far_amtn'"
    ):
        copy_matching_weights(model, other)
    for now, then in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_backbone_of_the_baseline_serves_far_amtn(model):
    baseline = make_model(model_class=SharedTrunk, seed=1)
    target = make_model(seed=2)
    left = copy_matching_weights(baseline, target)
    assert {path.split("/")[0] for path in left} == {"wsgsa", "cgff", "head_second", "head_first"}
    for name in ("stem", "last"):
        target_kernel = next(w for w in target.weights if w.path == f"{name}/kernel")
        baseline_kernel = next(w for w in baseline.weights if w.path == f"{name}/kernel")
        np.testing.assert_array_equal(target_kernel.numpy(), baseline_kernel.numpy())


def model_with(layer):
    inputs = keras.Input((8, 8, 3))
    return LogitsModel(inputs, {"logits": keras.layers.Dense(3)(layer(keras.layers.Flatten()(inputs)))}, name="own")


def test_code_in_a_file_from_a_stranger_is_not_run(tmp_path):
    save_model(model_with(keras.layers.Lambda(lambda x: x * 2)), METADATA, tmp_path / "model.keras")
    with pytest.raises(FarkerasError, match=r"contains Python code \(a Lambda layer\), which farkeras does not run"):
        load_model(tmp_path)


def test_code_is_not_saved(tmp_path):
    with pytest.raises(FarkerasError, match="of the model 'own' is a Lambda layer, and model files must not contain"):
        save(model_with(keras.layers.Lambda(lambda x: x * 2)), tmp_path, attributes=["a", "b", "c"])


def test_a_class_that_keras_does_not_know(tmp_path):
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    save_model(model_with(Twice()), METADATA, tmp_path / "model.keras")
    with pytest.raises(FarkerasError, match=r"cannot be loaded: Keras does not know the class Twice in it\. Expected"):
        load_model(tmp_path)
