"""The one way from an image file to the model's input."""

import io

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from farkeras.data.examples import FULL_FRAME
from farkeras.data.preprocessing import Preprocessing, pixels_of

pytestmark = pytest.mark.core


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encode(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((218, 178), (112, 96)),  # CelebA's image
        ((20, 30), (47, 61)),  # larger
        ((20, 10), (13, 25)),  # one side smaller, the other larger
        ((16, 12), (16, 12)),
    ],
)
def test_below_twice_the_size_it_is_bilinear(old, new):
    received = Preprocessing(new).resize(image(*old))
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, tf.image.resize(image(*old), new), atol=1e-3)


def test_twice_the_size_is_means_of_two_by_two():
    expected = image(16, 12).reshape(8, 2, 6, 2, 3).mean((1, 3))
    np.testing.assert_allclose(Preprocessing((8, 6)).resize(image(16, 12)), expected, atol=1e-3)


def test_each_side_is_halved_until_it_is_below_twice_the_size():
    means = image(96, 20).reshape(12, 8, 20, 3).mean(1)  # 96 -> 48 -> 24 -> 12, while 20 is no twice 11
    expected = tf.image.resize(means, (7, 11))
    np.testing.assert_allclose(Preprocessing((7, 11)).resize(image(96, 20)), expected, atol=1e-3)


def test_the_same_size_changes_nothing():
    np.testing.assert_array_equal(Preprocessing((16, 12)).resize(image(16, 12)), image(16, 12))


def test_a_batch_equals_its_images():
    pixels = np.stack([image(20, 30, seed) for seed in range(3)])
    preprocessing = Preprocessing((8, 9), (0.1, 0.2, 0.8, 0.9))
    single = np.stack([preprocessing.resize(one) for one in pixels])
    np.testing.assert_allclose(preprocessing.resize(pixels), single, atol=1e-4)


def test_an_aligned_box_is_a_crop():
    received = Preprocessing((10, 15), (0.25, 0.5, 0.75, 1.0)).resize(image(20, 30))
    np.testing.assert_allclose(received, image(20, 30)[5:15, 15:30], atol=1e-3)


def test_a_crop_is_rounded_to_whole_pixels():
    received = Preprocessing((10, 14), (0.23, 0.51, 0.76, 0.98)).resize(image(20, 30))  # 4.6, 15.3, 15.2, 29.4
    np.testing.assert_array_equal(received, image(20, 30)[5:15, 15:29])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0.0, 0.0, 1.0, 1.0), (0, 0, 10, 20)),
        ((0.14, 0.16, 0.86, 0.84), (1, 3, 9, 17)),
        ((0.25, 0.25, 0.75, 0.75), (2, 5, 8, 15)),  # 2.5 and 7.5: half-way to the even one
        ((-0.2, -0.2, 1.2, 1.2), (0, 0, 10, 20)),  # beyond the image
        ((0.5, 0.5, 0.51, 0.51), (5, 10, 6, 11)),  # at least one pixel
        ((1.0, 1.0, 1.3, 1.3), (9, 19, 10, 20)),
    ],
)
def test_pixels_of_a_box(box, expected):
    assert pixels_of(box, (10, 20)) == expected
    assert tuple(pixels_of(box, tf.constant([10, 20])).numpy()) == expected


def test_sizes_may_be_unknown_in_a_graph():
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8)
    graph = tf.function(Preprocessing((8, 9)).resize, input_signature=[spec])
    for size in ((20, 30), (5, 4), (15, 70)):
        received = graph(image(*size)[None])
        assert received.shape == (1, 8, 9, 3)
        np.testing.assert_allclose(received[0], Preprocessing((8, 9)).resize(image(*size)), atol=1e-4)
    assert graph.get_concrete_function().structured_outputs.shape == (None, 8, 9, 3)


def test_it_converts_to_builtin_operations_of_tflite():
    spec = tf.TensorSpec([1, 50, 30, 3], tf.uint8)
    graph = tf.function(lambda x: Preprocessing((8, 9), (0.1, 0.0, 1.0, 1.0)).resize(tf.cast(x, tf.float32)), [spec])
    model = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()]).convert()
    assert b"RESIZE_BILINEAR" not in model  # an operation's number, no custom operation's name
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image(50, 30)[None])
    interpreter.invoke()
    received = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    expected = Preprocessing((8, 9), (0.1, 0.0, 1.0, 1.0)).resize(image(50, 30))
    np.testing.assert_allclose(received, expected, atol=1e-3)


@pytest.mark.parametrize(
    "options", [{"format": "JPEG", "quality": 85}, {"format": "JPEG", "quality": 50}, {"format": "PNG"}]
)
def test_decoding_gives_pillows_pixels(options):
    smooth = np.asarray(Image.fromarray(image(9, 7)).resize((70, 90), Image.Resampling.BICUBIC))
    encoded = encode(smooth, **options)
    np.testing.assert_array_equal(Preprocessing((8, 8)).decode(encoded), np.asarray(Image.open(io.BytesIO(encoded))))


def test_grey_image_becomes_rgb():
    decoded = Preprocessing((8, 8)).decode(encode(image(6, 5)[..., 0], format="PNG")).numpy()
    np.testing.assert_array_equal(decoded, np.repeat(image(6, 5)[..., :1], 3, axis=-1))


def test_dictionary_round_trip():
    preprocessing = Preprocessing((112, 96), (0.0, 0.1, 1.0, 0.9))
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


def test_a_crop_counts_within_the_frame():
    frame, crop = (0.0, 0.25, 0.5, 0.75), (0.5, 0.0, 1.0, 0.5)
    assert Preprocessing((8, 8)).within(frame) == Preprocessing((8, 8), frame)
    assert Preprocessing((8, 8), crop).within(FULL_FRAME) == Preprocessing((8, 8), crop)
    assert Preprocessing((8, 8), crop).within(frame) == Preprocessing((8, 8), (0.25, 0.25, 0.5, 0.5))
