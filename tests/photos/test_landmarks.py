"""Faces in photographs: a real one wherever it is put, whatever its size and turn; nothing where there is none."""

import sys

import numpy as np
import pytest
from PIL import Image

from farkeras.errors import FarkerasError
from farkeras.photos import face_landmarkers
from farkeras.photos.alignment import CROP_EYES, cut_crop
from farkeras.photos.landmarks import EYES, find_eyes, find_face, find_faces
from farkeras.photos.reader import read_photo

PUPILS = np.array([(203, 101), (246, 103)])  # of the portrait, read off by eye


@pytest.fixture(scope="module")
def astronaut():
    pytest.importorskip("mediapipe")
    return pytest.importorskip("skimage.data").astronaut()


def composed(portrait, side, distance, places, degrees=0):
    """Portraits on grey with the eyes `distance` pixels apart, the middle between the eyes at each place."""
    canvas = Image.new("RGB", (side, side * 2 // 3), (90, 100, 110))
    head, eyes = Image.fromarray(portrait[:260, 90:360]), PUPILS.mean(axis=0) - (90, 0)
    scale = distance / np.linalg.norm(PUPILS[1] - PUPILS[0])
    head = head.resize(np.round(np.array(head.size) * scale).astype(int).tolist(), Image.Resampling.LANCZOS)
    for x, y in places:
        layer, mask = Image.new("RGB", canvas.size), Image.new("L", canvas.size)
        corner = round(x - eyes[0] * scale), round(y - eyes[1] * scale)
        layer.paste(head, corner)
        mask.paste(255, (*corner, corner[0] + head.width, corner[1] + head.height))
        turned = [image.rotate(degrees, Image.Resampling.BICUBIC, center=(x, y)) for image in (layer, mask)]
        canvas.paste(turned[0], mask=turned[1])
    return np.array(canvas)


def middle(face):
    return face[list(EYES)].mean(axis=0)


def eye_distance(face):
    return np.linalg.norm(np.subtract(*face[list(EYES)]))


def test_pupils_of_the_photograph(astronaut):
    face = find_face(astronaut)
    assert (face.shape, face.dtype) == ((478, 2), np.float32)
    np.testing.assert_allclose(face[list(EYES)], PUPILS, atol=1.5)
    np.testing.assert_array_equal(find_eyes(astronaut), face[list(EYES)])


def test_the_crop_has_the_pupils_at_their_places(astronaut):
    np.testing.assert_allclose(find_eyes(cut_crop(astronaut, find_eyes(astronaut))), CROP_EYES, atol=1)


def test_a_mirror_image_has_mirrored_landmarks(astronaut):
    mirrored = find_face(astronaut[:, ::-1])[list(EYES[::-1])]
    mirrored[:, 0] = 511 - mirrored[:, 0]
    np.testing.assert_allclose(find_eyes(astronaut), mirrored, atol=1.2)  # of 43 between the eyes


@pytest.mark.parametrize("side", [1536, 2048])
def test_a_small_face_in_a_corner(astronaut, side):
    canvas = np.full((side, side, 3), 90, np.uint8)
    canvas[-512:, -512:] = astronaut
    np.testing.assert_allclose(find_eyes(canvas) - (side - 512), find_eyes(astronaut), atol=1)
    assert find_face(canvas, levels=1) is None  # the photograph as a whole does not show it


@pytest.mark.parametrize(
    ("side", "distance", "degrees"),
    [(1000, 12, 0), (1000, 30, 30), (1000, 200, -45), (3000, 35, 0), (3000, 75, -30), (4000, 100, 45)],
)
def test_small_and_turned_faces(astronaut, side, distance, degrees):
    place = (0.7 * side, 0.35 * side)
    face = find_face(composed(astronaut, side, distance, [place], degrees))
    np.testing.assert_allclose(middle(face), place, atol=0.1 * distance)
    assert eye_distance(face) == pytest.approx(distance, rel=0.1)


@pytest.mark.parametrize("turned", [False, True])
def test_a_panorama(astronaut, turned):
    canvas = np.full((600, 9000, 3), 90, np.uint8)
    canvas[44:556, 7000:7512] = astronaut
    if turned:  # upright in a tall one
        canvas = np.full((9000, 600, 3), 90, np.uint8)
        canvas[7000:7512, 44:556] = astronaut
    corner = (44, 7000) if turned else (7000, 44)
    np.testing.assert_allclose(find_eyes(canvas) - corner, find_eyes(astronaut), atol=1)


@pytest.mark.parametrize("place", [(40, 250), (960, 250), (500, 25), (500, 615)])
def test_a_face_that_a_border_cuts(astronaut, place):
    face = find_face(composed(astronaut, 1000, 40, [place]))
    np.testing.assert_allclose(middle(face), place, atol=4)


def test_many_faces(astronaut):
    places = [(x, y) for x in (200, 700, 1200, 1700) for y in (250, 850)]
    found = sorted(tuple(middle(face)) for face in find_faces(composed(astronaut, 2000, 45, places)))
    np.testing.assert_allclose(found, places, atol=4)


def test_the_largest_of_two_faces(astronaut):
    face = Image.fromarray(astronaut[:256, 96:352])
    two = np.concatenate([np.array(face.resize((150, 256))), np.array(face)], axis=1)
    assert find_face(two)[:, 0].mean() > 150
    first, second = find_faces(two)
    assert first[:, 0].mean() > 150 > second[:, 0].mean()


def test_the_largest_face_is_not_the_easiest_one(astronaut):
    """The whole photograph shows neither well; the larger one is the first level's, the smaller one the next's."""
    photo = np.maximum(composed(astronaut, 3000, 50, [(600, 700)]), composed(astronaut, 3000, 90, [(2200, 900)]))
    np.testing.assert_allclose(middle(find_face(photo)), (2200, 900), atol=9)


@pytest.mark.parametrize("name", ["coins", "chelsea", "coffee", "rocket", "text", "gravel"])
def test_no_face(astronaut, name):
    """Coins and a cat's eyes resemble faces at some size; no person is in these pictures."""
    picture = getattr(sys.modules["skimage.data"], name)()
    photo = np.array(Image.fromarray(picture).convert("RGB").resize((1000, 667)))
    assert find_face(photo) is None
    assert find_faces(photo) == []
    with pytest.raises(FarkerasError, match=r"^a\.jpg: no face found; expected one that looks towards the camera"):
        find_eyes(photo, "a.jpg")


def test_drawn_faces_are_found(astronaut, faces_dir):
    paths = sorted((faces_dir / "img_align_celeba").iterdir())[:60]
    assert np.mean([find_face(read_photo(path)) is not None for path in paths]) >= 0.95


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 0, 3), np.uint8), r"The photo has 0 x 0 pixels; expected at least 16 x 16"),
        (np.zeros((1, 1, 3), np.uint8), r"The photo has 1 x 1 pixels; expected at least 16 x 16"),
        (np.zeros((400, 9, 3), np.uint8), r"The photo has 9 x 400 pixels; expected at least 16 x 16"),
        (
            np.zeros((40, 40, 3), np.float32),
            r"The photo: expected a uint8 array \[height, width, 3\]. Received: float32",
        ),
        (
            np.zeros((40, 40), np.uint8),
            r"The photo: expected a uint8 array \[height, width, 3\]. Received: uint8 \[40, 40\]",
        ),
        (np.zeros((40, 40, 4), np.uint8), r"The photo: expected a uint8 array .* Received: uint8 \[40, 40, 4\]"),
    ],
)
def test_what_is_no_photograph_is_refused_and_the_next_one_is_right(astronaut, image, message):
    before = find_face(astronaut)
    for find in (find_face, find_faces, find_eyes):
        with pytest.raises(FarkerasError, match=message):
            find(image)
    np.testing.assert_array_equal(find_face(astronaut), before)


@pytest.mark.parametrize("sides", [(16, 16), (16, 3000), (3000, 16)])
def test_the_smallest_photographs(astronaut, sides):
    assert find_face(np.zeros((*sides, 3), np.uint8)) is None


def test_arrays_that_are_not_contiguous(astronaut):
    wide = np.zeros((512, 1024, 4), np.uint8)
    wide[:, ::2, :3] = astronaut
    np.testing.assert_array_equal(find_face(wide[:, ::2, :3]), find_face(astronaut))
    np.testing.assert_array_equal(find_face(np.asfortranarray(astronaut)), find_face(astronaut))


def test_without_mediapipe(monkeypatch):
    monkeypatch.setattr(face_landmarkers, "_pool", face_landmarkers._Pool())
    monkeypatch.setitem(sys.modules, "mediapipe.tasks.python.vision.face_landmarker", None)
    with pytest.raises(FarkerasError, match=r"Finding faces needs MediaPipe: pip install 'farkeras\[keypoints\]'"):
        find_face(np.zeros((99, 99, 3), np.uint8))
