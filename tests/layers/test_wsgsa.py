"""WSGSA: the paper's equations by hand, the fold of pooled maps, and the paper's parameter arithmetic."""

import keras
import numpy as np
import pytest
from keras import ops

from farkeras.layers import WSGSA
from farkeras.layers.wsgsa import GATES, BottleneckBlock, StackedInitializer

pytestmark = pytest.mark.core


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def wider_strided_block():
    return keras.layers.Conv2D(10, 3, strides=2, padding="same", activation="relu")


@keras.saving.register_keras_serializable(package="farkeras_tests")
class Double(keras.layers.Layer):
    """f(X) = 2 X."""

    def call(self, inputs):
        return 2.0 * inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def test_value_by_hand():
    # One pixel row of two, two channels; the mean is Z = (2, 1) and f(X) = 2 X.
    x = np.array([[[[1.0, 2.0], [3.0, 0.0]]]], "float32")
    layer = WSGSA(num_groups=2, reduction=2, block=Double())
    layer.build(x.shape)
    # Group 0: relu(2 - 1 + 0) = 1 -> sigmoid(1), sigmoid(-1 + 2).
    # Group 1: relu(-2 - 1 + 1) = 0 -> sigmoid(0), sigmoid(1).
    layer.squeeze_kernel.assign([[[1.0], [-1.0]], [[-1.0], [-1.0]]])
    layer.squeeze_bias.assign([[0.0], [1.0]])
    layer.excite_kernel.assign([[[1.0, -1.0]], [[5.0, 5.0]]])
    layer.excite_bias.assign([[0.0, 2.0], [0.0, 1.0]])
    psi = np.array([[sigmoid(1), sigmoid(1)], [0.5, sigmoid(1)]])
    pooled, maps = layer(x, return_maps=True)
    np.testing.assert_allclose(ops.convert_to_numpy(layer.gates(x))[0], psi, rtol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(pooled)[0], psi * [4.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(
        ops.convert_to_numpy(maps)[0, 1, 0], [[2 * 0.5, 4 * sigmoid(1)], [6 * 0.5, 0]], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("sigmoid", [0.5, sigmoid(2.0)]),
        # Z = mean of f(X) = 2 X: twice as large.
        ("sigmoid_output", [0.5, sigmoid(4.0)]),
        ("residual_tanh", [1.0, 1 + np.tanh(2.0)]),
        ("double_sigmoid", [1.0, 2 * sigmoid(2.0)]),
    ],
)
def test_the_formulas_of_the_gate_by_hand(gate, expected):
    # One pixel X = (2, 0), f(X) = 2 X: the excitation is (0, Z_0).
    x = np.array([[[[2.0, 0.0]]]], "float32")
    layer = WSGSA(num_groups=1, reduction=2, block=Double(), gate=gate)
    layer.build(x.shape)
    layer.squeeze_kernel.assign([[[1.0], [0.0]]])
    layer.excite_kernel.assign([[[0.0, 1.0]]])
    np.testing.assert_allclose(ops.convert_to_numpy(layer.gates(x))[0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x))[0, 0], np.array(expected) * [4.0, 0.0], rtol=1e-6)


def test_standardized_gates_read_how_an_image_differs_from_the_others():
    # Z of two images is (1, 5) and (3, 5): standardised (-1, 0) and (1, 0). The excitation is 10 relu of channel 0.
    x = np.array([[[[1.0, 5.0]]], [[[3.0, 5.0]]]], "float32")
    layer = WSGSA(num_groups=1, reduction=2, block=Double(), gate="standardized")
    layer.build(x.shape)
    layer.squeeze_kernel.assign([[[1.0], [1.0]]])
    layer.excite_kernel.assign([[[10.0, 0.0]]])
    pooled = ops.convert_to_numpy(layer(x, training=True))[:, 0]
    np.testing.assert_allclose(pooled, [[2.0, 10.0], [6.0 * 2 * sigmoid(10.0), 10.0]], rtol=1e-3)


def test_the_residual_gate_starts_with_the_features_of_the_block():
    x, block = numbers(2, 3, 3, 8), Double()
    layer = WSGSA(num_groups=2, block=block, gate="residual_tanh")
    pooled = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(pooled, np.broadcast_to(2 * x.mean(axis=(1, 2))[:, None], (2, 2, 8)), atol=1e-6)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("block", [None, Double, wider_strided_block])
def test_folded_pooling_equals_the_mean_of_the_maps(block, gate):
    layer = WSGSA(num_groups=3, reduction=2, block=block and block(), gate=gate)
    x = numbers(2, 5, 4, 8)
    pooled, maps = (ops.convert_to_numpy(y) for y in layer(x, return_maps=True))
    np.testing.assert_allclose(pooled, maps.mean(axis=(2, 3)), atol=1e-5)
    np.testing.assert_allclose(pooled, ops.convert_to_numpy(layer(x)), atol=1e-6)


def test_gates_read_the_input_not_the_blocks_output():
    block = keras.layers.Conv2D(6, 1)
    layer = WSGSA(num_groups=2, block=block)
    x = numbers(1, 3, 3, 6)
    layer.build(x.shape)
    before = ops.convert_to_numpy(layer.gates(x))
    block.kernel.assign(numbers(1, 1, 6, 6, seed=1))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.gates(x)), before)
    assert ((before > 0) & (before < 1)).all()


def test_groups_have_gates_of_their_own_and_share_f():
    layer = WSGSA(num_groups=2, reduction=2)
    x = numbers(1, 3, 3, 8)
    before = ops.convert_to_numpy(layer(x))
    kernel = ops.convert_to_numpy(layer.squeeze_kernel).copy()
    kernel[1] += 1.0
    layer.squeeze_kernel.assign(kernel)
    after = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert (after[:, 1] != before[:, 1]).any()


def parameters(weights):
    return sum(int(np.prod(w.shape)) for w in weights)


def test_parameters_at_the_papers_size():
    # ResNet50's last stage: C = 2048, reduction 16. A group costs 526,464; a private block would cost 4,462,592.
    layers = {k: WSGSA(num_groups=k) for k in (1, 8)}
    for layer in layers.values():
        layer.build((None, 7, 7, 2048))
    gates = {
        k: [layer.squeeze_kernel, layer.squeeze_bias, layer.excite_kernel, layer.excite_bias]
        for k, layer in layers.items()
    }
    assert parameters(gates[1]) == 526_464
    assert parameters(gates[8]) == 8 * 526_464
    assert {parameters(layer.trainable_weights) - parameters(gates[k]) for k, layer in layers.items()} == {4_462_592}


def test_bottleneck_block_without_its_stack_is_a_rectified_identity():
    x = numbers(1, 3, 3, 8)
    block = BottleneckBlock()
    block.build(x.shape)
    for weight in block.stack.layers[-1].trainable_weights:  # scale and shift of the last normalisation
        weight.assign(ops.zeros(weight.shape))
    np.testing.assert_allclose(ops.convert_to_numpy(block(x)), np.maximum(x, 0), atol=1e-6)


def test_stacked_initializer_draws_each_group_as_a_dense_layer_of_its_own():
    values = ops.convert_to_numpy(StackedInitializer("glorot_uniform")((5, 300, 100)))
    limit = (6 / (300 + 100)) ** 0.5
    assert values.shape == (5, 300, 100)
    assert 0.99 * limit < np.abs(values).max() <= limit
    assert len(np.unique(values[:, 0, 0])) == 5, "groups start alike"


def test_stacked_initializer_config_round_trip():
    config = StackedInitializer(keras.initializers.Constant(2.0)).get_config()
    again = keras.initializers.get(StackedInitializer.from_config(config))
    assert (ops.convert_to_numpy(again((2, 3, 4))) == 2.0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_groups": 0}, "`num_groups` must be an integer of at least 1. Received: num_groups=0"),
        ({"num_groups": 2.0}, "`num_groups` must be an integer of at least 1. Received: num_groups=2.0"),
        ({"num_groups": 2, "reduction": 0}, "`reduction` must be an integer of at least 1. Received: reduction=0"),
        (
            {"num_groups": 2, "gate": "relu"},
            "`gate` must be one of sigmoid, sigmoid_output, residual_tanh, double_sigmoid, standardized. Received",
        ),
        ({"num_groups": 2, "block": "relu"}, "`block` must be a Keras layer, a model or None. Received: block=relu"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        WSGSA(**arguments)


def test_input_without_a_map_is_refused():
    with pytest.raises(ValueError, match="ndim=4"):
        WSGSA(num_groups=2)(numbers(2, 8))
