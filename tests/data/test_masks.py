"""Masks of regions: hulls by hand on a face of circles, regions where a person would look for them on a photograph."""

import numpy as np
import pytest
import tensorflow as tf

from farkeras.attributes import REGIONS
from farkeras.data.augmentation import NUM_DRAWS, Augmentation, Geometry
from farkeras.data.keypoints import fractions
from farkeras.data.masks import HULLS, region_masks
from farkeras.photos.crops import align_face
from farkeras.photos.landmarks import find_face
from tests.schematic_face import FRAME, RADIUS, schematic_face

SIZE = FRAME


@pytest.fixture(scope="module")
def face():
    return schematic_face()


def masks_of(points, size=SIZE, frame=SIZE):
    """The masks of points in pixels of a frame, by region."""
    masks = region_masks((points / frame[::-1]).astype(np.float32), size).numpy()
    return dict(zip(REGIONS, np.moveaxis(masks, -1, 0), strict=True))


def centre_of(mask):
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    return np.array([(columns * mask).sum(), (rows * mask).sum()]) / mask.sum()


def iou(first, second):
    first, second = first > 0.5, second > 0.5
    return (first & second).sum() / (first | second).sum()


def face_size():
    """The root of the area of the outline, a polygon of 36 corners."""
    return np.sqrt(18 * np.sin(2 * np.pi / 36)) * RADIUS


def test_regions_in_their_order():
    assert tuple(HULLS) == REGIONS


def test_shape_and_range(face):
    masks = region_masks((face / SIZE[::-1]).astype(np.float32), (28, 24))
    assert masks.shape == (28, 24, 8)
    assert masks.dtype == tf.float32
    assert region_masks(face / SIZE[::-1], (28, 24)).dtype == tf.float64
    assert masks.numpy().min() == 0
    assert masks.numpy().max() == 1


def test_a_batch_is_its_elements(face):
    points = np.stack([face, face + 7, face * 0.8]) / SIZE[::-1]
    singly = [region_masks(element, (28, 24)) for element in points]
    np.testing.assert_allclose(region_masks(points, (28, 24)), singly, atol=1e-5)


def test_a_hull_is_dilated_in_sizes_of_the_face(face):
    mouth = masks_of(face)["Mouth"]
    np.testing.assert_allclose(centre_of(mouth), (50, 75), atol=0.1)
    radius = 5 + HULLS["Mouth"][0].dilation * face_size()
    assert mouth.sum() == pytest.approx(np.pi * radius**2, rel=0.03)


def test_a_border_is_soft_over_a_pixel(face):
    """A square from x = 40 to x = 60: its pixels at the border are half covered where it goes through their centres."""
    indices = [i for i, _, _ in HULLS["Mouth"][0].points]
    margin = HULLS["Mouth"][0].dilation * face_size()
    for border, expected in ((60.0, 0.0), (60.25, 0.25), (60.5, 0.5), (61.0, 1.0)):
        face = np.array(face)
        face[indices] = (40, 70)
        face[indices[:3]] = [(border - margin, 70), (border - margin, 80), (40, 80)]
        assert masks_of(face)["Mouth"][75, 60] == pytest.approx(expected, abs=1e-3)


def test_both_sides_make_one_region(face):
    masks = masks_of(face)
    for name in ("Eyes", "Cheeks", "Ear", "Hair"):
        left, right = masks[name][:, :50], masks[name][:, :49:-1]
        assert left.sum() > 50
        np.testing.assert_allclose(left.sum(), right.sum(), rtol=0.05, err_msg=name)


def test_object_is_everything(face):
    masks = masks_of(face)
    others = np.max([masks[name] for name in REGIONS[:-1]], axis=0)
    assert (masks["Object"] >= others).all()
    assert masks["Object"][60, 50] == 1
    assert masks["Object"][2, 2] == 0


def test_hair_is_above_and_beside_the_face(face):
    hair = masks_of(face)["Hair"]
    assert hair[22, 50] == 1  # above the outline, which ends at 30
    assert hair[35, 50] == 1  # the upper forehead
    assert hair[60, 50] == hair[85, 50] == hair[100, 50] == 0  # nose, chin, neck
    assert hair[85, 15] == hair[85, 85] == 1  # long hair
    assert hair[60, 3] == hair[60, 97] == hair[118, 50] == 0


def test_ears_are_beside_the_outline(face):
    ear = masks_of(face)["Ear"]
    assert ear[60, 18] == ear[60, 82] == 1
    assert ear[60, 10] == ear[60, 50] == ear[30, 18] == 0


def test_an_ear_is_wider_on_the_side_that_is_turned_to_the_viewer(face):
    turned = face.copy()
    turned[6, 0] += 15  # the nose points right: less of the face is to see there
    before, after = masks_of(face)["Ear"].sum(0), masks_of(turned)["Ear"].sum(0)
    assert after[:50].sum() > 1.2 * before[:50].sum()
    assert after[50:].sum() < 0.8 * before[50:].sum()


def test_finer_masks_are_the_same_masks(face):
    fine, coarse = masks_of(face, (480, 400)), masks_of(face, (60, 50))
    for name in REGIONS:
        means = fine[name].reshape(60, 8, 50, 8).mean((1, 3))
        assert np.abs(means - coarse[name]).mean() < 0.01, name


FINE = (240, 200)  # finer than the face's pixels, so that borders weigh little

WHOLE = (0, 0, *FINE)


def geometry(part=WHOLE, flip=False, degrees=None):
    return Geometry(tf.constant(FINE), tf.constant(part), tf.constant(flip), degrees and tf.constant(degrees))


MOVES = {
    "nothing": (geometry(), FINE),
    "shift": (geometry((24, 0, 240, 170)), FINE),
    "scale": (geometry((24, 20, 216, 180)), FINE),
    "flip": (geometry(flip=True), FINE),
    "rotation": (geometry(degrees=25.0), FINE),
    "all": (geometry((12, 0, 240, 190), True, -20.0), (190, 175)),
}


@pytest.mark.parametrize("name", MOVES)
def test_masks_points_and_image_move_together(name, face):
    """Dots are drawn at three points and the masks laid over them: the moved picture has them where the points are."""
    (move, size), points = MOVES[name], (face / SIZE[::-1]).astype(np.float32)
    places = [152, 234, 10]  # chin, side of the face, forehead: no two symmetric
    rows, columns = np.mgrid[: FINE[0], : FINE[1]] + 0.5
    dots = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 32) for x, y in face[places] * 2]
    masks = region_masks(points, FINE).numpy()
    image = move.image(np.concatenate([np.stack(dots, axis=-1), masks], axis=-1), size).numpy()

    moved = move.points(points, size)
    found = [centre_of(image[..., i]) for i in range(3)]
    np.testing.assert_allclose(found, moved.numpy()[places] * size[::-1], atol=0.1)
    expected, received = image[..., 3:], region_masks(moved, size).numpy()
    # Only soft borders differ: the image's are resampled. Beyond the image, where its edge repeats, no region is.
    assert np.abs(expected - received).mean() < 0.01
    for region, one, other in zip(REGIONS, *np.moveaxis([expected, received], -1, 1), strict=True):
        assert iou(one, other) > 0.94, region


@pytest.mark.parametrize("seed", range(6))
def test_masks_move_with_any_augmentation_and_crop(seed, face):
    """What the pipeline does: image and points by one geometry."""
    augmentation = Augmentation(flip=True, shift=0.08, scale=0.1, rotation=20)
    size, crop = (168, 144), (0.06, 0.08, 0.98, 0.96)
    draws = np.random.default_rng(seed).uniform(-1, 1, (1, NUM_DRAWS)).astype(np.float32)
    of_one = augmentation.changes(crop, tf.constant(draws)).geometry(tf.constant([FINE]))
    geometry = Geometry(*(values[0] for values in of_one))
    points = (face / SIZE[::-1]).astype(np.float32)
    image = geometry.image(region_masks(points, FINE), size).numpy()
    masks = region_masks(geometry.points(points, size), size).numpy()
    for region in (1, 2, 3):  # a crop that was cut at the image's border is stretched, a region's dilation is not
        assert iou(image[..., region], masks[..., region]) > 0.93


class TestPhotograph:
    """Regions of a real face, as boxes read off the aligned crop by eye."""

    @pytest.fixture(scope="class")
    def crop(self):
        pytest.importorskip("mediapipe")
        return align_face(pytest.importorskip("skimage.data").astronaut())

    def masks(self, image, size=(109, 89)):
        masks = region_masks(fractions(find_face(image), 218, 178), size).numpy()
        return dict(zip(REGIONS, np.moveaxis(masks, -1, 0), strict=True))

    # Left, right, top, bottom in pixels of the crop, 178 x 218.
    @pytest.mark.parametrize(
        ("region", "inside"),
        [
            ("Eyes", [(60, 76, 103, 116), (102, 118, 103, 116)]),
            ("Nose", [(80, 98, 125, 138)]),
            ("Mouth", [(72, 108, 144, 156)]),
            ("Cheeks", [(54, 66, 124, 136), (112, 124, 124, 136)]),
            ("Lower_Face", [(70, 110, 160, 175)]),
            ("Hair", [(60, 120, 45, 80), (32, 40, 80, 105), (140, 148, 80, 105)]),
            ("Ear", [(40, 46, 125, 140), (136, 140, 125, 135)]),
            ("Object", [(50, 130, 50, 170)]),
        ],
    )
    def test_regions_lie_where_a_person_looks_for_them(self, crop, region, inside):
        mask = self.masks(crop, (218, 178))[region]
        for left, right, top, bottom in inside:
            assert mask[top:bottom, left:right].mean() > 0.95

    def test_no_region_is_a_sliver(self, crop):
        """The smallest, mouth and nose, are a fiftieth of the crop."""
        shares = {name: mask.mean() for name, mask in self.masks(crop).items()}
        assert min(shares.values()) > 0.015
        assert shares["Object"] < 0.6

    def test_the_mirrored_photograph_has_the_mirrored_masks(self, crop):
        """The points change their names, left for right: the two sides of each region are made by one rule."""
        masks, mirrored = self.masks(crop), self.masks(crop[:, ::-1])
        for name in REGIONS:
            assert iou(masks[name], mirrored[name][:, ::-1]) > 0.85, name
