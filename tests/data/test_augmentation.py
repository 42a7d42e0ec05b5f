"""Random changes of training images: each operation by hand, all a function of the numbers drawn."""

import numpy as np
import pytest
import tensorflow as tf

from farkeras.data.augmentation import NUM_DRAWS, Augmentation, Geometry, finish_images
from farkeras.data.preprocessing import Preprocessing

SAME_SIZE = Preprocessing((12, 12))
DRAWS = (0.3, -0.6, 0.8, 0.5, -0.7, 0.4, -0.2, 0.6)
"""In -1..1: size, down, right, flip, turn, brightness, contrast, saturation."""
NONE = {"flip": False}


def image(height=12, width=12, low=0, high=256):
    return np.random.default_rng(0).integers(low, high, (height, width, 3), np.uint8)


def change_of(augmentation, crop=(0.0, 0.0, 1.0, 1.0), draws=DRAWS):
    draws = [*draws, *[0.0] * (NUM_DRAWS - len(draws))]
    return one_of(augmentation.changes(crop, tf.constant([draws], tf.float32)), 0)


def one_of(changes, i):
    return changes._make(values if values is None else values[i] for values in changes)


def augmented(augmentation, pixels, preprocessing=SAME_SIZE, draws=DRAWS):
    """What the pipeline does with an image."""
    change = change_of(augmentation, preprocessing.crop, draws)
    geometry = change.geometry(tf.constant(pixels.shape[:2]))
    return change.colour(geometry.image(tf.constant(pixels), preprocessing.image_size)).numpy()


def random_draws(seed):
    return np.random.default_rng(seed).uniform(-1, 1, NUM_DRAWS).tolist()


@pytest.mark.parametrize("sides", [(20, 30), (16, 17), (7, 12)])  # only the first is halved
def test_none_is_plain_preprocessing(sides):
    preprocessing = Preprocessing((7, 9), (0.1, 0.2, 0.8, 0.9))
    received = augmented(Augmentation(**NONE), image(*sides), preprocessing)
    np.testing.assert_array_equal(received, preprocessing.resize(image(*sides)))


def test_many_changes_are_those_of_each():
    strong, draws = Augmentation(True, 0.2, 0.2, 30, 0.3, 0.3, 0.3), [random_draws(i) for i in range(5)]
    many = strong.changes((0.1, 0.2, 0.8, 0.9), tf.constant(draws, tf.float32))
    for i, drawn in enumerate(draws):
        for one, each in zip(change_of(strong, (0.1, 0.2, 0.8, 0.9), drawn), many, strict=True):
            np.testing.assert_allclose(one, each[i], rtol=1e-6)


def test_flip_mirrors_exactly_by_the_sign_of_its_draw():
    np.testing.assert_array_equal(augmented(Augmentation(), image(), draws=[0, 0, 0, 0.1]), image()[:, ::-1])
    np.testing.assert_array_equal(augmented(Augmentation(), image(), draws=[0, 0, 0, -0.1]), image())


def part(augmentation, crop, draws, sides=(20, 40)):
    """Top, left, bottom, right in pixels of what becomes the frame."""
    return tuple(change_of(augmentation, crop, draws).geometry(tf.constant(sides)).part.numpy())


def test_shift_moves_the_crop():
    shift, crop = Augmentation(flip=False, shift=0.5), (0.2, 0.3, 0.6, 0.8)
    assert part(shift, crop, [0.0, 0.5, -0.25]) == (9, 7, 17, 27)  # of 4, 12, 12, 32: 5 down, 5 left


def test_scale_grows_the_crop_about_its_centre():
    scale, crop = Augmentation(flip=False, scale=0.5), (0.4, 0.3, 0.6, 0.7)
    assert part(scale, crop, [1.0]) == (7, 8, 13, 32)  # of 8, 12, 12, 28
    assert part(scale, crop, [-0.5]) == (8, 14, 12, 26)  # 8.5 and 11.5 to the even pixel


def test_a_crop_stays_in_the_image():
    both = Augmentation(flip=False, shift=0.5, scale=0.5)
    assert part(both, (0.0, 0.0, 1.0, 1.0), [0.0, 0.5, -0.25]) == (5, 0, 20, 35)
    assert part(both, (0.0, 0.0, 1.0, 1.0), [1.0]) == (0, 0, 20, 40)


@pytest.mark.parametrize(
    ("flip", "degrees", "expected"),
    [
        (False, 0.0, lambda x: x),
        (False, 90.0, np.rot90),  # counter-clockwise
        (True, 0.0, lambda x: x[:, ::-1]),
        (True, 90.0, lambda x: np.rot90(x[:, ::-1])),  # the flip first
    ],
)
def test_turning_by_hand(flip, degrees, expected):
    geometry = Geometry(tf.constant([12, 12]), tf.constant([0, 0, 12, 12]), tf.constant(flip), tf.constant(degrees))
    np.testing.assert_allclose(geometry.image(image(), (12, 12)), expected(image().astype(np.float32)), atol=1e-2)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("sides", [(26, 26), (90, 100)])  # the second is halved on the way
def test_turning_by_nothing_is_no_turning(flip, sides):
    some = (sides[0] // 10, 3, sides[0] - 2, sides[1] - 4)
    still = Geometry(tf.constant(sides), tf.constant(some), tf.constant(flip))
    turned, size = still._replace(degrees=tf.constant(0.0)), (12, 14)
    smooth = tf.image.resize(image(6, 7), sides, "bicubic")  # halving a part begins at another pixel
    atol = 1e-2 if sides[0] < 60 else 8
    inside = np.s_[1:-1, 1:-1]  # at its border a part repeats its edge, a turned image shows what lies beyond
    np.testing.assert_allclose(still.image(smooth, size)[inside], turned.image(smooth, size)[inside], atol=atol)


def test_beyond_the_image_its_edge_repeats():
    turned = Geometry(tf.constant([12, 12]), tf.constant([0, 0, 12, 12]), degrees=tf.constant(45.0))
    np.testing.assert_allclose(turned.image(image(), (12, 12))[0, 0], image()[0, 6], atol=100)
    sevens = np.full((12, 12, 3), 7, np.uint8)
    np.testing.assert_allclose(turned.image(sevens, (12, 12)), sevens, atol=1e-4)


def test_the_device_samples_where_the_transform_says():
    """Two images in one batch: one is moved by a pixel, one is rotated by 90 degrees."""
    left, turned = [1, 0, 1, 0, 1, 0, 0, 0], [0, -1, 11, 1, 0, 0, 0, 0]
    batch = {"image": tf.constant([image()] * 2), "transform": tf.constant([left, turned], tf.float32), "counter": 3}
    finished = finish_images(batch, (12, 12))
    assert set(finished) == {"image", "counter"}
    np.testing.assert_array_equal(finished["image"][0], np.pad(image(), ((0, 0), (0, 1), (0, 0)), "edge")[:, 1:])
    np.testing.assert_array_equal(finished["image"][1], np.rot90(image()))


def test_a_transform_by_hand():
    """The lower right quarter of 8 x 4 pixels (height, width) becomes 4 x 2, and then is mirrored or turned."""
    part = {"sides": tf.constant([8, 4]), "part": tf.constant([4, 2, 8, 4])}
    still = Geometry(**part, flip=tf.constant([False, True]), degrees=tf.constant([0.0, 0.0]))
    expected = [[1, 0, 2, 0, 1, 4, 0, 0], [-1, 0, 3, 0, 1, 4, 0, 0]]
    many = still._replace(sides=tf.constant([[8, 4]] * 2), part=tf.constant([[4, 2, 8, 4]] * 2))
    np.testing.assert_allclose(many.transform(tf.constant([[8, 4]] * 2), (4, 2)), expected, atol=1e-6)
    half_turn = Geometry(**part, degrees=tf.constant(180.0)).transform(tf.constant([8, 4]), (4, 2))
    np.testing.assert_allclose(half_turn, [-1, 0, 3, 0, -1, 7, 0, 0], atol=1e-5)


def test_the_device_changes_colours():
    matrix, mean = tf.constant([0.5 * np.eye(3), np.eye(3)[::-1]], tf.float32), tf.constant([0.5, 0.0])
    pixels = np.stack([image(low=100, high=150)] * 2).astype(np.float32)
    finished = finish_images({"image": tf.constant(pixels), "matrix": matrix, "mean": mean}, (12, 12))["image"]
    np.testing.assert_allclose(finished[0], 0.5 * pixels[0] + 0.5 * pixels[0].mean(), rtol=1e-5)
    np.testing.assert_array_equal(finished[1], pixels[1, ..., ::-1])


def test_a_finished_batch_stays_as_it_is():
    batch = {"image": tf.constant(image()[None], tf.float32), "counter": 3}
    assert finish_images(batch, (12, 12)) == batch


# Grey levels 100..150 keep every result inside 0..255.


def test_brightness():
    received = augmented(Augmentation(flip=False, brightness=0.5), image(low=100, high=150))
    np.testing.assert_allclose(received, image(low=100, high=150) * (1 + 0.5 * 0.4), rtol=1e-5)


def test_contrast():
    pixels = image(low=100, high=150).astype(np.float32)
    received = augmented(Augmentation(flip=False, contrast=0.5), pixels)
    np.testing.assert_allclose(received, pixels.mean() + (pixels - pixels.mean()) * (1 + 0.5 * -0.2), rtol=1e-5)


def grey(pixels):
    return (pixels @ [0.299, 0.587, 0.114])[..., None]


def test_saturation():
    pixels = image(low=100, high=150).astype(np.float32)
    received = augmented(Augmentation(flip=False, saturation=0.5), pixels)
    np.testing.assert_allclose(received, grey(pixels) + (pixels - grey(pixels)) * (1 + 0.5 * 0.6), rtol=1e-5)


def test_brightness_then_contrast_then_saturation():
    pixels = image(low=100, high=150).astype(np.float32)
    received = augmented(Augmentation(False, brightness=0.2, contrast=0.3, saturation=0.4), pixels)
    bright = pixels * (1 + 0.2 * 0.4)
    contrasted = bright.mean() + (bright - bright.mean()) * (1 + 0.3 * -0.2)
    expected = grey(contrasted) + (contrasted - grey(contrasted)) * (1 + 0.4 * 0.6)
    np.testing.assert_allclose(received, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_results_stay_in_range(name):
    images = [augmented(Augmentation(**{name: 1.0}), image(), draws=random_draws(i)) for i in range(10)]
    assert min(x.min() for x in images) == 0.0
    assert max(x.max() for x in images) <= 255.0
    assert np.max([x.max() for x in images]) > 200


# Points in the middle of a frame of 40 x 20 pixels (height, width), on its edge, beyond it.
POINTS = np.array([[0.5, 0.5], [1.0, 0.25], [-0.1, 0.9]], np.float32)


@pytest.mark.parametrize(
    ("part", "flip", "degrees", "expected"),
    [
        ((0, 0, 80, 40), False, None, POINTS),
        ((0, 0, 80, 40), True, None, [[0.5, 0.5], [0.0, 0.25], [1.1, 0.9]]),
        ((20, 0, 60, 40), False, None, [[0.5, 0.5], [1.0, 0.0], [-0.1, 1.3]]),
        ((0, 10, 80, 30), False, None, [[0.5, 0.5], [1.5, 0.25], [-0.7, 0.9]]),
        # Counter-clockwise in pixels: 10 right and 10 up of the centre becomes 10 left and 10 up.
        ((0, 0, 80, 40), False, 90.0, [[0.5, 0.5], [0.0, 0.25], [1.3, 0.8]]),
        ((0, 0, 80, 40), True, 90.0, [[0.5, 0.5], [0.0, 0.75], [1.3, 0.2]]),  # the flip first
    ],
)
def test_points_by_hand(part, flip, degrees, expected):
    degrees = None if degrees is None else tf.constant(degrees)
    geometry = Geometry(tf.constant([80, 40]), tf.constant(part), tf.constant(flip), degrees)
    np.testing.assert_allclose(geometry.points(POINTS, (40, 20)), expected, atol=1e-6)


def test_points_of_many_images_move_each_with_its_own():
    strong, draws = Augmentation(True, 0.2, 0.2, 30), tf.constant([random_draws(i) for i in range(5)], tf.float32)
    sides = tf.constant([[20 + i, 40 - i] for i in range(5)])
    points = np.random.default_rng(1).uniform(-0.2, 1.2, (5, 7, 2)).astype(np.float32)
    many = strong.changes((0.1, 0.2, 0.8, 0.9), draws)
    together = many.geometry(sides).points(points, (8, 8))
    for i in range(5):
        alone = one_of(many, i).geometry(sides[i])
        np.testing.assert_allclose(together[i], alone.points(points[i], (8, 8)), atol=1e-6)


def test_without_augmentation_points_pass_through_the_crop():
    geometry = change_of(Augmentation(**NONE), (0.5, 0.0, 1.0, 0.5)).geometry(tf.constant([20, 30]))
    np.testing.assert_allclose(geometry.points([[0.25, 0.75]], (8, 8)), [[0.5, 0.5]])


@pytest.mark.parametrize("seed", range(8))
def test_points_move_with_the_image(seed):
    """A red, a green and a blue dot: they come out where their points do, whatever is drawn."""
    augmentation = Augmentation(flip=True, shift=0.1, scale=0.2, rotation=30)
    preprocessing = Preprocessing((60, 48), (0.05, 0.1, 0.95, 0.95))
    points = np.array([[0.42, 0.45], [0.58, 0.5], [0.47, 0.62]], np.float32)
    rows, columns = (np.mgrid[:120, :90] + 0.5) / np.reshape((120, 90), (2, 1, 1))
    dots = [255 * np.exp(-(((columns - x) * 90) ** 2 + ((rows - y) * 120) ** 2) / 32) for x, y in points]

    moved = augmented(augmentation, np.stack(dots, axis=-1).astype(np.float32), preprocessing, random_draws(seed))
    rows, columns = (np.mgrid[:60, :48] + 0.5) / np.reshape((60, 48), (2, 1, 1))
    found = [[(columns * dot).sum() / dot.sum(), (rows * dot).sum() / dot.sum()] for dot in np.moveaxis(moved, -1, 0)]
    change = change_of(augmentation, preprocessing.crop, random_draws(seed))
    expected = change.geometry(tf.constant([120, 90])).points(points, (60, 48))
    np.testing.assert_allclose(found, expected, atol=0.1 / 48)  # a tenth of a pixel
    assert np.abs(expected - points).max() > 0.02
