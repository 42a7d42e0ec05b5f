"""`fit` with `weighting`, on a model of two tasks that has nothing to do with faces, and on the papers' models.

tests/test_jax.py runs this file on JAX, and `make test-torch` on PyTorch.
"""

import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from farkeras.attributes import Grouping
from farkeras.losses import MaskedBinaryCrossentropy, RegionMaskLoss
from farkeras.metrics import MaskedBinaryAccuracy
from farkeras.models import FARAMTN, MGMTN, LogitsModel, MultiTaskModel
from farkeras.weighting import DWA, DWS, FAMO, TaskWeighting, Uncertainty
from tests.small_backbone import residual_backbone

pytestmark = pytest.mark.core

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
GROUPING = Grouping({"Hair": ("Hat", "Fringe"), "Eyes": ("Glasses",)})
random = np.random.default_rng(0)
X = random.normal(size=(32, 8)).astype("float32")
Y = {"size": X[:, :1] * 3 + 1, "kind": random.integers(0, 3, 32)}
IMAGES = random.uniform(0, 255, (16, 48, 40, 3)).astype("float32")
LABELS = random.integers(-1, 2, (16, 3)).astype("int8")
POINTS = random.uniform(0, 1, (16, 478, 2)).astype("float32")
POINTS[2] = np.nan  # no face was found


def two_tasks(weighting=None, **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(8, "tanh", kernel_regularizer=keras.regularizers.L2(0.01), name="hidden")(inputs)
    outputs = {
        "size": keras.layers.Dense(1, name="size")(hidden),
        "kind": keras.layers.Dense(3, name="kind")(hidden),
    }
    model = MultiTaskModel(inputs, outputs)
    losses = {"size": "mean_squared_error", "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    model.compile(keras.optimizers.Adam(0.01), losses, weighting=weighting, **options)
    return model


def far_amtn(**options):
    keras.utils.set_random_seed(0)
    model = FARAMTN(GROUPING, residual_backbone(), reduction=4)
    model.compile(keras.optimizers.SGD(0.01), MaskedBinaryCrossentropy(), **options)
    return model


def numbers(variables):
    return [ops.convert_to_numpy(v).copy() for v in variables]


@pytest.fixture(scope="module")
def mgmtn():
    return MGMTN(GROUPING, residual_backbone(), mask_widths=(4, 8), mask_stride=2, mask_gradients=True)


WEIGHTINGS = {
    "uniform": TaskWeighting,
    "dws": lambda: DWS(warmup_steps=2),
    "dwa": lambda: DWA(steps_per_epoch=2),
    "uncertainty": Uncertainty,
    "famo": FAMO,
}


@pytest.mark.parametrize("loss_weights", [None, {"size": 0.5, "kind": 2.0}])
def test_uniform_weights_give_what_keras_computes(loss_weights):
    plain, weighed = (two_tasks(w, loss_weights=loss_weights) for w in (None, "uniform"))
    histories = [m.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0).history for m in (plain, weighed)]
    for name in ("loss", "size_loss", "kind_loss"):
        np.testing.assert_allclose(histories[1][name], histories[0][name], rtol=1e-5)
    for a, b in zip(plain.get_weights(), weighed.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_training_moves_the_state_and_validation_does_not(name):
    weighting = WEIGHTINGS[name]()
    model = two_tasks(weighting)
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0, validation_data=(X, Y)).history
    assert float(weighting.updates) == 8  # on JAX, too
    if name != "uniform":
        first, second = model.task_weights.values()
        assert abs(first - second) > 1e-4
    before = numbers(weighting.variables)
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0)[0], history["val_loss"][-1], rtol=1e-5)
    for old, new in zip(before, numbers(weighting.variables), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_function_as_loss_takes_labels_of_either_rank():
    histories = []
    for weighting, labels in ((None, X[:, :1]), ("uniform", X[:, 0])):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((8,))
        model = MultiTaskModel(inputs, {"size": keras.layers.Dense(1)(inputs)})
        model.compile("sgd", lambda y_true, y_pred: ops.abs(y_true - y_pred), weighting=weighting)
        histories.append(model.fit(X, labels, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-6)


def test_labels_that_no_loss_or_metric_needs_are_left_out(mgmtn):
    mgmtn.compile("sgd", {"logits": MaskedBinaryCrossentropy()}, weighting="dws")
    for labels in ({"logits": LABELS, "mask_logits": POINTS}, LABELS):
        assert set(mgmtn.evaluate(IMAGES, labels, verbose=0, return_dict=True)) == {"loss"}
        mgmtn.fit(IMAGES, labels, batch_size=16, verbose=0)


def test_dws_gives_weight_to_the_task_that_lags():
    labels = Y | {"kind": random.permutation(Y["kind"])}  # nothing to learn
    model = two_tasks(DWS(warmup_steps=4, alpha=0.0, beta=1.0, decay=0.5))
    model.fit(X, labels, batch_size=8, epochs=30, verbose=0)
    assert model.task_weights["kind"] > 1.3 > 0.7 > model.task_weights["size"]
    assert sum(model.task_weights.values()) == pytest.approx(2, rel=1e-5)


def test_the_learned_uncertainty_is_trained_as_by_hand():
    """Two steps of gradient descent; PyTorch would add up gradients that nobody clears."""
    model = two_tasks(weighting := Uncertainty())
    model.optimizer = keras.optimizers.SGD(0.1)
    expected = np.zeros(2)
    for _ in range(2):
        outputs = model(X, training=True)
        size = np.mean((ops.convert_to_numpy(outputs["size"]) - Y["size"]) ** 2)
        kind = ops.sparse_categorical_crossentropy(ops.array(Y["kind"]), outputs["kind"], from_logits=True)
        losses = np.array([size, float(ops.mean(kind))])
        expected -= 0.1 * (1 - losses * np.exp(-2 * expected))
        model.train_on_batch(X, Y)
        np.testing.assert_allclose(ops.convert_to_numpy(weighting.log_sigma), expected, rtol=1e-4)


def test_the_loss_of_groups_by_hand():
    """Weights 1.5 and 0.5: Hair's mean over its three known labels, Eyes' over its one."""
    model = far_amtn(weighting=(weighting := DWS(warmup_steps=1, alpha=0.0, beta=1.0, decay=0.0)))
    weighting.update(ops.array([1.0, 4.0]), ops.ones(2))
    weighting.update(ops.array([0.9, 1.2]), ops.ones(2))
    assert model.task_weights == pytest.approx({"Hair": 1.5, "Eyes": 0.5}, rel=1e-5)
    labels = ops.array([[1, 0, -1], [1, -1, 0]], "int8")
    logits = ops.array([[0.0, 0.0, 7.0], [np.log(3.0), 7.0, np.log(3.0)]], "float32")
    hair, eyes = (2 * np.log(2) + np.log(4 / 3)) / 3, np.log(4)
    loss = model.compute_loss(None, labels, {"logits": logits}, training=True)
    assert float(loss) == pytest.approx((1.5 * 2 * hair + 0.5 * eyes) / 3, rel=1e-5)
    plain = model.compute_loss(None, labels, {"logits": logits}, training=False)
    assert float(plain) == pytest.approx((3 * hair + eyes) / 4, rel=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(weighting.decayed_sum), [hair, eyes], rtol=1e-5)


@pytest.mark.parametrize("weighting", [None, "dws"])
def test_images_of_weight_0_do_not_count(mgmtn, weighting):
    losses = {"logits": MaskedBinaryCrossentropy(), "mask_logits": RegionMaskLoss()}
    first, results = mgmtn.get_weights(), []
    for half, weights in ((8, None), (16, np.repeat(np.float32([1, 0]), 8))):
        mgmtn.set_weights(first)
        mgmtn.compile("sgd", losses, weighted_metrics={"logits": [MaskedBinaryAccuracy()]}, weighting=weighting)
        labels = {"logits": LABELS[:half], "mask_logits": POINTS[:half]}
        data = {"x": IMAGES[:half], "y": labels, "sample_weight": weights, "batch_size": half, "verbose": 0}
        results.append(mgmtn.evaluate(**data, return_dict=True))
        assert np.isfinite(mgmtn.fit(**data).history["loss"]).all()
    assert results[1] == pytest.approx(results[0], rel=1e-4)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return IMAGES[8 * i :][:8], LABELS[8 * i :][:8]


def torch_loader():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its DataLoader is tried by make test-torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(IMAGES), torch.from_numpy(LABELS))
    return torch.utils.data.DataLoader(data, batch_size=8)


def tensorflow_dataset():
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)


@pytest.mark.parametrize("make", [Batches, torch_loader, tensorflow_dataset])
def test_data_in_every_form(make):
    data, expected = make(), far_amtn(weighting="dws")
    expected.fit(IMAGES, LABELS, batch_size=8, shuffle=False, verbose=0)
    model = far_amtn(weighting="dws")
    model.fit(data, shuffle=False, verbose=0)
    for a, b in zip(expected.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-4)


@pytest.mark.parametrize("labels", [LABELS, {"logits": LABELS}], ids=["array", "dict"])
def test_mgmtn_with_labels_alone(mgmtn, labels):
    mgmtn.compile(
        "sgd",
        {"logits": MaskedBinaryCrossentropy(), "mask_logits": None},
        metrics={"logits": [MaskedBinaryAccuracy()]},
        weighting="dws",
    )
    history = mgmtn.fit(IMAGES, labels, batch_size=8, verbose=0, validation_data=(IMAGES, labels)).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_mgmtn_with_key_points(mgmtn):
    losses = {"logits": MaskedBinaryCrossentropy(), "mask_logits": RegionMaskLoss()}
    mgmtn.compile("sgd", losses, loss_weights={"mask_logits": 0.5}, weighting="dws")
    before = numbers(mgmtn.mask_network.trainable_variables)
    history = mgmtn.fit(IMAGES, {"logits": LABELS, "mask_logits": POINTS}, batch_size=16, verbose=0).history
    expected = history["logits_loss"][0] + 0.5 * history["mask_logits_loss"][0]
    # Uniform weights in the first step: means of groups in the place of the mean over labels.
    assert history["loss"][0] == pytest.approx(expected, abs=0.05)
    after = numbers(mgmtn.mask_network.trainable_variables)
    assert any((new != old).any() for old, new in zip(before, after, strict=True))


def test_files_hold_nothing_of_the_weighting(tmp_path):
    model = two_tasks(DWS(warmup_steps=2, beta=0.25))
    model.fit(X, Y, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extract("model.weights.h5", tmp_path / "in_file")
    for path in (tmp_path / "in_file" / "model.weights.h5", tmp_path / "model.weights.h5"):
        with h5py.File(path) as file:
            names = []
            file.visit(names.append)
        assert names
        assert not [name for name in names if "weigh" in name or "decayed" in name]
    assert len(model.get_weights()) == 6
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.task_weights == {"size": 1.0, "kind": 1.0}  # begins anew, with the same settings
    assert loaded._weighed.weighting.get_config() == {"warmup_steps": 2, "alpha": 1.0, "beta": 0.25, "decay": 0.99}
    loaded.fit(X, Y, batch_size=8, verbose=0)


@pytest.mark.parametrize("weighting", ["dws", "uncertainty", "famo"])
def test_a_loaded_model_goes_on_with_its_optimizer(tmp_path, weighting):
    model = two_tasks(weighting)
    model.fit(X, Y, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.optimizer.iterations) == 4
    for a, b in zip(numbers(model.optimizer.variables), numbers(loaded.optimizer.variables), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not ON_TENSORFLOW, reason="a SavedModel is TensorFlow's")
def test_exports_hold_nothing_of_the_weighting(tmp_path):
    import tensorflow as tf

    model = two_tasks("uncertainty")
    model.fit(X, Y, batch_size=8, verbose=0)
    model.export(tmp_path / "saved", verbose=False)
    names = [name for name, _ in tf.train.list_variables(str(tmp_path / "saved" / "variables" / "variables"))]
    shapes = [tuple(v.shape) for v in tf.saved_model.load(str(tmp_path / "saved")).variables]
    assert (2,) not in shapes, names


@pytest.mark.skipif(not ON_TENSORFLOW, reason="replicas are tf.distribute's")
@pytest.mark.parametrize(
    "weighting", ["dws", *(pytest.param(name, marks=pytest.mark.long) for name in ("uncertainty", "famo"))]
)
def test_two_replicas_equal_one(weighting):
    """Unknown labels fall unevenly on the replicas: they count once over both. `compile` may lie outside the scope."""
    from farkeras.training.devices import make_strategy

    data = tensorflow_dataset()
    models = []
    for replicas in (1, 2):
        with make_strategy(replicas).scope():
            keras.utils.set_random_seed(0)
            inputs = keras.Input((48, 40, 3))
            pooled = keras.layers.Rescaling(1 / 255)(keras.layers.AveragePooling2D(8)(inputs))
            outputs = {name: keras.layers.Dense(3, name=name)(keras.layers.Flatten()(pooled)) for name in ("a", "b")}
            model = MultiTaskModel(inputs, outputs)
            optimizer = keras.optimizers.SGD(0.1)
        model.compile(optimizer, {"a": MaskedBinaryCrossentropy(), "b": "mse"}, weighting=WEIGHTINGS[weighting]())
        labelled = data.map(lambda x, y: (x, {"a": y, "b": y}))
        history = model.fit(labelled, epochs=2, verbose=0).history
        models.append((model, history["loss"]))
    np.testing.assert_allclose(models[1][1], models[0][1], rtol=1e-5)
    for a, b in zip(models[0][0].get_weights(), models[1][0].get_weights(), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-6)
    assert models[1][0].task_weights == pytest.approx(models[0][0].task_weights, rel=1e-5)


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = far_amtn(weighting=(weighting := DWS(warmup_steps=1)))
    finally:
        keras.config.set_dtype_policy("float32")
    history = model.fit(IMAGES, LABELS, batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert {v.dtype for v in weighting.variables} == {"float32"}


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_logits_model_of_ones_own(policy):
    inputs = keras.Input((8,))
    model = LogitsModel(inputs, {"logits": keras.layers.Dense(3, dtype=policy)(inputs)})
    model.compile("sgd", MaskedBinaryCrossentropy(), weighting="dws")
    model.fit(X[:16], LABELS, verbose=0)
    assert model.task_weights == {"logits": 1.0}


class Endless:
    """What a tf.data.Dataset says of itself when it does not end."""

    def cardinality(self):
        return -1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: two_tasks("dsw"), "`weighting` must be one of uniform, dws, uncertainty, famo, or an object of"),
        (lambda: two_tasks("dws", loss_weights=[1, 2]), "`loss_weights` must be a dict by output"),
        (lambda: two_tasks(loss_weights={"sise": 2.0}), "`loss_weights` names 'sise', which has no loss"),
        (lambda: two_tasks("dws", loss_weights={"size": 0, "kind": 0}), "the sum of `loss_weights` must be above 0"),
        (
            lambda: far_amtn().compile("sgd", MaskedBinaryCrossentropy(reduction="sum"), weighting="dws"),
            "MaskedBinaryCrossentropy with its default reduction",
        ),
        (lambda: two_tasks().fit(X, X, verbose=0), "Labels must be a dict with keys among: size, kind. Received: a "),
        (
            lambda: two_tasks().fit(X, {"weight": X}, verbose=0),
            "outputs of the model: size, kind. Received: labels for 'weight'",
        ),
        (lambda: two_tasks().fit(X, {"size": X}, verbose=0), "received `loss` for 'kind', which has no labels"),
        (lambda: two_tasks().fit(Endless()), "The dataset `x` is infinite. Set `steps_per_epoch`"),
        (lambda: far_amtn().compile("sgd", "mse", weighting="dws"), "so 'logits' needs the loss farkeras.losses"),
        (lambda: far_amtn().compile("sgd", weighting="dws"), "needs a loss, or a dict of losses by output"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
