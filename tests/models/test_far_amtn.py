"""FAR-AMTN with several backbones and groupings, its file round trip, and what it explains."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from farkeras.attributes import CELEBA_ATTRIBUTES, GROUPINGS, Grouping
from farkeras.errors import FarkerasError
from farkeras.models import FARAMTN, SharedTrunk
from farkeras.models.backbones import build_backbone, split_at_last_block
from farkeras.models.base import shown_name

pytestmark = pytest.mark.core

SIZE = (64, 48)
# Members neither in order nor next to one another.
INTERLEAVED = Grouping({"odd": ("d", "b"), "even": ("c", "a", "e")}, ("a", "b", "c", "d", "e"))


def images(size=SIZE):
    return np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype("float32")


def logits(model, size=SIZE):
    return ops.convert_to_numpy(model(images(size))["logits"])


CONV_BIAS = ("conv", "bias")  # the ends of a layer's name and a weight's name


def small_backbone():
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=4, activation="relu", name="stem")(x)
    return keras.Model(inputs, keras.layers.Conv2D(12, 3, name="last")(x), name="small")


@pytest.fixture(scope="module")
def mobile():
    """MobileNetV2 with gates that differ and a CGFF that does something."""
    keras.utils.set_random_seed(0)
    model = FARAMTN("mgmtn8", "MobileNetV2", SIZE, backbone_alpha=0.35, dropout=0.3)
    model.get_layer("cgff").gamma.assign(0.5)
    return model


@pytest.mark.parametrize(
    ("backbone", "alpha", "features"),
    [("ResNet50", 1.0, 2048), ("MobileNet", 0.25, 256), ("MobileNetV3Small", 1.0, 576)],
)
def test_outputs(backbone, alpha, features):
    model = FARAMTN("mcnn9", backbone, SIZE, backbone_alpha=alpha)
    outputs = model(images())
    assert set(outputs) == {"logits"}
    assert outputs["logits"].shape == (2, 40)
    assert model.get_layer("wsgsa").output.shape == (None, 9, features)
    assert model.input_shape == (None, *SIZE, 3)
    assert model.image_size == SIZE


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_parameters_add_up_as_in_the_paper():
    # K = 8 groups: the backbone once, gates, fusion and heads.
    model = FARAMTN("mgmtn8", "ResNet50", SIZE)
    gates, fusion, heads = 8 * 526_464, 2 * 2048 * 128 + 1, 40 * (2048 + 1)
    assert count(model.trainable_weights) == 23_534_592 + gates + fusion + heads
    assert 23_534_592 + gates == 27_746_304  # about 27.7 M


def test_parameters_of_private_blocks():
    # What WSGSA saves, counted without the biases of convolutions, which keras.applications keeps.
    backbone = build_backbone("ResNet50", SIZE)
    _, block = split_at_last_block(backbone)

    def bias_free(layers):
        return count(w for layer in layers for w in layer.trainable_weights if (layer.name[-4:], w.name) != CONV_BIAS)

    conv5 = [layer for layer in backbone.layers if layer.name.startswith("conv5")]
    assert bias_free(backbone.layers) == 23_508_032
    assert (bias_free(block.layers), count(block.trainable_weights)) == (4_462_592, 4_465_664)
    assert bias_free(backbone.layers) + 7 * bias_free(block.layers) == 54_746_176  # K = 8 private last blocks
    assert bias_free(backbone.layers) + 7 * bias_free(conv5) == 128_261_184  # K = 8 private conv5 stages


def test_file_round_trip(mobile, tmp_path):
    mobile.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is FARAMTN
    assert loaded.grouping == mobile.grouping
    assert loaded.image_size == SIZE
    np.testing.assert_allclose(logits(loaded), logits(mobile), atol=1e-6)
    assert set(loaded.explain(images())) == {"gates", "maps", "fusion"}


def test_config_round_trip(mobile):
    config = mobile.get_config()
    again = FARAMTN.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    again.set_weights(mobile.get_weights())
    np.testing.assert_allclose(logits(again), logits(mobile), atol=1e-6)


@pytest.mark.parametrize("model_class", [FARAMTN, SharedTrunk])
def test_users_own_backbone(model_class, tmp_path):
    model = model_class(INTERLEAVED, backbone=small_backbone())
    assert model.image_size == (32, 32)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is model_class
    np.testing.assert_allclose(logits(loaded, (32, 32)), logits(model, (32, 32)), atol=1e-6)


@pytest.mark.parametrize("kind", ["name", "file", "list", "grouping"])
def test_attributes(kind, tmp_path):
    path = tmp_path / "grouping.json"
    path.write_text(json.dumps(GROUPINGS["mcnn9"]))
    attributes, groups, names = {
        "name": ("mgmtn8", 8, CELEBA_ATTRIBUTES),
        "file": (str(path), 9, CELEBA_ATTRIBUTES),
        "list": (["Smiling", "Male"], 1, ("Smiling", "Male")),
        "grouping": (INTERLEAVED, 2, ("a", "b", "c", "d", "e")),
    }[kind]
    model = FARAMTN(attributes, backbone=small_backbone())
    assert len(model.grouping) == groups
    assert model.grouping.attributes == names
    assert model.output_shape == (None, len(names))


def test_logits_are_in_the_order_of_the_attributes():
    # Heads that give a constant: the place of the attribute in the data's order.
    model = FARAMTN(INTERLEAVED, backbone=small_backbone())
    for head, constants in (("head_odd", [3, 1]), ("head_even", [2, 0, 4])):
        model.get_layer(head).kernel.assign(np.zeros((12, len(constants))))
        model.get_layer(head).bias.assign(constants)
    np.testing.assert_array_equal(logits(model, (32, 32)), [[0, 1, 2, 3, 4]] * 2)


def test_explain(mobile):
    explanation = {name: ops.convert_to_numpy(value) for name, value in mobile.explain(images()).items()}
    assert explanation["gates"].shape == (2, 8, 1280)
    assert ((explanation["gates"] > 0) & (explanation["gates"] < 1)).all()
    assert explanation["maps"].shape == (2, 8, 2, 2)
    np.testing.assert_allclose(explanation["fusion"].sum(axis=-1), 0.5, rtol=1e-5)
    # The maps are those whose means the heads get: mean over positions and channels alike.
    pooled = mobile.get_layer("wsgsa")(mobile.get_layer("trunk")(images()))
    np.testing.assert_allclose(
        explanation["maps"].mean(axis=(2, 3)), ops.convert_to_numpy(pooled).mean(axis=-1), atol=1e-5
    )


def test_a_single_group_has_nobody_to_exchange_with():
    model = FARAMTN(["a", "b"], backbone=small_backbone())
    assert "cgff" not in [layer.name for layer in model.layers]
    assert set(model.explain(images((32, 32)))) == {"gates", "maps"}


def test_private_channels_come_after_the_gated_ones():
    model = FARAMTN(INTERLEAVED, small_backbone(), private_channels=8)
    plain = FARAMTN(INTERLEAVED, small_backbone())
    assert model.get_layer("cgff").input.shape[-1] == plain.get_layer("cgff").input.shape[-1] + 8
    explanation = model.explain(images((32, 32)))
    assert set(explanation) == {"gates", "maps", "attention", "fusion"}
    attention = ops.convert_to_numpy(explanation["attention"])
    assert attention.shape[:2] == (2, 2)
    np.testing.assert_allclose(attention.sum(axis=(2, 3)), 1.0, atol=1e-5)
    for number in (-8, 12):
        message = f"`private_channels` must be 0 or a multiple of 8. Received: {number}."
        with pytest.raises(FarkerasError, match=message):
            FARAMTN(INTERLEAVED, small_backbone(), private_channels=number)


@pytest.mark.parametrize(
    ("fusion", "layer"),
    [("cgff", "cgff"), ("cgff_standardized", "cgff"), ("none", None), ("cross_stitch", "cross_stitch")],
)
def test_how_the_groups_interact(fusion, layer, tmp_path):
    model = FARAMTN(INTERLEAVED, small_backbone(), wsgsa_gate="residual_tanh", fusion=fusion)
    assert {"cgff", "cross_stitch"} & {each.name for each in model.layers} == ({layer} if layer else set())
    assert model.get_layer("wsgsa").gate == "residual_tanh"
    explanation = model.explain(images((32, 32)))
    np.testing.assert_allclose(ops.convert_to_numpy(explanation["gates"]), 1.0, atol=1e-6)
    assert ("fusion" in explanation) == (fusion != "none")
    if fusion.startswith("cgff"):
        assert model.get_layer("cgff").standardize == (fusion == "cgff_standardized")
    if fusion == "cross_stitch":  # 0.9 of its own features and 0.1 of the other group's
        np.testing.assert_allclose(
            ops.convert_to_numpy(explanation["fusion"])[0], [[-0.1, 0.1], [0.1, -0.1]], atol=1e-6
        )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(logits(loaded, (32, 32)), logits(model, (32, 32)), atol=1e-6)


def test_without_the_options_the_weights_are_those_of_before():
    paths = [weight.path for weight in FARAMTN(INTERLEAVED, small_backbone()).weights]
    assert [path for path in paths if path.startswith("wsgsa/")] == [
        f"wsgsa/{name}" for name in ("squeeze_kernel", "squeeze_bias", "excite_kernel", "excite_bias")
    ]
    assert [path for path in paths if path.startswith("cgff/")] == [
        f"cgff/{name}" for name in ("query_kernel", "key_kernel", "gamma")
    ]


def test_unknown_fusion():
    with pytest.raises(
        FarkerasError, match=r"`fusion` must be one of cgff, cgff_standardized, none, .*\. Received: sum\."
    ):
        FARAMTN(INTERLEAVED, small_backbone(), fusion="sum")


def test_different_groups_have_different_layers(tmp_path):
    names = ["Hair", "a_b-1.x", "Hair/top", "Hair top", "Hair_top", "Hair>2Ftop", "头发", "眼睛", "ü", "~", "", "%7E"]
    model = FARAMTN(Grouping({name: (f"attribute {name}",) for name in names}), backbone=small_backbone())
    assert list(model.heads)[:4] == ["head_Hair", "head_a_b-1.x", "head_Hair>2Ftop", "head_Hair>20top"]
    assert [shown_name(head) for head in model.heads] == [f"head_{name}" for name in names]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    assert loaded.grouping == model.grouping


def test_logits_stay_float32_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        models = [FARAMTN(INTERLEAVED, small_backbone()), SharedTrunk(INTERLEAVED, small_backbone())]
    finally:
        keras.config.set_dtype_policy("float32")
    assert {ops.dtype(model(images((32, 32)))["logits"]) for model in models} == {"float32"}
    assert models[0].get_layer("wsgsa").compute_dtype == "bfloat16"


@pytest.mark.parametrize("model_class", [FARAMTN, SharedTrunk])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "ResNet51"}, "Unknown backbone 'ResNet51'"),
        ({"backbone": "ResNet50", "backbone_alpha": 0.5}, "Backbone ResNet50 has no width multiplier"),
        ({"attributes": "mgmtn9"}, "Unknown grouping 'mgmtn9'"),
        ({"attributes": ["a", "a"]}, "Attribute 'a' is in two groups"),
    ],
)
def test_errors(model_class, arguments, message):
    with pytest.raises(FarkerasError, match=message):
        model_class(**arguments)


def test_shared_trunk_is_one_linear_layer_on_pooled_features():
    model = SharedTrunk(INTERLEAVED, backbone=small_backbone())
    head = model.get_layer("head")
    features = ops.convert_to_numpy(keras.Model(model.inputs[0], model.get_layer("pool").output)(images((32, 32))))
    kernel, bias = (ops.convert_to_numpy(w) for w in (head.kernel, head.bias))
    np.testing.assert_allclose(logits(model, (32, 32)), features @ kernel + bias, atol=1e-5)
    assert model.explain(np.zeros((1, 64, 64, 3))) == {}
