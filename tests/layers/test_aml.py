"""AML: sizes, its own normalisation, one head per mask, and that masks lie where the image says."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from farkeras.layers import AML

pytestmark = pytest.mark.core


def images(*size, batch=2):
    return np.random.default_rng(0).uniform(0, 255, (batch, *size, 3)).astype("float32")


def make(size=(12, 9), num_masks=3, widths=(4, 6, 8), **arguments):
    keras.utils.set_random_seed(0)
    layer = AML(num_masks, widths, **arguments)
    layer.build((None, *size, 3))
    return layer


@pytest.mark.parametrize(
    ("output_stride", "size", "masks"),
    [
        (1, (227, 227), (227, 227)),  # the paper's: 227 -> 114 -> 57 -> 29 and back
        (2, (227, 227), (114, 114)),
        (4, (112, 96), (28, 24)),
        (8, (113, 97), (15, 13)),  # no decoder at all
        (2, (3, 1), (2, 1)),
    ],
)
def test_sizes(output_stride, size, masks):
    layer = AML(5, (2, 3, 4, 5), output_stride)
    assert layer.compute_output_shape((None, *size, 3)) == (None, *masks, 5)
    assert layer(images(*size, batch=1)).shape == (1, *masks, 5)


def test_parameters_by_hand():
    # Kernels 9 a b and two normalisation weights b; 1x1 convolutions and heads with bias.
    def convolutions(*channels):
        return sum(9 * a * b + 2 * b for a, b in itertools.pairwise(channels))

    def trainable(layer):
        return sum(int(np.prod(w.shape)) for w in layer.trainable_weights)

    encoder, decoder = convolutions(3, 4, 4, 6, 6, 8, 8), convolutions(6, 6) + convolutions(4, 4) + 9 * 6 + 7 * 4
    assert trainable(make()) == encoder + decoder + 5 * 3
    # At stride 2 one strided convolution stands for the finest level, and that level has no decoder.
    encoder, decoder = convolutions(3, 4, 6, 8, 8), convolutions(6, 6) + 9 * 6
    assert trainable(make(output_stride=2)) == encoder + decoder + 7 * 3


def test_mid_grey_is_zero():
    # -1..1 with 127.5 in the middle: nothing but the heads' biases is left of a grey image.
    layer = make()
    heads = layer.network.get_layer("heads")
    heads.bias.assign([1.0, -2.0, 3.0])
    logits = ops.convert_to_numpy(layer(np.full((1, 12, 9, 3), 127.5, "float32")))
    np.testing.assert_allclose(logits, np.broadcast_to([1.0, -2.0, 3.0], logits.shape), atol=1e-6)


def test_a_head_belongs_to_one_mask():
    layer, x = make(), images(12, 9)
    before = ops.convert_to_numpy(layer(x))
    heads = layer.network.get_layer("heads")
    kernel = ops.convert_to_numpy(heads.kernel).copy()
    kernel[..., 1] += 1.0
    heads.kernel.assign(kernel)
    after = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(after[..., [0, 2]], before[..., [0, 2]])
    assert (after[..., 1] != before[..., 1]).any()


def test_masks_lie_where_the_image_says():
    # A bright rectangle anywhere, its left half mask 0 and its right half mask 1: learned in a few steps, at half size.
    random = np.random.default_rng(0)
    x = np.full((32, 24, 24, 3), 40.0, "float32")
    y = np.zeros((32, 12, 12, 2), "float32")
    for i, (top, left) in enumerate(random.integers(0, 7, (32, 2))):
        x[i, 2 * top : 2 * top + 12, 2 * left : 2 * left + 12] = 220
        y[i, top : top + 6, left : left + 3, 0] = y[i, top : top + 6, left + 3 : left + 6, 1] = 1
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 24, 3))
    model = keras.Model(inputs, AML(2, (8, 8, 16), 2)(inputs))
    model.compile(keras.optimizers.Adam(0.03), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    model.fit(x, y, epochs=30, verbose=0)  # one step each
    found, true = ops.convert_to_numpy(model(x)) > 0, y > 0.5
    iou = (found & true).sum(axis=(0, 1, 2)) / (found | true).sum(axis=(0, 1, 2))
    assert (iou > 0.85).all(), iou


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_masks": 0}, "`num_masks` must be an integer of at least 1. Received: num_masks=0"),
        ({"num_masks": 2.0}, "`num_masks` must be an integer of at least 1. Received: num_masks=2.0"),
        ({"widths": ()}, r"`widths` must be a list of integers of at least 1. Received: widths=\(\)"),
        ({"widths": (8, 0)}, r"`widths` must be a list of integers of at least 1. Received: widths=\(8, 0\)"),
        ({"widths": 8}, "`widths` must be a list of integers of at least 1. Received: widths=8"),
        ({"output_stride": 3}, r"`output_stride` must be one of \[1, 2, 4\] with 3 widths. Received: output_stride=3"),
        ({"output_stride": 2.0}, r"`output_stride` must be one of .* Received: output_stride=2.0"),
        ({"output_stride": 8}, r"`output_stride` must be one of \[1, 2, 4\] with 3 widths. Received: output_stride=8"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        AML(**{"num_masks": 3, "widths": (4, 6, 8), **arguments})


def test_images_of_unknown_size_are_refused():
    with pytest.raises(ValueError, match=r"height and width must be known. Received: input_shape=\(None, None, 9, 3\)"):
        AML(3).build((None, None, 9, 3))


def test_images_with_other_channels_are_refused():
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 3"):
        AML(3)(np.zeros((1, 8, 8, 4), "float32"))
