"""ResNeSt50: its parameters, split attention by hand, and that it trains. Its numbers are those of PyTorch's network:
see test_torch_weights.py.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from farkeras.models import resnest
from farkeras.models.backbones import build_backbone
from farkeras.models.resnest import ResNeSt50
from farkeras.models.torch_layers import preprocess_input

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
