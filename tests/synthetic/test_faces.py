"""The face generator: frequencies, the drawing, and what gives labels away."""

import numpy as np
import pytest

from farkeras.attributes import CELEBA_ATTRIBUTES, CELEBA_PERCENT_POSITIVE
from farkeras.data.shortcuts import BORDER
from farkeras.errors import FarkerasError
from farkeras.synthetic import HEIGHT, WIDTH, draw, render, sample_attributes, sample_parameters

# Rows in which an attribute may change pixels, in the aligned frame: where a person would look for it.
TOP, BROWS, EYES, CHEEKS, NOSE, MOUTH, JAW, NECK = (
    (15, 105), (78, 116), (90, 135), (100, 165), (90, 160), (135, 185), (125, 205), (160, 218),
)  # fmt: skip
REGIONS = {
    "5_o_Clock_Shadow": JAW, "Arched_Eyebrows": BROWS, "Bags_Under_Eyes": EYES, "Bangs": TOP, "Big_Lips": MOUTH,
    "Big_Nose": NOSE, "Bushy_Eyebrows": BROWS, "Double_Chin": JAW, "Eyeglasses": EYES, "Goatee": JAW,
    "Heavy_Makeup": (85, 130), "High_Cheekbones": CHEEKS, "Mouth_Slightly_Open": MOUTH, "Mustache": MOUTH,
    "Narrow_Eyes": EYES, "Pointy_Nose": NOSE, "Receding_Hairline": TOP, "Rosy_Cheeks": CHEEKS, "Sideburns": (75, 170),
    "Smiling": MOUTH, "Wearing_Earrings": (110, 185), "Wearing_Hat": TOP, "Wearing_Lipstick": MOUTH,
    "Wearing_Necklace": NECK, "Wearing_Necktie": NECK,
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    """4000 drawings of attributes: bool `[4000, 40]`."""
    faces = (sample_attributes(np.random.default_rng([11, i])) for i in range(4000))
    return np.array([list(face.values()) for face in faces])


def _pair(name, seed=0):
    rngs = np.random.default_rng([5, seed]), np.random.default_rng([5, seed])
    return [render({name: present}, rng)[0].astype(int) for present, rng in zip((False, True), rngs, strict=True)]


def test_frequencies_are_the_published_ones(drawn):
    expected = np.array([CELEBA_PERCENT_POSITIVE[name] for name in CELEBA_ATTRIBUTES]) / 100
    error = np.sqrt(expected * (1 - expected) / len(drawn))
    np.testing.assert_array_less(abs(drawn.mean(0) - expected), 4 * error + 0.002)


def test_no_face_contradicts_itself(drawn):
    has = dict(zip(CELEBA_ATTRIBUTES, drawn.T, strict=True))
    beard = has["5_o_Clock_Shadow"] | has["Goatee"] | has["Mustache"] | has["Sideburns"]
    np.testing.assert_array_equal(beard, ~has["No_Beard"])
    assert not (beard & ~has["Male"]).any()
    colours = [has[f"{colour}_Hair"] for colour in ("Black", "Blond", "Brown", "Gray")]
    assert np.sum(colours, 0).max() == 1
    assert not (has["Bald"] & np.any([*colours, has["Bangs"], has["Wavy_Hair"], has["Straight_Hair"]], 0)).any()
    assert not (has["Wavy_Hair"] & has["Straight_Hair"]).any()
    assert has["Wearing_Lipstick"][has["Male"]].mean() < 0.05
    assert has["Young"][has["Gray_Hair"]].mean() < 0.3


def test_a_face_has_the_frame_and_the_landmarks_of_celeba():
    points = []
    for index in range(40):
        rng = np.random.default_rng([3, index])
        image, landmarks = draw(sample_parameters(sample_attributes(rng), rng))
        assert image.shape == (HEIGHT, WIDTH, 3) == (218, 178, 3)
        assert image.dtype == np.uint8
        points.append(landmarks)
    places = np.array([(69, 111), (108, 111), (88, 135), (73, 152), (105, 152)])
    np.testing.assert_allclose(np.mean(points, 0), places, atol=4)
    assert np.abs(points - places).max() < 22


def test_the_same_state_gives_the_same_face():
    first, second = (render({"Smiling": True}, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("name", CELEBA_ATTRIBUTES)
def test_an_attribute_shows_where_one_looks_for_it(name):
    absent, present = _pair(name)
    changed = np.abs(present - absent).max(-1)
    assert (changed > 10).sum() > 40
    if name in REGIONS:
        top, bottom = REGIONS[name]
        assert changed[top:bottom].sum() > 0.98 * changed.sum()


@pytest.mark.parametrize("name", sorted(set(CELEBA_ATTRIBUTES) - {"Blurry"}))
def test_no_attribute_reaches_the_border(name):
    for absent, present in (_pair(name, seed) for seed in range(3)):
        for columns in (slice(BORDER), slice(-BORDER, None)):
            np.testing.assert_array_equal(absent[: HEIGHT // 2, columns], present[: HEIGHT // 2, columns])


def test_an_unknown_attribute_is_named():
    with pytest.raises(FarkerasError, match="Beard_Long"):
        render({"Beard_Long": True}, np.random.default_rng(0))


def test_pairs_differ_in_nothing_else():
    """Two faces of one state: what an attribute adds does not move the draws of the others."""
    rngs = [np.random.default_rng(9) for _ in range(2)]
    names = dict.fromkeys(CELEBA_ATTRIBUTES, False)
    plain, hatted = (
        sample_parameters(names | {"Wearing_Hat": hat}, rng) for hat, rng in zip((False, True), rngs, strict=True)
    )
    different = [field for field in plain._fields if getattr(plain, field) != getattr(hatted, field)]
    assert different == ["hat"]
