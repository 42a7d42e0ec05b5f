"""G2FF: the formula by hand and in its literal form, absent regions, and the resizing of masks."""

import keras
import numpy as np
import pytest
from keras import ops

from farkeras.layers import G2FF
from farkeras.layers.g2ff import area_average

pytestmark = pytest.mark.core

SCALES = [(2, 7, 6, 5), (2, 4, 3, 7), (2, 2, 2, 4)]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def make(shapes=SCALES, masks=(2, 13, 11, 3), width=6):
    keras.utils.set_random_seed(0)
    layer = G2FF(width)
    layer.build(([(None, *shape[1:]) for shape in shapes], (None, *masks[1:])))
    for i, weight in enumerate(layer.weights):  # biases too
        weight.assign(0.5 * normal(*weight.shape, seed=i))
    return layer


def resized(mask, rows, columns):
    """`(h, w)` -> `(rows, columns)`: as many copies of each pixel as make both sizes divide, then block means."""
    height, width = mask.shape
    fine = np.repeat(np.repeat(mask, rows, axis=0), columns, axis=1)
    return fine.reshape(rows, height, columns, width).mean(axis=(1, 3))


def literal(layer, maps, masks):
    """Every masked map built, one example, one group and one scale at a time."""
    kernel, bias, global_kernel, global_bias, gate_kernel, gate_bias = (ops.convert_to_numpy(w) for w in layer.weights)
    splits = np.cumsum([f.shape[-1] for f in maps])
    *projections, area_row = np.split(kernel, splits)
    fused = np.zeros((len(masks), masks.shape[-1], layer.width))
    for b, j in np.ndindex(fused.shape[:2]):
        mask = masks[b, :, :, j].astype("float64")
        group = bias + mask.mean() * area_row[0]
        for features, projection in zip(maps, projections, strict=True):
            p = resized(mask, *features.shape[1:3])
            masked = p[:, :, None] * features[b]
            group = group + masked.sum(axis=(0, 1)) / (p.sum() + 1) @ projection
        whole = maps[-1][b].mean(axis=(0, 1)) @ global_kernel + global_bias
        u = 1 / (1 + np.exp(-(np.concatenate([group, whole]) @ gate_kernel + gate_bias)))
        fused[b, j] = group + u * whole
    return fused


@pytest.mark.parametrize(
    "mask_size",
    [(14, 12), (13, 11), (227, 227), (3, 2)],
    ids=["whole ratios", "other ratios", "input-sized", "smaller than the maps"],
)
def test_equals_the_literal_form(mask_size):
    layer = make(masks=(2, *mask_size, 3))
    maps, masks = [normal(*shape, seed=i) for i, shape in enumerate(SCALES)], uniform(2, *mask_size, 3)
    np.testing.assert_allclose(ops.convert_to_numpy(layer((maps, masks))), literal(layer, maps, masks), atol=1e-5)


def test_value_by_hand():
    # One map of two positions with values 2 and 5, one channel, and vectors of length one.
    layer = make([(1, 1, 2, 1)], (1, 1, 4, 2), width=1)
    for weight, value in zip(
        layer.weights, ([[1.0], [10.0]], [0.5], [[2.0]], [-1.0], [[1.0], [-1.0]], [0.0]), strict=True
    ):
        weight.assign(value)
    masks = np.array([[[[1, 0], [0, 0], [0, 0], [0, 1]]]], "float32")
    # Resized to two cells the masks are (0.5, 0) and (0, 0.5), their area is 1/4.
    group = np.array([0.5 * 2 / 1.5 + 10 / 4 + 0.5, 0.5 * 5 / 1.5 + 10 / 4 + 0.5])
    whole = 2 * 3.5 - 1
    fused = group + whole / (1 + np.exp(-(group - whole)))
    received = layer(([np.array([[[[2.0], [5.0]]]], "float32")], masks))
    np.testing.assert_allclose(ops.convert_to_numpy(received)[0, :, 0], fused, rtol=1e-6)


@pytest.mark.parametrize(
    ("global_fusion", "expected"),
    [("off", [[4.0], [8.0]]), ("concatenated", [[4.0, 6.0], [8.0, 6.0]]), ("global_only", [[6.0], [6.0]])],
)
def test_other_ways_to_add_the_global_feature_by_hand(global_fusion, expected):
    # As above: two positions with values 2 and 4, and each group sees one of them. The mean of both is 3.
    layer = G2FF(1, global_fusion)
    layer.build(([(None, 1, 2, 1)], (None, 1, 2, 2)))
    kernels = {"group": [[4.0], [0.0]], "global": [[2.0]]}
    for weight in layer.weights:
        weight.assign(kernels[weight.path.split("/")[-2]] if weight.name == "kernel" else [0.0])
    inputs = ([np.array([[[[2.0], [4.0]]]], "float32")], np.array([[[[1, 0], [0, 1]]]], "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(inputs))[0], expected, rtol=1e-6)


def test_unknown_global_fusion():
    with pytest.raises(ValueError, match="`global_fusion` must be one of gated, off, concatenated, global_only"):
        G2FF(global_fusion="sum")


def test_an_absent_region_is_not_the_global_average():
    # Without eps and area an empty mask would be 0 / 0, or with a tiny eps whatever its noise covers.
    layer, maps = make(), [normal(*shape, seed=i) + 3 for i, shape in enumerate(SCALES)]
    masks = np.zeros((2, 13, 11, 3), "float32")
    masks[..., 1], masks[..., 2] = 1, 1e-4
    absent, whole, noise = np.moveaxis(ops.convert_to_numpy(layer((maps, masks))), 1, 0)
    assert np.abs(absent - whole).max() > 1
    np.testing.assert_allclose(noise, absent, atol=0.05)
    # What is left of an absent region does not depend on the image.
    layer.to_global.kernel.assign(np.zeros((4, 6)))
    absent = ops.convert_to_numpy(layer((maps, masks)))[:, 0]
    np.testing.assert_allclose(absent[0], absent[1], atol=1e-6)


def test_gradients_of_an_absent_region_are_finite():
    tf = pytest.importorskip("tensorflow")
    layer, maps = make(), [tf.constant(normal(*shape)) for shape in SCALES]
    masks = tf.zeros((2, 13, 11, 3))
    with tf.GradientTape() as tape:
        tape.watch([maps, masks])
        loss = tf.reduce_sum(layer((maps, masks)) ** 2)
    gradients = tape.gradient(loss, [*maps, masks, *layer.trainable_variables])
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert np.abs(gradients[len(maps)]).max() > 0, "a mask that starts empty could never grow"


def test_weights_are_shared_by_all_groups():
    layer, maps = make(), [normal(*shape) for shape in SCALES]
    masks, order = uniform(2, 13, 11, 3), [2, 0, 1]
    fused, permuted = (ops.convert_to_numpy(layer((maps, m))) for m in (masks, masks[..., order]))
    np.testing.assert_allclose(permuted, fused[:, order], atol=1e-5)
    parameters = [make(masks=(2, 13, 11, groups)).count_params() for groups in (1, 9)]
    assert parameters == [(5 + 7 + 4 + 1) * 6 + 6 + 4 * 6 + 6 + 12 * 6 + 6] * 2


def test_area_average_by_hand():
    np.testing.assert_allclose(area_average(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-12)
    np.testing.assert_allclose(area_average(2, 3), [[1, 0], [0.5, 0.5], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(area_average(4, 4), np.eye(4), atol=1e-12)


@pytest.mark.parametrize(("source", "target"), [(227, 29), (56, 14), (113, 8), (3, 7), (1, 5), (5, 1)])
def test_area_average_keeps_the_mean(source, target):
    matrix = area_average(source, target)
    assert matrix.shape == (target, source)
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    np.testing.assert_allclose(matrix.sum(axis=0), target / source)


@pytest.mark.parametrize("width", [0, 2.5, "8"])
def test_wrong_width(width):
    with pytest.raises(ValueError, match=f"`width` must be an integer of at least 1. Received: width={width}"):
        G2FF(width)


@pytest.mark.parametrize(
    "shape",
    [
        (2, 4, 4, 8),
        ([], (2, 8, 8, 3)),
        ([(2, 4, 8)], (2, 8, 8, 3)),
        ([(2, 4, 4, 8)], (2, 8, 3)),
        ([(2, None, 4, 8)], (2, 8, 8, 3)),
    ],
    ids=["one tensor", "no map", "flat map", "flat masks", "unknown size"],
)
def test_other_inputs_are_refused(shape):
    with pytest.raises(ValueError, match=r"The input must be \(\[map, \.\.\.\], masks\), each \(batch, height"):
        G2FF().build(shape)
