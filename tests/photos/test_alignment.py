"""The aligned crop: the matrix by hand, the pixels by symmetry."""

import numpy as np
import pytest
from PIL import Image

from farkeras.errors import FarkerasError
from farkeras.photos.alignment import CROP_EYES, cut_crop, inverse, similarity_from_eyes


def smooth_image(height=400, width=360):
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 11 + c) + np.cos(y / 13 - c) + np.sin((x + y) / 17) for c in range(3)]
    return np.uint8(np.stack(waves, axis=-1) * 40 + 127)


@pytest.mark.parametrize(
    ("eyes", "targets", "expected"),
    [
        ([(0, 0), (1, 0)], [(5, 7), (6, 7)], [[1, 0, 5], [0, 1, 7]]),
        ([(0, 0), (1, 0)], [(0, 0), (3, 0)], [[3, 0, 0], [0, 3, 0]]),
        ([(0, 0), (0, 1)], [(0, 0), (1, 0)], [[0, 1, 0], [-1, 0, 0]]),
        ([(10, 20), (10, 40)], [(1, 1), (11, 1)], [[0, 0.5, -9], [-0.5, 0, 6]]),
    ],
)
def test_similarity_by_hand(eyes, targets, expected):
    matrix = similarity_from_eyes(eyes, targets)
    np.testing.assert_allclose(matrix, expected, atol=1e-12)


def test_similarity_sends_eyes_to_targets():
    eyes = np.array([(203.1, 100.7), (246.2, 103.1)])
    matrix = similarity_from_eyes(eyes)
    np.testing.assert_allclose(eyes @ matrix[:, :2].T + matrix[:, 2], CROP_EYES, atol=1e-9)


def test_inverse_sends_targets_to_eyes():
    eyes = np.array([(203.1, 100.7), (246.2, 113.1)])
    back = inverse(similarity_from_eyes(eyes))
    assert back.shape == (2, 3)
    np.testing.assert_allclose(np.array(CROP_EYES) @ back[:, :2].T + back[:, 2], eyes, atol=1e-9)


@pytest.mark.parametrize("eyes", [[(5, 5), (5, 5)], [(5, 5), (5.5, 5)], [(np.nan, 5), (9, 5)]])
def test_eyes_that_coincide(eyes):
    with pytest.raises(FarkerasError, match="less than one pixel apart"):
        cut_crop(smooth_image(), eyes)


def test_identity_is_exact():
    image = smooth_image(218, 178)
    np.testing.assert_array_equal(cut_crop(image, CROP_EYES), image)


def test_shift_by_whole_pixels_is_exact():
    image = smooth_image()
    shifted = cut_crop(image, np.add(CROP_EYES, (31, 57)))
    np.testing.assert_array_equal(shifted, image[57 : 57 + 218, 31 : 31 + 178])


def test_quarter_turn_is_exact():
    image = smooth_image(218, 178)
    turned = np.rot90(image)  # counter-clockwise: (x, y) goes to (y, 177 - x)
    eyes = [(y, 177 - x) for x, y in CROP_EYES]
    np.testing.assert_array_equal(cut_crop(turned, eyes), image)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_enlarged_image_gives_the_same_crop(factor):
    image = smooth_image(218, 178)
    large = np.array(Image.fromarray(image).resize((178 * factor, 218 * factor), Image.BICUBIC))
    eyes = (np.array(CROP_EYES) + 0.5) * factor - 0.5
    np.testing.assert_allclose(cut_crop(large, eyes).astype(int), image, atol=3)


@pytest.mark.parametrize("seed", range(8))
def test_any_similarity_gives_the_same_crop(seed):
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-np.pi, np.pi), np.exp(rng.uniform(np.log(0.8), np.log(3)))
    image = smooth_image()
    eyes = np.array([(150.0, 190.0), (200.0, 185.0)])
    expected = cut_crop(image, eyes)

    # Resample the image itself: point p goes to turn @ p + shift, wholly inside a large canvas.
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    side = int(600 * scale)
    shift = np.array([side / 2, side / 2]) - turn @ (180, 200)
    back = np.linalg.inv(turn)
    offset = back @ (-0.5 - shift) + 0.5
    moved = Image.fromarray(image).transform(
        (side, side), Image.AFFINE, np.column_stack([back, offset]).ravel(), Image.BICUBIC
    )
    result = cut_crop(np.array(moved), eyes @ turn.T + shift)
    difference = np.abs(result.astype(int) - expected)[40:200, 20:160]
    assert difference.mean() < 2
    assert np.percentile(difference, 99) < 8


def test_shrinking_does_not_alias():
    stripes = np.zeros((1744, 1424, 3), np.uint8)
    stripes[::2] = 255  # finer than the crop can show: grey, not black and white
    crop = cut_crop(stripes, (np.array(CROP_EYES) + 0.5) * 8 - 0.5)
    np.testing.assert_allclose(crop[4:-4], 127, atol=2)


def test_edges_are_repeated_beyond_the_photograph():
    image = np.zeros((30, 60, 3), np.uint8)
    image[:, :30], image[:, 30:] = (200, 0, 0), (0, 0, 200)
    crop = cut_crop(image, [(10, 15), (49, 15)])
    np.testing.assert_array_equal(crop[[0, 0, -1, -1], [0, -1, 0, -1]][:, 0], [200, 0, 200, 0])
    np.testing.assert_array_equal(crop[[0, 0, -1, -1], [0, -1, 0, -1]][:, 2], [0, 200, 0, 200])
