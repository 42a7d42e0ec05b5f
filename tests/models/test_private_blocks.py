"""Private blocks and stages, and score fusion: their values by hand, their parameters, and their file round trip."""

import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from farkeras.attributes import Grouping, load_grouping
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.models import FARAMTN, MODELS, PrivateBlocks, PrivateStage, ScoreFusion
from farkeras.models.backbones import build_backbone, split_at_last_block, split_at_last_stage

pytestmark = pytest.mark.core

# Members neither in order nor next to one another, and a name that layers may not have.
GROUPING = Grouping({"odd": ("d", "b"), "even/2": ("c", "a", "e")}, ("a", "b", "c", "d", "e"))
CLASSES = [PrivateBlocks, PrivateStage, ScoreFusion]


def small_backbone(size=(32, 32)):
    """A stage of two convolutions; the second is the last block."""
    inputs = keras.Input((*size, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="stem")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="down")(x)
    return keras.Model(inputs, keras.layers.Conv2D(12, 3, activation="relu", name="last")(x), name="small")


def images():
    return np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")


def logits(model):
    return ops.convert_to_numpy(model(images())["logits"])


def count(weights):
    return sum(math.prod(weight.shape) for weight in weights)


@pytest.fixture(scope="module", params=CLASSES)
def model(request):
    keras.utils.set_random_seed(0)
    return request.param(GROUPING, small_backbone(), dropout=0.3)


def test_each_group_has_its_own_block_and_its_own_head():
    backbone = small_backbone()
    model = PrivateBlocks(GROUPING, backbone)
    trunk, block = split_at_last_block(backbone)
    shared, x = trunk(images()), {}
    for group, members in (("odd", "db"), ("even>2F2", "cae")):
        own, head = model.get_layer(f"block_{group}"), model.get_layer(f"head_{group}")
        np.testing.assert_array_equal(own(shared), block(shared))  # it starts as the backbone's own block
        own.layers[-1].kernel.assign(np.random.default_rng(len(members)).normal(size=(3, 3, 8, 12)))
        pooled = ops.convert_to_numpy(own(shared)).mean(axis=(1, 2))
        scores = pooled @ ops.convert_to_numpy(head.kernel) + ops.convert_to_numpy(head.bias)
        x |= dict(zip(members, scores.T, strict=True))
    np.testing.assert_allclose(logits(model), np.stack([x[name] for name in "abcde"], axis=1), rtol=1e-4)


def test_the_auxiliary_layer_adds_to_each_score_what_all_scores_say():
    model = ScoreFusion(GROUPING, small_backbone())
    auxiliary = model.get_layer("auxiliary")
    before = logits(model)  # W and b start at 0
    auxiliary.kernel.assign(np.eye(5, k=1))  # to each score, that of the attribute before it
    auxiliary.bias.assign([0, 0, 0, 0, 7])
    expected = before + np.pad(before, ((0, 0), (1, 0)))[:, :5] + [0, 0, 0, 0, 7]
    np.testing.assert_allclose(logits(model), expected, rtol=1e-5)
    assert model.heads["auxiliary"] == ("a", "b", "c", "d", "e")


@pytest.mark.parametrize("size", [(64, 48)])
def test_parameters_at_the_papers_size(size):
    # conv1 to conv4 and the first blocks of conv5 are shared; the rest is there once for each of K = 8 groups.
    backbone, heads = 23_534_592, 40 * (2048 + 1)
    network = build_backbone("ResNet50", size)
    for split, number in ((split_at_last_block, 4_465_664), (split_at_last_stage, 14_976_000)):
        trunk, own = split(network)
        assert count(own.trainable_weights) == number
        assert count(trunk.trainable_weights) == backbone - number
    keras.utils.set_random_seed(0)
    model = PrivateBlocks("mgmtn8", "ResNetTiny", size)
    far_amtn = FARAMTN("mgmtn8", "ResNetTiny", size, fusion="none")
    block = count(far_amtn.get_layer("wsgsa").block.trainable_weights)
    gates = count(far_amtn.get_layer("wsgsa").gate_weights)
    assert count(model.trainable_weights) == count(far_amtn.trainable_weights) - gates + 7 * block
    assert heads == 81_960


@pytest.mark.parametrize(
    ("name", "alpha", "last_of_trunk", "first_of_stage"),
    [
        ("ResNet50", 1.0, "conv4_block6_out", "conv5_block1_1_conv"),
        ("ResNetTiny", 0.25, "stage4_out", "stage5_down_conv"),
        ("MobileNetV2", 0.35, "block_13_expand_relu", "block_13_pad"),
    ],
)
def test_where_the_last_stage_begins(name, alpha, last_of_trunk, first_of_stage):
    trunk, stage = split_at_last_stage(build_backbone(name, (64, 64), alpha))
    assert trunk.layers[-1].name == last_of_trunk
    assert first_of_stage in [layer.name for layer in stage.layers[:4]]


def test_no_stage_to_cut_off():
    with pytest.raises(FarkerasError, match="'small' cannot be cut before its last stage: expected a functional model"):
        split_at_last_stage(small_backbone((None, None)))


def test_file_round_trip(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.grouping == model.grouping
    np.testing.assert_allclose(logits(loaded), logits(model), atol=1e-6)


def test_config_round_trip(model):
    config = model.get_config()
    again = type(model).from_config(json.loads(json.dumps(config)))
    assert {**again.get_config(), "backbone": None} == {**config, "backbone": None}
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(logits(again), logits(model), atol=1e-6)


def test_every_weight_has_a_path_of_its_own(model):
    assert len({weight.path for weight in model.weights}) == len(model.weights)


@pytest.mark.parametrize("name", ["private_blocks", "private_stage", "score_fusion"])
def test_from_the_settings(name):
    settings = {"backbone": "ResNetTiny", "backbone_alpha": 0.25, "backbone_weights": "none", "image_size": (32, 32)}
    config = Config(model=name, dropout=0.2, **settings)
    model = MODELS[name].from_settings(config, load_grouping("mcnn9"))
    assert (model.name, len(model.backbone_layers)) == (name, 1 + 9)
    assert model.get_layer("dropout_Nose").rate == 0.2


def test_logits_stay_float32_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = ScoreFusion(GROUPING, small_backbone())
    finally:
        keras.config.set_dtype_policy("float32")
    assert ops.dtype(model(images())["logits"]) == "float32"
    assert model.get_layer("block_odd").layers[-1].compute_dtype == "bfloat16"
