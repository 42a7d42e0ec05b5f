"""Random changes of training images: each operation by hand, all a function of the seed."""

import numpy as np
import pytest
import tensorflow as tf

from farkeras.data.augmentation import Augmentation, Geometry, rotate
from farkeras.data.preprocessing import Preprocessing

SAME_SIZE = Preprocessing((12, 12))
SEED = tf.constant([3, 5])
NONE = {"flip": False}


def image(height=12, width=12, low=0, high=256):
    return np.random.default_rng(0).integers(low, high, (height, width, 3), np.uint8)


def draw(seed):
    """The numbers in -1..1 that an augmentation draws: size, shift down, shift right, flip, rotation, ..."""
    return tf.random.stateless_uniform([8], seed, -1.0, 1.0).numpy()


def test_none_is_plain_preprocessing():
    preprocessing = Preprocessing((7, 9), (0.1, 0.2, 0.8, 0.9))
    received = Augmentation(**NONE)(image(20, 30), preprocessing, SEED)
    np.testing.assert_allclose(received, preprocessing.resize(image(20, 30)), atol=1e-3)


def test_the_seed_decides():
    strong = Augmentation(True, 0.2, 0.2, 30, 0.3, 0.3, 0.3)
    first, again = (strong(image(), SAME_SIZE, SEED).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(strong(image(), SAME_SIZE, tf.constant([3, 6])).numpy() - first).max() > 1


def test_flip_mirrors_half_of_the_images_exactly():
    images = [Augmentation()(image(), SAME_SIZE, tf.constant([0, i])).numpy() for i in range(40)]
    mirrored = [np.allclose(x, image()[:, ::-1], atol=1e-3) for x in images]
    plain = [np.allclose(x, image(), atol=1e-3) for x in images]
    assert all(a != b for a, b in zip(mirrored, plain, strict=True))
    assert 10 < sum(mirrored) < 30


def test_shift_moves_the_box():
    box = Augmentation(flip=False, shift=0.5).box((0.0, 0.0, 1.0, 1.0), tf.constant([0, 0.5, -1.0, 0, 0, 0, 0, 0]))
    np.testing.assert_allclose(box, [0.25, -0.5, 1.25, 0.5])


def test_scale_grows_the_box_about_its_centre():
    box = Augmentation(flip=False, scale=0.5).box((0.0, 0.2, 1.0, 0.6), tf.constant([1.0, 0, 0, 0, 0, 0, 0, 0]))
    np.testing.assert_allclose(box, [-0.25, 0.1, 1.25, 0.7], atol=1e-6)


def test_rotation_is_counter_clockwise():
    pixels = image().astype(np.float32)
    np.testing.assert_allclose(rotate(pixels, tf.constant(90.0)), np.rot90(pixels), atol=1e-2)
    np.testing.assert_allclose(rotate(pixels, tf.constant(0.0)), pixels)


def test_rotation_by_the_draw():
    received = Augmentation(flip=False, rotation=20)(image(), SAME_SIZE, SEED)
    expected = rotate(image().astype(np.float32), tf.constant(20 * draw(SEED)[4], tf.float32))
    np.testing.assert_allclose(received, expected, atol=1e-3)


# Grey levels 100..150 keep every result inside 0..255.
BRIGHTNESS, CONTRAST, SATURATION = 5, 6, 7


def test_brightness():
    received = Augmentation(flip=False, brightness=0.5)(image(low=100, high=150), SAME_SIZE, SEED)
    np.testing.assert_allclose(received, image(low=100, high=150) * (1 + 0.5 * draw(SEED)[BRIGHTNESS]), rtol=1e-5)


def test_contrast():
    pixels = image(low=100, high=150).astype(np.float32)
    received = Augmentation(flip=False, contrast=0.5)(pixels, SAME_SIZE, SEED)
    expected = pixels.mean() + (pixels - pixels.mean()) * (1 + 0.5 * draw(SEED)[CONTRAST])
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_saturation():
    pixels = image(low=100, high=150).astype(np.float32)
    received = Augmentation(flip=False, saturation=0.5)(pixels, SAME_SIZE, SEED)
    grey = (pixels @ [0.299, 0.587, 0.114])[..., None]
    np.testing.assert_allclose(received, grey + (pixels - grey) * (1 + 0.5 * draw(SEED)[SATURATION]), rtol=1e-5)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_results_stay_in_range(name):
    images = [Augmentation(**{name: 1.0})(image(), SAME_SIZE, tf.constant([0, i])).numpy() for i in range(10)]
    assert min(x.min() for x in images) == 0.0
    assert max(x.max() for x in images) <= 255.0
    assert np.max([x.max() for x in images]) > 200


# Points in the middle of a frame of 40 x 20 pixels (height, width), on its edge, beyond it.
POINTS = np.array([[0.5, 0.5], [1.0, 0.25], [-0.1, 0.9]], np.float32)


@pytest.mark.parametrize(
    ("box", "degrees", "expected"),
    [
        ((0.0, 0.0, 1.0, 1.0), None, POINTS),
        ((0.0, 1.0, 1.0, 0.0), None, [[0.5, 0.5], [0.0, 0.25], [1.1, 0.9]]),  # flip
        ((0.25, -0.5, 1.25, 0.5), None, [[1.0, 0.25], [1.5, 0.0], [0.4, 0.65]]),  # shift
        ((0.0, 0.25, 1.0, 0.75), None, [[0.5, 0.5], [1.5, 0.25], [-0.7, 0.9]]),  # crop
        # Counter-clockwise in pixels: 10 right and 10 up of the centre becomes 10 left and 10 up.
        ((0.0, 0.0, 1.0, 1.0), 90.0, [[0.5, 0.5], [0.0, 0.25], [1.3, 0.8]]),
        ((0.0, 1.0, 1.0, 0.0), 90.0, [[0.5, 0.5], [0.0, 0.75], [1.3, 0.2]]),  # the flip first
    ],
)
def test_points_by_hand(box, degrees, expected):
    geometry = Geometry((40, 20), box, degrees and tf.constant(degrees))
    np.testing.assert_allclose(geometry.points(POINTS), expected, atol=1e-6)


def test_without_augmentation_points_pass_through_the_crop():
    preprocessing = Preprocessing((8, 8), (0.5, 0.0, 1.0, 0.5))
    geometry = Augmentation(**NONE).geometry(preprocessing, SEED)
    np.testing.assert_allclose(geometry.points([[0.25, 0.75]]), [[0.5, 0.5]])


@pytest.mark.parametrize("seed", range(8))
def test_points_move_with_the_image(seed):
    """A red, a green and a blue dot: they come out where their points do, whatever is drawn."""
    augmentation = Augmentation(flip=True, shift=0.1, scale=0.2, rotation=30)
    preprocessing, key = Preprocessing((60, 48), (0.05, 0.1, 0.95, 0.95)), tf.constant([seed, 1])
    points = np.array([[0.42, 0.45], [0.58, 0.5], [0.47, 0.62]], np.float32)
    rows, columns = (np.mgrid[:120, :90] + 0.5) / np.reshape((120, 90), (2, 1, 1))
    dots = [255 * np.exp(-(((columns - x) * 90) ** 2 + ((rows - y) * 120) ** 2) / 32) for x, y in points]

    moved = augmentation(np.stack(dots, axis=-1), preprocessing, key).numpy()
    rows, columns = (np.mgrid[:60, :48] + 0.5) / np.reshape((60, 48), (2, 1, 1))
    found = [[(columns * dot).sum() / dot.sum(), (rows * dot).sum() / dot.sum()] for dot in np.moveaxis(moved, -1, 0)]
    expected = augmentation.geometry(preprocessing, key).points(points)
    np.testing.assert_allclose(found, expected, atol=0.1 / 48)  # a tenth of a pixel
    assert np.abs(expected - points).max() > 0.02
