"""MGMTN with several backbones and groupings, what trains its masks, its file round trip, and what it explains."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from farkeras.attributes import REGIONS, Grouping
from farkeras.errors import FarkerasError
from farkeras.models import MGMTN
from farkeras.models.batch_norms import batch_norms

pytestmark = pytest.mark.core

SIZE = (96, 96)
# Members neither in order nor next to one another; two groups named as regions, one not.
THREE = Grouping({"eyes": ("d", "b"), "Lower Face": ("c", "a", "e"), "Rest": ("g", "f")}, tuple("abcdefg"))


def images(size=SIZE):
    return np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype("float32")


def outputs(model, size=SIZE):
    return {name: ops.convert_to_numpy(value) for name, value in model(images(size)).items()}


def small(attributes=THREE, backbone="ResNetTiny", **options):
    """Three groups, masks at half size, and a head whose masks differ from one another and are far from 0.5."""
    keras.utils.set_random_seed(0)
    options = {"image_size": SIZE, "backbone_alpha": 0.5, "mask_widths": (4, 6, 8), "mask_stride": 2, **options}
    model = MGMTN(attributes, backbone, fusion_width=12, **options)
    model.get_layer("aml").network.get_layer("heads").bias.assign(np.linspace(-3, 3, len(REGIONS)))
    return model


def strided(*strides):
    """A user's own backbone: a convolution for each stride."""
    inputs = x = keras.Input((32, 24, 3))
    for stride in strides:
        x = keras.layers.Conv2D(8, 3, stride, padding="same", activation="relu")(x)
    return keras.Model(inputs, x, name="own")


@pytest.fixture(scope="module")
def model():
    return small()


def assert_same_outputs(first, second):
    for name, value in outputs(first).items():
        np.testing.assert_allclose(outputs(second)[name], value, atol=1e-5)


@pytest.mark.parametrize(
    ("attributes", "backbone", "groups", "mask_stride", "mask_size"),
    [
        ("mgmtn8", "MobileNetV3Small", 8, 1, (96, 96)),
        ("mcnn9", "ResNetTiny", 9, 4, (24, 24)),
        (["Smiling", "Male"], "ResNetTiny", 1, 2, (48, 48)),
        (THREE, "ResNetTiny", 3, 2, (48, 48)),
    ],
    ids=["8 groups", "9 groups", "one group", "7 attributes in 3 groups"],
)
def test_outputs(attributes, backbone, groups, mask_stride, mask_size):
    alpha = 0.5 if backbone == "ResNetTiny" else 1.0
    model = small(attributes, backbone, backbone_alpha=alpha, mask_stride=mask_stride)
    received = outputs(model)
    assert {name: value.shape for name, value in received.items()} == {
        "logits": (2, len(model.grouping.attributes)),
        "mask_logits": (2, *mask_size, 8),  # all regions are learned, whatever the grouping
    }
    assert model.mask_size == mask_size
    assert model.image_size == SIZE
    assert model.get_layer("g2ff").output.shape == (None, groups, 12)


def test_parameters_add_up(model):
    backbone, aml = model.get_layer("feature_maps"), model.get_layer("aml")
    g2ff = (32 + 64 + 128 + 1 + 1) * 12 + (128 + 1) * 12 + (24 + 1) * 12  # ResNetTiny's channels at alpha 0.5, the area
    assert model.count_params() == backbone.count_params() + aml.count_params() + g2ff + 7 * (12 + 1)


def test_a_group_reads_the_mask_of_its_region_alone(model):
    heads = model.get_layer("aml").network.get_layer("heads")
    before, bias = outputs(model)["logits"], ops.convert_to_numpy(heads.bias).copy()
    for region, changed in (("Eyes", "bd"), ("Lower_Face", "ace"), ("Object", "fg"), ("Hair", "")):
        other = bias.copy()
        other[REGIONS.index(region)] += 2
        heads.bias.assign(other)
        moved = np.abs(outputs(model)["logits"] - before).max(axis=0) > 1e-6
        heads.bias.assign(bias)
        assert [name for name, m in zip(model.grouping.attributes, moved, strict=True) if m] == list(changed)


def test_logits_are_in_the_order_of_the_attributes():
    # Heads that give a constant: the place of the attribute in the data's order.
    model = small()
    for head, constants in (("head_eyes", [3, 1]), ("head_Lower>20Face", [2, 0, 4]), ("head_Rest", [6, 5])):
        model.get_layer(head).kernel.assign(np.zeros((12, len(constants))))
        model.get_layer(head).bias.assign(constants)
    np.testing.assert_array_equal(outputs(model)["logits"], [[0, 1, 2, 3, 4, 5, 6]] * 2)


@pytest.mark.parametrize("mask_gradients", [False, True])
def test_attributes_train_the_masks_only_when_asked_to(mask_gradients):
    model = small(mask_gradients=mask_gradients)
    variables = model.get_layer("aml").trainable_variables
    with tf.GradientTape(persistent=True) as tape:
        results = model(images(), training=True)
        losses = {name: tf.reduce_sum(value**2) for name, value in results.items()}
    from_attributes = tape.gradient(losses["logits"], variables)
    assert [gradient is not None for gradient in from_attributes] == [mask_gradients] * len(variables)
    # The masks' own loss trains the mask network and nothing else.
    gradients = tape.gradient(losses["mask_logits"], model.trainable_variables)
    trained = {v.path for v, g in zip(model.trainable_variables, gradients, strict=True) if g is not None}
    assert trained == {v.path for v in variables}


def test_masks_and_explanation(model):
    masks = ops.convert_to_numpy(model.masks(images()))
    np.testing.assert_allclose(masks, 1 / (1 + np.exp(-outputs(model)["mask_logits"])), atol=1e-6)
    maps = ops.convert_to_numpy(model.explain(images())["maps"])
    assert maps.shape == (2, 3, 48, 48)
    for k, region in enumerate(["Eyes", "Lower_Face", "Object"]):
        np.testing.assert_array_equal(maps[:, k], masks[..., REGIONS.index(region)])


def test_masks_of_ones_and_shuffled_masks_are_controls(model):
    masks = ops.convert_to_numpy(model.masks(images()))
    ones, shuffled = (small(mask_condition=condition) for condition in ("ones", "shuffled"))
    np.testing.assert_array_equal(ops.convert_to_numpy(ones.explain(images())["maps"]), np.ones((2, 3, 48, 48)))
    maps = ops.convert_to_numpy(shuffled.explain(images())["maps"])
    for k, region in enumerate(
        ["Lower_Face", "Object", "Eyes"]
    ):  # those of the next group: half of three groups is one
        np.testing.assert_allclose(maps[:, k], masks[..., REGIONS.index(region)], atol=1e-6)
    again = MGMTN.from_config(shuffled.get_config())
    again.set_weights(shuffled.get_weights())
    assert_same_outputs(again, shuffled)
    # All else is equal, the mask network included.
    np.testing.assert_allclose(outputs(ones)["mask_logits"], outputs(model)["mask_logits"], atol=1e-5)
    assert np.abs(outputs(ones)["logits"] - outputs(model)["logits"]).max() > 1e-4


@pytest.mark.parametrize(("fusion", "width"), [("off", 12), ("concatenated", 24), ("global_only", 12)])
def test_ways_to_add_the_global_feature(fusion, width):
    model = small(global_fusion=fusion)
    assert model.get_layer("g2ff").output.shape == (None, 3, width)
    heads = model.get_layer("aml").network.get_layer("heads")
    before = outputs(model)["logits"]
    heads.bias.assign(heads.bias + 1.0)
    moved = np.abs(outputs(model)["logits"] - before).max() > 1e-6
    assert moved == (fusion != "global_only")  # which reads no mask
    assert MGMTN.from_config(model.get_config()).get_config() == model.get_config()


def test_file_round_trip(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is MGMTN
    assert loaded.grouping == model.grouping
    assert (loaded.image_size, loaded.mask_size) == (SIZE, (48, 48))
    assert_same_outputs(loaded, model)


def test_config_round_trip(model):
    config = model.get_config()
    again = MGMTN.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    again.set_weights(model.get_weights())
    assert_same_outputs(again, model)


def test_users_own_backbone(tmp_path):
    model = small(backbone=strided(2, 2, 2, 2, 2), image_size=None)
    assert (model.image_size, model.mask_size) == ((32, 24), (16, 12))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(outputs(loaded, (32, 24))["logits"], outputs(model, (32, 24))["logits"], atol=1e-6)


def test_outputs_stay_float32_in_mixed_precision(model):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = small()
        mixed.set_weights(model.get_weights())
        masks = mixed.masks(images())
        received = mixed(images())
    finally:
        keras.config.set_dtype_policy("float32")
    assert {ops.dtype(x) for x in (masks, *received.values())} == {"float32"}
    assert {mixed.get_layer(name).compute_dtype for name in ("aml", "g2ff")} == {"bfloat16"}
    np.testing.assert_allclose(ops.convert_to_numpy(received["logits"]), outputs(model)["logits"], atol=0.05)


def test_settings_of_batch_normalisation_reach_the_mask_network():
    model = small()
    for layer in batch_norms(model):
        layer.momentum, layer.synchronized = 0.75, True
    found = [x for x in model.get_layer("aml")._flatten_layers() if isinstance(x, keras.layers.BatchNormalization)]
    assert len(found) == 5
    assert {(layer.momentum, layer.synchronized) for layer in found} == {(0.75, True)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "ResNet51"}, "Unknown backbone 'ResNet51'"),
        ({"backbone": "ResNet50", "backbone_alpha": 0.5}, "Backbone ResNet50 has no width multiplier"),
        ({"attributes": "mgmtn9"}, "Unknown grouping 'mgmtn9'"),
        ({"backbone": strided(2, 2)}, "stride 8"),
        (
            {"backbone": "ResNetTiny", "mask_condition": "zeros"},
            "`mask_condition` must be one of learned, ones, shuffled. Received: zeros.",
        ),
        (
            {"attributes": ["a", "b"], "backbone": "ResNetTiny", "mask_condition": "shuffled"},
            "`mask_condition=shuffled` needs groups that read the masks of different regions. Received: the groups "
            "all, which read Object.",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(FarkerasError, match=message):
        MGMTN(**arguments)
