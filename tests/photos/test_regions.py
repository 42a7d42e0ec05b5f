"""The way from the masks' frame to pixels, by hand, and the part of a photograph that is shown."""

import numpy as np

from farkeras.photos.regions import LONGEST_SIDE, FaceRegions

MASKS = np.zeros((7, 6, 8), np.float32)


def face(height, width, to_image):
    y, x = np.mgrid[:height, :width]
    image = np.stack([x // 4, y // 4, x * 0], axis=-1).astype(np.uint8)  # each pixel says where it is
    return FaceRegions(image, MASKS, np.array(to_image, np.float64))


def test_a_frame_that_is_the_whole_image():
    regions = FaceRegions.of_frame(np.full((20, 10, 3), 300.0), MASKS)
    assert regions.image.dtype == np.uint8
    assert regions.image.max() == 255
    # The edges lie half a pixel beyond the centres of the first and the last pixel.
    np.testing.assert_allclose(regions.points([(0, 0), (1, 1), (0.5, 0.5)]), [(-0.5, -0.5), (9.5, 19.5), (4.5, 9.5)])


def test_small_face_is_cut_out_with_its_surroundings():
    small = face(600, 800, [[100, 0, 300], [0, 200, 100]])  # x 300 to 400, y 100 to 300
    shown = small.close_up()
    assert shown.image.shape == (241, 141, 3)  # a tenth of 200 at each side
    np.testing.assert_array_equal(shown.image, small.image[80:321, 280:421])
    np.testing.assert_allclose(shown.points([(0, 0), (1, 1)]), [(20, 20), (120, 220)])


def test_face_that_fills_the_photograph_is_shown_whole():
    regions = FaceRegions.of_frame(face(218, 178, np.eye(2, 3)).image, MASKS)
    shown = regions.close_up()
    np.testing.assert_array_equal(shown.image, regions.image)
    np.testing.assert_allclose(shown.to_image, regions.to_image)


def test_large_face_is_shrunk_and_points_stay_on_their_pixels():
    turned = face(1000, 1000, [[600, -200, 300], [200, 700, 60]])
    shown = turned.close_up()
    assert max(shown.image.shape) == LONGEST_SIDE
    for fractions in ((0.2, 0.3), (0.5, 0.5), (0.7, 0.6)):
        (x, y), (u, v) = turned.points(fractions), shown.points(fractions)
        pixel = shown.image[round(v), round(u)].astype(float)
        np.testing.assert_allclose(pixel[:2], (x / 4, y / 4), atol=1)


def test_close_up_of_a_close_up_is_the_same():
    for to_image in ([[600, -200, 300], [200, 700, 60]], [[90, 10, 33.3], [-10, 110, 51.7]]):
        once = face(1000, 1000, to_image).close_up()
        again = once.close_up()
        np.testing.assert_array_equal(again.image, once.image)
        np.testing.assert_allclose(again.to_image, once.to_image)
