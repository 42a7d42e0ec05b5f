"""The face generator: frequencies, the drawing in both styles, and what gives labels away."""

import hashlib

import numpy as np
import pytest

from farkeras.attributes import CELEBA_ATTRIBUTES, CELEBA_PERCENT_POSITIVE
from farkeras.consistency.answers import Consistency
from farkeras.data.shortcuts import BORDER
from farkeras.errors import FarkerasError
from farkeras.synthetic import HEIGHT, WIDTH, draw, render, sample_attributes, sample_parameters
from farkeras.synthetic.drawing import STYLES
from farkeras.synthetic.held_out import restyled

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


def _pair(name, style, seed=0):
    rngs = np.random.default_rng([5, seed]), np.random.default_rng([5, seed])
    return [render({name: there}, rng, style)[0].astype(int) for there, rng in zip((False, True), rngs, strict=True)]


def _face(index):
    rng = np.random.default_rng([2, index])
    return sample_parameters(sample_attributes(rng), rng)


def test_frequencies_are_the_published_ones(drawn):
    expected = np.array([CELEBA_PERCENT_POSITIVE[name] for name in CELEBA_ATTRIBUTES]) / 100
    error = np.sqrt(expected * (1 - expected) / len(drawn))
    np.testing.assert_array_less(abs(drawn.mean(0) - expected), 4 * error + 0.002)


def test_no_face_contradicts_itself(drawn):
    has = dict(zip(CELEBA_ATTRIBUTES, drawn.T, strict=True))
    beard = has["5_o_Clock_Shadow"] | has["Goatee"] | has["Mustache"] | has["Sideburns"]
    np.testing.assert_array_equal(beard, ~has["No_Beard"])
    assert not (beard & ~has["Male"]).any()
    assert not Consistency(CELEBA_ATTRIBUTES).found(drawn).any()
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


def test_the_standard_style_is_what_it_was_before_there_were_styles():
    """Data sets, and the metrics of the demos, stay as they are; another drawing needs another `_DRAWING`."""
    pixels = b"".join(draw(_face(index))[0].tobytes() for index in range(4))
    assert hashlib.sha256(pixels).hexdigest() == "2f24f1046f81d54ea5314313be95f3491f671a55ed2144d899fbf912b4b2ecb2"


def test_both_styles_show_the_same_person():
    """Pose, build and landmarks are equal; light, colours, background and camera are not."""
    for index in range(8):
        face = _face(index)
        (standard, points), (held_out, same) = (draw(face, style) for style in STYLES)
        np.testing.assert_array_equal(points, same)
        assert np.abs(standard.astype(int) - held_out).mean() > 15
        other, _ = restyled(face)
        assert {part for part in face._fields if getattr(face, part) != getattr(other, part)} == {"light", "camera"}


def test_the_held_out_style_has_ranges_that_the_standard_style_never_reaches():
    others = [restyled(_face(index))[0] for index in range(50)]
    assert all(face.light.y > 0.13 for face in others)  # from below; at most 0.13 in the standard style
    assert not any(0.82 < face.camera.contrast < 1.15 for face in others)  # 0.85 to 1.15 in the standard style


def test_an_attribute_does_not_change_the_look():
    plain, pale = (
        restyled(sample_parameters(dict.fromkeys(CELEBA_ATTRIBUTES, False) | {"Pale_Skin": there}, rng))
        for there, rng in zip((False, True), (np.random.default_rng(3), np.random.default_rng(3)), strict=True)
    )
    assert plain[1] == pale[1]
    assert plain[0].light == pale[0].light
    assert plain[0].camera == pale[0].camera


def test_only_blurry_faces_are_blurred():
    """The blur of other faces stays under 1 pixel, and that of blurry faces over 2, in both styles."""
    for index in range(20):
        for blurry in (False, True):
            attributes = dict.fromkeys(CELEBA_ATTRIBUTES, False) | {"Blurry": blurry}
            face, _ = restyled(sample_parameters(attributes, np.random.default_rng([index, 6])))
            assert face.camera.blur > 2 if blurry else face.camera.blur < 1


def test_an_unknown_style_is_named():
    with pytest.raises(FarkerasError, match=r"`style` must be one of standard, held_out. Received: 'oil'."):
        render({}, np.random.default_rng(0), "oil")


@pytest.mark.parametrize("style", STYLES)
def test_the_same_state_gives_the_same_face(style):
    first, second = (render({"Smiling": True}, np.random.default_rng(4), style) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", CELEBA_ATTRIBUTES)
def test_an_attribute_shows_where_one_looks_for_it(name, style):
    absent, present = _pair(name, style)
    changed = np.abs(present - absent).max(-1)
    assert (changed > 10).sum() > 40
    if name in REGIONS:
        top, bottom = REGIONS[name]
        assert changed[top:bottom].sum() > 0.98 * changed.sum()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", sorted(set(CELEBA_ATTRIBUTES) - {"Blurry"}))
def test_no_attribute_reaches_the_border(name, style):
    for absent, present in (_pair(name, style, seed) for seed in range(3)):
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
