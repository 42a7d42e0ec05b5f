"""The one way from an image file to the model's input."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from farkeras.data.examples import FULL_FRAME
from farkeras.data.preprocessing import Preprocessing, resample


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encode(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((218, 178), (112, 96)),  # CelebA's image, smaller by no whole factor
        ((20, 30), (47, 61)),  # larger
        ((40, 10), (13, 25)),  # one side smaller, the other larger
        ((16, 12), (16, 12)),
        ((9, 7), (1, 1)),
    ],
)
def test_full_frame_equals_antialiased_tf_image_resize(old, new):
    pixels = image(*old)
    expected = tf.image.resize(pixels, new, antialias=True).numpy()
    received = resample(pixels, new, FULL_FRAME).numpy()
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, expected, atol=2e-3)  # of 255: rounding of float32 sums


def test_the_same_size_changes_nothing():
    np.testing.assert_array_equal(Preprocessing((16, 12)).resize(image(16, 12)), image(16, 12))


def test_a_batch_equals_its_images():
    pixels = np.stack([image(20, 30, seed) for seed in range(3)])
    preprocessing = Preprocessing((8, 9), (0.1, 0.2, 0.8, 0.9))
    single = np.stack([preprocessing.resize(one) for one in pixels])
    np.testing.assert_allclose(preprocessing.resize(pixels), single, atol=1e-4)


def test_left_beyond_right_mirrors():
    box, mirrored = (0.1, 0.2, 0.8, 0.9), (0.1, 0.9, 0.8, 0.2)
    expected = resample(image(20, 30), (8, 9), box).numpy()[:, ::-1]
    np.testing.assert_allclose(resample(image(20, 30), (8, 9), mirrored), expected, atol=1e-3)


def test_an_aligned_box_is_a_crop():
    received = Preprocessing((10, 15), (0.25, 0.5, 0.75, 1.0)).resize(image(20, 30))
    np.testing.assert_allclose(received, image(20, 30)[5:15, 15:30], atol=1e-3)


def test_beyond_the_border_the_edge_repeats():
    pixels = image(8, 8)
    received = resample(pixels, (12, 12), (-0.25, -0.25, 1.25, 1.25)).numpy()
    np.testing.assert_allclose(received, np.pad(pixels, ((2, 2), (2, 2), (0, 0)), "edge"), atol=1e-3)


def test_sizes_may_be_unknown_in_a_graph():
    spec = tf.TensorSpec([None, None, None, 3], tf.uint8)
    graph = tf.function(Preprocessing((8, 9)).resize, input_signature=[spec])
    for size in ((20, 30), (5, 4)):
        received = graph(image(*size)[None])
        assert received.shape == (1, 8, 9, 3)
        np.testing.assert_allclose(received[0], Preprocessing((8, 9)).resize(image(*size)), atol=1e-4)
    assert graph.get_concrete_function().structured_outputs.shape == (None, 8, 9, 3)


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
