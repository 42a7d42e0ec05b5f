"""ResNeSt50: its parameters, split attention by hand, the numbers of PyTorch's, and that it trains."""

import re
import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from farkeras.models import resnest
from farkeras.models.backbones import build_backbone
from farkeras.models.resnest import ResNeSt50, preprocess_input

# Keras compares the list of one input that the builder gives with the tensor that a caller passes.
pytestmark = pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")
SIZE = (75, 48)  # odd at every stride but the last: 75, 38, 19, 10, 5, 3


@pytest.fixture(scope="module")
def model():
    return ResNeSt50(include_top=True, input_tensor=preprocess_input(keras.Input((*SIZE, 3))))


def images():
    return np.random.RandomState(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")


def test_parameters(model):
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 27_483_240
    assert model.output_shape == (None, 1000)


def test_classes(model):
    seven = ResNeSt50(include_top=True, input_tensor=keras.Input((64, 64, 3)), classes=7)
    assert seven.output_shape == (None, 7)
    assert model.count_params() - seven.count_params() == 2049 * 993


def test_there_are_no_published_weights():
    with pytest.raises(ValueError, match=r"expected weights=None. Received: imagenet"):
        ResNeSt50(weights="imagenet", input_tensor=keras.Input((64, 64, 3)))


def test_normalisation():
    np.testing.assert_allclose(
        preprocess_input(np.array([255, 0, 127.5], "float32")),
        [(1 - 0.485) / 0.229, -0.456 / 0.224, 0.094 / 0.225],
        1e-5,
    )


def test_split_attention_by_hand():
    inputs = keras.Input((1, 1, 2))
    model = keras.Model(inputs, resnest._split_attention(inputs, "block"))
    for layer in model.layers:
        for weight in layer.weights:
            if "kernel" in weight.path or "bias" in weight.path:
                weight.assign(np.zeros(weight.shape))
    weights = {name: model.get_layer(f"block_{name}").kernel for name in ("split1_conv", "split2_conv", "fc1", "fc2")}

    def put(name, height, width, in_and_out):
        kernel = np.array(weights[name])
        for (i, o), value in in_and_out.items():
            kernel[height, width, i, o] = value
        weights[name].assign(kernel)

    # The convolutions' middle tap: u1 = relu(x0, 2 x0) = (1, 2), u2 = relu(x1, -x1) = (2, 0), for x = (1, 2).
    put("split1_conv", 1, 1, {(0, 0): 1, (0, 1): 2})
    put("split2_conv", 1, 1, {(0, 0): 1, (0, 1): -1})
    # The sum is (3, 2); one of fc1's 32 outputs is 3 / 3 = 1; fc2 makes a1 = softmax(log 3, 0) = 3/4 in channel 0.
    put("fc1", 0, 0, {(0, 0): 1 / 3})
    put("fc2", 0, 0, {(0, 0): np.log(3)})
    output = model(np.array([1, 2], "float32").reshape(1, 1, 1, 2))
    # 3/4 * 1 + 1/4 * 2 and 1/2 * 2 + 1/2 * 0; batch normalisation's epsilon takes 1e-5 off.
    np.testing.assert_allclose(np.ravel(output), [1.25, 1.0], rtol=1e-4)


def name_there(layer):
    """The docstring's table: our layer's name -> (PyTorch's module, which half of its outputs: 1, 2 or None)."""
    stem = {"stem_conv1": "conv1.0", "stem_bn1": "conv1.1", "stem_conv2": "conv1.3", "stem_bn2": "conv1.4"}
    stem |= {"stem_conv3": "conv1.6", "stem_bn3": "bn1", "fc": "fc"}
    if layer in stem:
        return stem[layer], None
    stage, block, name = re.fullmatch(r"stage(\d)_block(\d)_(\w+)", layer).groups()
    half = re.fullmatch(r"split(\d)_(\w+)", name)
    if half:
        name = {"conv": "conv2.conv", "bn": "conv2.bn0"}[half[2]]
    inside = {"fc1": "conv2.fc1", "fc1_bn": "conv2.bn1", "fc2": "conv2.fc2"}
    inside |= {"down_conv": "downsample.1", "down_bn": "downsample.2"}
    return f"layer{stage}.{int(block) - 1}.{inside.get(name, name)}", half and int(half[1])


def pytorch_value(name, shape):
    """Some value for each weight that depends on its name and shape alone."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        return random.uniform(0.5, 1.5, shape)
    return random.normal(0, 0.1 if len(shape) == 1 else np.prod(shape[1:]) ** -0.5, shape)


def convert(model):
    there = {"gamma": "weight", "kernel": "weight", "beta": "bias", "bias": "bias"}
    there |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    for layer in model.layers:
        for weight in layer.weights:
            module, half = name_there(layer.name)
            shape = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(weight.shape)]
            shape = [weight.shape[axis] for axis in shape]
            shape[0] *= 2 if half else 1
            value = pytorch_value(f"{module}.{there[weight.name]}", tuple(shape))
            if half:
                value = np.split(value, 2)[half - 1]
            weight.assign(np.transpose(value, {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[value.ndim]))


def test_converted_weights_give_pytorchs_numbers(model):
    convert(model)
    # timm 1.0.31, torch 2.13.0: create_model("resnest50d").eval() with `pytorch_value` of each name in its state_dict,
    # on these images less the mean over the deviation; the first four logits.
    expected = [[1.59321, 1.66779, 0.23085, -0.48816], [1.59715, 1.68387, 0.24355, -0.49610]]
    np.testing.assert_allclose(model(images()).numpy()[:, :4], expected, atol=1e-4)


def test_it_can_be_saved(model):
    copy = keras.Model.from_config(model.get_config())
    # `build_backbone` reads a .keras file weight by weight, and the two splits have weights of the same shape.
    assert [weight.path for weight in copy.weights] == [weight.path for weight in model.weights]
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(images()).numpy(), model(images()).numpy())


@pytest.fixture(scope="module")
def backbone():
    return build_backbone("ResNeSt50", (64, 64))


@pytest.mark.parametrize("name", ["name.keras", "name.weights.h5"])
def test_weights_of_a_backbone_from_a_file(backbone, tmp_path, name):
    (backbone.save if name.endswith(".keras") else backbone.save_weights)(tmp_path / name)
    loaded = build_backbone("ResNeSt50", (64, 64), weights=str(tmp_path / name))
    for ours, theirs in zip(loaded.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_every_weight_has_a_gradient(model):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(images(), training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
        if weight.path.endswith("fc1/bias"):  # what the normalisation after it subtracts again
            continue
        assert np.isfinite(gradient).all(), weight.path
        assert np.any(gradient), weight.path
