"""The parts of the held-out style: its palette, light, patterns, backgrounds and camera."""

import numpy as np
import pytest

from farkeras.synthetic import HEIGHT, WIDTH, sample_attributes, sample_parameters
from farkeras.synthetic.canvas import Canvas, Patch
from farkeras.synthetic.held_out import colour_matrix, photograph, restyled
from farkeras.synthetic.painted import PaintedCanvas
from farkeras.synthetic.patterns import dapples, noise, surface
from farkeras.synthetic.places import paint_place

BLACK = np.zeros((3, HEIGHT, WIDTH), np.float32)


@pytest.fixture(scope="module")
def styled():
    """A face and its look."""
    rng = np.random.default_rng([2, 0])
    return restyled(sample_parameters(sample_attributes(rng), rng))


def test_the_palette(styled):
    """A third of a turn makes red green; no saturation makes it grey, as bright as red is; grey stays grey."""
    look = styled[1]._replace(hue=2 * np.pi / 3, saturation=1.0)
    np.testing.assert_allclose(colour_matrix(look) @ (200, 0, 0), (0, 200, 0), atol=1e-9)
    grey = colour_matrix(look._replace(hue=0.0, saturation=0.0))
    np.testing.assert_allclose(grey @ (200, 0, 0), [0.299 * 200] * 3)
    np.testing.assert_allclose(colour_matrix(styled[1]) @ (90, 90, 90), (90, 90, 90))


def _bright(canvas):
    """What white paint over the whole image looks like, in grey levels, `[218, 178]`."""
    everything = Patch((slice(0, HEIGHT), slice(0, WIDTH)), np.ones((HEIGHT, WIDTH), np.float32))
    canvas.paint(everything, (200, 200, 200))
    return canvas.pixels.mean(0)


def test_the_light_comes_from_its_side_in_steps_or_smoothly(styled):
    face, look = styled
    plain = look._replace(rough=0.0, ink=0.0, lift=0.0, rim=0.0, gloss=0.0)
    smooth, stepped = (
        _bright(PaintedCanvas(face.pose, face.light, BLACK.copy(), plain._replace(steps=steps))) for steps in (0, 3)
    )
    right, left = smooth[100:130, 110:130].mean(), smooth[100:130, 50:70].mean()
    assert (right > left) == (face.light.x > 0)
    assert len(np.unique(smooth[110].round(2))) > 50
    assert len(np.unique(stepped[110].round(2))) < 8


def test_outlines_and_shadows_surround_a_large_part(styled):
    face, look = styled
    square = np.array([(-25, 90), (25, 90), (25, 140), (-25, 140)], float)
    drawn = {}
    for name, ink, shadow in (("plain", 0.0, 0.0), ("ink", 1.0, 0.0), ("shadow", 0.0, 0.6)):
        canvas = PaintedCanvas(face.pose, face.light, BLACK + 150, look._replace(ink=ink, shadow=shadow))
        canvas.paint(canvas.polygon(square), (220, 220, 220))
        drawn[name] = canvas.pixels.mean(0)
    ink, shadow = (np.abs(drawn[name] - drawn["plain"]) > 5 for name in ("ink", "shadow"))
    assert 100 < ink.sum() < 800  # about 200 pixels of edge, two to three pixels wide
    towards = np.argwhere(shadow).mean(0) - np.argwhere(drawn["plain"] != 150).mean(0)
    assert towards @ (face.light.y, face.light.x) < 0  # away from the light


def test_only_the_held_out_style_has_rough_surfaces(styled):
    face, look = styled
    patch = Patch((slice(50, 90), slice(50, 90)), np.ones((40, 40), np.float32))
    for material in ("skin", "hair"):
        smooth, rough = (
            make(face.pose, face.light, BLACK + 100, *more) for make, more in ((Canvas, ()), (PaintedCanvas, (look,)))
        )
        for canvas in (smooth, rough):
            canvas.roughen(patch, material)
        assert (smooth.pixels == 100).all()
        assert 2 < rough.pixels[0, 50:90, 50:90].std() < 25


@pytest.mark.parametrize("kind", ["canvas", "brush", "paper", "hatching"])
def test_surfaces_have_no_mean_and_a_variance_near_one(kind):
    for seed in range(5):
        pattern = surface(kind, np.random.default_rng(seed))
        assert pattern.shape == (HEIGHT, WIDTH)
        assert pattern.dtype == np.float32
        assert abs(pattern.mean()) < 0.25
        assert 0.4 < pattern.std() < 1.6


def test_noise_is_as_coarse_as_asked_for():
    """A coarse pattern differs less from pixel to pixel than a fine one, and along its longer side."""
    fine, coarse, tall = (noise(np.random.default_rng(0), *size) for size in ((2,), (12,), (3, 24)))
    assert np.abs(np.diff(coarse)).mean() < 0.4 * np.abs(np.diff(fine)).mean()
    assert np.abs(np.diff(tall, axis=0)).mean() < 0.4 * np.abs(np.diff(tall, axis=1)).mean()


@pytest.mark.parametrize("slats", [False, True])
def test_dapples_are_shadow_and_light(slats):
    shadows = dapples(np.random.default_rng(1), 25, slats)
    assert (shadows.min(), shadows.max()) == (0, 1)
    assert 0.3 < shadows.mean() < 0.7


def test_backgrounds_are_of_several_kinds_and_depend_on_the_seed_only():
    places = [paint_place(seed) for seed in range(12)]
    np.testing.assert_array_equal(places[0], paint_place(0))
    assert len({place.tobytes() for place in places}) == 12
    assert all(place.shape == (3, HEIGHT, WIDTH) and place.dtype == np.float32 for place in places)


def test_the_camera(styled):
    """A grey image keeps its mean under a neutral camera, and its noise is that of the camera."""
    face, look = styled
    neutral = face.camera._replace(gain=(1, 1, 1), contrast=1.0, noise=5.0)
    plain = look._replace(gamma=1.0, vignette=0.0, dapple=0.0, halo=0.0, oily=False)
    image = photograph(BLACK + 128, neutral, plain)
    assert (image.shape, image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert abs(image.mean() - 127.5) < 1
    assert 2 < image.std() < 6
    darker = photograph(BLACK + 128, neutral, plain._replace(vignette=0.4))
    assert darker[:20, :20].mean() < image[:20, :20].mean() - 15
    assert abs(darker[100:120, 80:100].mean() - image[100:120, 80:100].mean()) < 2
