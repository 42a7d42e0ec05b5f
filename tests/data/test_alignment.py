"""The aligned crop: the matrix by hand, the pixels by symmetry, the face on a real photograph."""

import sys

import numpy as np
import pytest
from PIL import Image

from farkeras.data.alignment import CROP_EYES, FaceAligner, align, inverse, similarity_from_eyes
from farkeras.data.photos import read_photo
from farkeras.errors import FarkerasError


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
        align(smooth_image(), eyes)


def test_identity_is_exact():
    image = smooth_image(218, 178)
    np.testing.assert_array_equal(align(image, CROP_EYES), image)


def test_shift_by_whole_pixels_is_exact():
    image = smooth_image()
    shifted = align(image, np.add(CROP_EYES, (31, 57)))
    np.testing.assert_array_equal(shifted, image[57 : 57 + 218, 31 : 31 + 178])


def test_quarter_turn_is_exact():
    image = smooth_image(218, 178)
    turned = np.rot90(image)  # counter-clockwise: (x, y) goes to (y, 177 - x)
    eyes = [(y, 177 - x) for x, y in CROP_EYES]
    np.testing.assert_array_equal(align(turned, eyes), image)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_enlarged_image_gives_the_same_crop(factor):
    image = smooth_image(218, 178)
    large = np.array(Image.fromarray(image).resize((178 * factor, 218 * factor), Image.BICUBIC))
    eyes = (np.array(CROP_EYES) + 0.5) * factor - 0.5
    np.testing.assert_allclose(align(large, eyes).astype(int), image, atol=3)


@pytest.mark.parametrize("seed", range(8))
def test_any_similarity_gives_the_same_crop(seed):
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-np.pi, np.pi), np.exp(rng.uniform(np.log(0.8), np.log(3)))
    image = smooth_image()
    eyes = np.array([(150.0, 190.0), (200.0, 185.0)])
    expected = align(image, eyes)

    # Resample the image itself: point p goes to turn @ p + shift, wholly inside a large canvas.
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    side = int(600 * scale)
    shift = np.array([side / 2, side / 2]) - turn @ (180, 200)
    back = np.linalg.inv(turn)
    offset = back @ (-0.5 - shift) + 0.5
    moved = Image.fromarray(image).transform(
        (side, side), Image.AFFINE, np.column_stack([back, offset]).ravel(), Image.BICUBIC
    )
    result = align(np.array(moved), eyes @ turn.T + shift)
    difference = np.abs(result.astype(int) - expected)[40:200, 20:160]
    assert difference.mean() < 2
    assert np.percentile(difference, 99) < 8


def test_shrinking_does_not_alias():
    stripes = np.zeros((1744, 1424, 3), np.uint8)
    stripes[::2] = 255  # finer than the crop can show: grey, not black and white
    crop = align(stripes, (np.array(CROP_EYES) + 0.5) * 8 - 0.5)
    np.testing.assert_allclose(crop[4:-4], 127, atol=2)


def test_edges_are_repeated_beyond_the_photograph():
    image = np.zeros((30, 60, 3), np.uint8)
    image[:, :30], image[:, 30:] = (200, 0, 0), (0, 0, 200)
    crop = align(image, [(10, 15), (49, 15)])
    np.testing.assert_array_equal(crop[[0, 0, -1, -1], [0, -1, 0, -1]][:, 0], [200, 0, 200, 0])
    np.testing.assert_array_equal(crop[[0, 0, -1, -1], [0, -1, 0, -1]][:, 2], [0, 200, 0, 200])


def test_without_mediapipe(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions", None)
    with pytest.raises(FarkerasError, match=r"pip install farkeras\[keypoints\]"):
        FaceAligner()


class TestFaceAligner:
    @pytest.fixture(scope="class")
    def aligner(self):
        pytest.importorskip("mediapipe")
        return FaceAligner()

    @pytest.fixture(scope="class")
    def astronaut(self):
        return pytest.importorskip("skimage.data").astronaut()

    def test_pupils_of_the_photograph(self, aligner, astronaut):
        points = aligner.landmarks(astronaut)
        assert points.shape == (478, 2)
        assert points.dtype == np.float32
        # Read off the photograph by eye.
        np.testing.assert_allclose(points[[468, 473]], [(203, 101), (246, 103)], atol=1.5)

    def test_crop_has_the_pupils_at_their_places(self, aligner, astronaut):
        crop = aligner.crop(astronaut)
        assert crop.shape == (218, 178, 3)
        assert crop.dtype == np.uint8
        np.testing.assert_allclose(aligner.landmarks(crop)[[468, 473]], CROP_EYES, atol=1)

    def test_mirror_image_has_mirrored_landmarks(self, aligner, astronaut):
        mirrored = aligner.landmarks(astronaut[:, ::-1])[[473, 468]]
        mirrored[:, 0] = 511 - mirrored[:, 0]
        np.testing.assert_allclose(aligner.landmarks(astronaut)[[468, 473]], mirrored, atol=0.6)

    @pytest.mark.parametrize("side", [1536, 2048])
    def test_small_face_in_a_corner(self, aligner, astronaut, side):
        canvas = np.full((side, side, 3), 90, np.uint8)
        canvas[-512:, -512:] = astronaut
        found = aligner.landmarks(canvas)[[468, 473]] - (side - 512)
        np.testing.assert_allclose(found, aligner.landmarks(astronaut)[[468, 473]], atol=0.5)

    def test_largest_of_two_faces(self, aligner, astronaut):
        face = Image.fromarray(astronaut[:256, 96:352])
        two = np.concatenate([np.array(face.resize((150, 256))), np.array(face)], axis=1)
        assert aligner.landmarks(two)[:, 0].mean() > 150

    def test_no_face(self, aligner):
        assert aligner.landmarks(smooth_image()) is None
        assert aligner.eyes(smooth_image()) is None
        assert aligner.crop(np.zeros((40, 30, 3), np.uint8)) is None

    def test_drawn_faces_are_found(self, aligner, faces_dir):
        paths = sorted((faces_dir / "img_align_celeba").iterdir())[:60]
        assert np.mean([aligner.eyes(read_photo(path)) is not None for path in paths]) >= 0.95
