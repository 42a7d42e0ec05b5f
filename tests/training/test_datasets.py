"""Data for `fit`, Keras's callbacks, and what becomes of a model that `fit` trained."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import farkeras
from farkeras.errors import FarkerasError
from farkeras.losses import MaskedBinaryCrossentropy
from farkeras.metrics import MaskedBalancedAccuracy
from farkeras.models import FARAMTN, LogitsModel
from farkeras.models.model_file import load_model
from farkeras.training.building import Run, open_data
from farkeras.training.devices import make_strategy
from tests.small_backbone import residual_backbone
from tests.training.small_run import small_config


def far_amtn(data, **options):
    model = FARAMTN(data.grouping, residual_backbone((32, 32)), reduction=4, **options)
    model.compile("adam", MaskedBinaryCrossentropy(), metrics=[MaskedBalancedAccuracy()], weighting="dws")
    return model


def test_the_training_batches_are_those_of_our_own_loop(faces_dir, tmp_path):
    config = small_config(faces_dir)
    data = farkeras.load_datasets(config)
    assert data.steps_per_epoch == 192 // 16
    assert data.train.cardinality() == tf.data.INFINITE_CARDINALITY
    ours = Run(config, tmp_path, open_data(config), make_strategy(1)).training_dataset(0)
    for batch, (images, labels) in zip(ours.take(2), data.train, strict=False):
        np.testing.assert_array_equal(images, batch["image"])
        np.testing.assert_array_equal(labels, batch["labels"])
    later = next(iter(farkeras.load_datasets(config, first_step=1).train))
    np.testing.assert_array_equal(later[0], images)


def test_validation_is_the_whole_split_once(faces_dir):
    data = farkeras.load_datasets(small_config(faces_dir))
    batches = list(data.validation)
    assert [len(labels) for _, labels in batches] == [16, 8]
    assert data.validation.cardinality() == 2
    labels = np.concatenate([labels for _, labels in batches])
    np.testing.assert_array_equal(labels, data.validation_examples.labels)


def test_images_that_cannot_be_decoded_become_unknown_labels(faces_dir, tmp_path):
    folder = tmp_path / "faces"
    (folder / "img_align_celeba").mkdir(parents=True)
    for path in faces_dir.glob("*.txt"):
        (folder / path.name).symlink_to(path)
    for path in (faces_dir / "img_align_celeba").iterdir():
        (folder / "img_align_celeba" / path.name).symlink_to(path)
    data = farkeras.load_datasets(small_config(folder))
    for path in map(folder.joinpath, data.validation_examples.paths[[0, 20]]):
        path.unlink()
        path.write_bytes(b"no image")
    labels = np.concatenate([labels for _, labels in data.validation])
    expected = np.delete(data.validation_examples.labels, [0, 20], axis=0)
    np.testing.assert_array_equal(labels, np.concatenate([expected, -np.ones_like(labels[:2])]))


def test_images_in_a_foreign_format_are_refused_before_fit_would_wait_for_them(faces_dir, tmp_path):
    shutil.copytree(faces_dir, tmp_path / "faces")
    for path in sorted((tmp_path / "faces/img_align_celeba").iterdir())[:50]:
        path.write_bytes(b"RIFF....WEBPVP8 ")
    with pytest.raises(
        FarkerasError, match=r"of 100 images cannot be decoded, more than the allowed 1%; the first is .*000001.jpg"
    ):
        farkeras.load_datasets(small_config(tmp_path / "faces"))


def test_key_points_of_a_face_that_was_not_found_are_nan(annotated_dir):
    data = farkeras.load_datasets(small_config(annotated_dir, model="mgmtn"))
    images, labels = next(iter(data.train))
    assert (images.shape, set(labels)) == ((16, 32, 32, 3), {"logits", "mask_logits"})
    assert labels["mask_logits"].shape == (16, 478, 2)
    points = np.concatenate([labels["mask_logits"] for _, labels in data.train.take(12)])
    assert np.isnan(points).all(axis=(1, 2)).sum() == 1


@pytest.fixture(scope="module")
def trained(faces_dir, tmp_path_factory):
    """A model after two epochs of `fit` with Keras's callbacks, and the folder that they wrote to."""
    folder = tmp_path_factory.mktemp("fit")
    config = small_config(faces_dir)
    data = farkeras.load_datasets(config)
    model = far_amtn(data)
    best = {"monitor": "val_balanced_accuracy", "mode": "max"}
    callbacks = [
        keras.callbacks.EarlyStopping(**best, patience=5, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(folder / "best.keras", save_best_only=True, **best),
        keras.callbacks.ModelCheckpoint(
            folder / "best.weights.h5", save_best_only=True, save_weights_only=True, **best
        ),
        keras.callbacks.TensorBoard(folder / "tensorboard"),
        keras.callbacks.CSVLogger(folder / "log.csv"),
    ]
    steps = {"steps_per_epoch": data.steps_per_epoch, "epochs": 2, "verbose": 0}
    history = model.fit(data.train, validation_data=data.validation, callbacks=callbacks, **steps).history
    farkeras.save(model, folder / "run", config)
    return model, history, folder, config


def test_callbacks(trained):
    model, history, folder, _ = trained
    assert list(folder.glob("tensorboard/validation/*"))
    assert "val_balanced_accuracy" in (folder / "log.csv").read_text().splitlines()[0]
    kept = keras.saving.load_model(folder / "best.keras").get_weights()
    weights_only = far_amtn(farkeras.load_datasets(trained[3]))
    weights_only.load_weights(folder / "best.weights.h5")
    for ours, by_file, by_weights in zip(model.get_weights(), kept, weights_only.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, by_file)
        np.testing.assert_array_equal(ours, by_weights)
    assert max(history["val_balanced_accuracy"]) > 0


def test_evaluation_gives_the_metric_of_fit(trained):
    _, history, folder, _ = trained
    figures = farkeras.evaluate_run(folder / "run", "validation").evaluation
    assert figures["mean_balanced_accuracy"] == pytest.approx(max(history["val_balanced_accuracy"]), abs=1e-6)
    assert figures["run"]["procedural"]
    page = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "Procedural" in page
    assert "augment_shift" in page
    assert "learning_rate" not in page  # of `fit` the settings say nothing


def test_prediction_and_export_take_it(trained, faces_dir):
    model, _, folder, config = trained
    path = faces_dir / "img_align_celeba" / "000001.jpg"
    (answer,) = farkeras.load(folder / "run")([path], align=False)
    assert tuple(answer) == model.grouping.attributes
    (exported,) = farkeras.export_run(folder / "run", ["saved_model"])
    assert not exported.report["exceeded"]
    assert load_model(folder / "run")[1].preprocessing.crop == config.crop


def test_a_model_in_mixed_precision_is_saved_in_float32(trained, tmp_path):
    _, _, _, config = trained
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = FARAMTN(farkeras.load_datasets(config).grouping, "ResNetTiny", (32, 32), backbone_alpha=0.25)
    finally:
        keras.config.set_dtype_policy("float32")
    farkeras.save(model, tmp_path, config)
    loaded, _ = load_model(tmp_path)
    assert {layer.dtype_policy.name for layer in loaded._flatten_layers()} == {"float32"}
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(loaded(images)["logits"], model(images)["logits"], atol=0.05)


def test_a_model_of_ones_own_without_settings(faces_dir, tmp_path):
    inputs = keras.Input((16, 16, 3))
    model = LogitsModel(inputs, {"logits": keras.layers.Dense(2)(keras.layers.Flatten()(inputs))})
    farkeras.save(model, tmp_path / "own.keras", attributes=["Smiling", "Young"])
    (answer,) = farkeras.load(tmp_path / "own.keras")([faces_dir / "img_align_celeba" / "000001.jpg"], align=False)
    assert list(answer) == ["Smiling", "Young"]
    evaluated = farkeras.evaluate_run(
        tmp_path / "own.keras", source="celeba", data_dir=str(faces_dir), output=tmp_path / "on_celeba"
    )
    assert evaluated.evaluation["num_images"] == 24


def plain(outputs=2):
    inputs = keras.Input((16, 16, 3))
    return LogitsModel(inputs, {"logits": keras.layers.Dense(outputs)(keras.layers.Flatten()(inputs))}, name="own")


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda path, _: farkeras.save(plain(), path), "The model 'own' has no attribute names. Give them in"),
        (
            lambda path, _: farkeras.save(plain(), path, attributes=["A"]),
            "must have one logit per attribute. Received: 2 logits and 1 attributes",
        ),
        (
            lambda path, config: farkeras.save(far_amtn(farkeras.load_datasets(config)), path, config, ["A", "B"]),
            "has its own attributes, and `attributes` differs from them",
        ),
        (
            lambda path, config: farkeras.save(plain(), path, config, ["A", "B"]),
            r"takes images of 16 x 16 pixels, but `config` has `image_size=32,32`",
        ),
        (
            lambda path, _: farkeras.save("model.keras", path),
            r"The model must be a model of farkeras\.models, .* Received: str",
        ),
        (
            lambda path, _: farkeras.save(keras.Sequential([keras.Input((2,))], name="seq"), path),
            "The model 'seq' must be a model of farkeras.models, such as",
        ),
        (
            lambda path, _: ((path / "checkpoints").mkdir(), farkeras.save(plain(), path, None, ["A", "B"])),
            "holds a training run, and this would replace its model. Use another",
        ),
        (
            lambda path, _: (plain().save(path / "keras.keras"), farkeras.load(path / "keras.keras")),
            r"A file that Keras saved lacks the preprocessing: import farkeras.models, load the file with",
        ),
    ],
)
def test_errors(trained, tmp_path, save, message):
    with pytest.raises(FarkerasError, match=message):
        save(tmp_path, trained[3])
    assert not (tmp_path / "model.keras").exists()
