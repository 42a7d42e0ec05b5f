"""Pictures of regions: outlines where the masks are, every region's colour, any names and any number of attributes."""

import io
import warnings

import matplotlib.colors
import numpy as np
import pytest
from PIL import Image

from farkeras.attributes import GROUPINGS, REGIONS
from farkeras.decisions import decide
from farkeras.errors import FarkerasError
from farkeras.inference.recognizer import Prediction
from farkeras.photos.regions import COLORS, FaceRegions
from farkeras.report.overlay import (
    DPI,
    GAP,
    MAX_PHOTOS,
    STRIP_WIDTH,
    overlay_strip,
    smooth_mask,
    write_overlay,
)

GROUPS = GROUPINGS["mgmtn8"]
NAMES = [name for members in GROUPS.values() for name in members]


def masks(**boxes):
    """Masks of 24 x 20 pixels that are 1 in a box: region=(left, top, right, bottom)."""
    result = np.zeros((24, 20, len(REGIONS)), np.float32)
    for region, (left, top, right, bottom) in boxes.items():
        result[top:bottom, left:right, REGIONS.index(region)] = 1
    return result


def prediction(name="photo.png", values=0.7, names=NAMES, threshold=0.5, **boxes):
    regions = FaceRegions.of_frame(np.full((120, 100, 3), 128, np.uint8), masks(**boxes))
    probabilities = dict.fromkeys(names, values)
    return Prediction(
        name, probabilities, regions=regions, decisions=decide(probabilities, dict.fromkeys(names, threshold))
    )


def rgb(region):
    return tuple(round(255 * c) for c in matplotlib.colors.to_rgb(COLORS[region]))


def pixels(png):
    return np.asarray(Image.open(png).convert("RGB"))


def colours(png):
    return {tuple(pixel) for pixel in pixels(png).reshape(-1, 3)}


def test_every_region_has_a_colour_of_its_own():
    assert tuple(COLORS) == REGIONS
    assert len(set(COLORS.values())) == len(REGIONS)


def test_outlines_lie_where_the_masks_are():
    png = overlay_strip(np.full((1, 120, 100, 3), 128), [masks(Mouth=(6, 12, 16, 21))])
    scale = DPI * STRIP_WIDTH / 20  # pixels of the picture in a pixel of the mask
    corner = round(DPI * GAP / 2)
    picture = pixels(io.BytesIO(png))[corner : corner + round(24 * scale), corner : corner + round(20 * scale)]
    y, x = np.nonzero((picture == rgb("Mouth")).all(axis=-1))  # the line's core; its edges are blended
    expected = np.multiply((6, 16, 12, 21), scale)
    np.testing.assert_allclose((x.min(), x.max(), y.min(), y.max()), expected, atol=2)
    assert not (picture == rgb("Nose")).all(axis=-1).any()  # no mask, no outline


def test_smoothing_does_not_move_a_border():
    face = FaceRegions.of_frame(np.zeros((240, 200, 3)), masks(Nose=(4, 0, 20, 24)))
    mask, points = smooth_mask(face, "Nose")
    middle = mask[mask.shape[0] // 2]
    place = np.interp(0.5, *(values[: len(middle) // 2] for values in (middle, points[0, :, 0])))
    assert place == pytest.approx(39.5, abs=0.2)  # 4 of 20 mask pixels of 10 image pixels; centres are whole numbers
    # A region that fills its frame has its outline at the frame's edge.
    inside = points[mask >= 0.5]
    np.testing.assert_allclose(inside.max(axis=0), (199.5, 239.5), atol=2.5)
    assert max(mask[[0, -1]].max(), mask[:, [0, -1]].max()) < 0.01


def test_overlay_shows_every_region_in_its_colour(tmp_path):
    boxes = {region: (2 * i, 2, 2 * i + 4, 22) for i, region in enumerate(REGIONS)}
    write_overlay(tmp_path / "new" / "out.png", [prediction(**boxes)], GROUPS)
    assert {rgb(region) for region in REGIONS} <= colours(tmp_path / "new" / "out.png")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.png"]


def test_object_is_not_filled(tmp_path):
    for region, filled in (("Hair", True), ("Object", False)):
        picture = pixels(io.BytesIO(overlay_strip(np.full((1, 120, 100, 3), 128), [masks(**{region: (2, 2, 18, 22)})])))
        centre = picture[round(DPI * (GAP / 2 + 1)), round(DPI * (GAP / 2 + 0.8))]
        assert (tuple(centre) != (128, 128, 128)) == filled


def test_a_row_for_each_photograph_and_none_for_errors(tmp_path):
    for count in (1, 2):
        write_overlay(tmp_path / f"{count}.png", [prediction()] * count + [Prediction("bad", error="no")], GROUPS)
    one, two = (Image.open(tmp_path / f"{count}.png").size for count in (1, 2))
    assert one[0] == two[0]
    assert 1.5 * one[1] < two[1] < 2 * one[1]


def test_likely_attributes_are_bold(tmp_path):
    for threshold in (0.5, 0.9):
        write_overlay(tmp_path / f"{threshold}.png", [prediction(values=0.7, threshold=threshold)], GROUPS)
    bold, plain = ((pixels(tmp_path / f"{threshold}.png") == rgb("Hair")).all(axis=-1) for threshold in (0.5, 0.9))
    assert bold.sum() > 1.3 * plain.sum()


def test_any_grouping_and_any_name(tmp_path):
    groups = {"All of $it": [f"attribute {i} of ^many_" for i in range(90)], "Mouth": ["微笑"]}
    names = [name for members in groups.values() for name in members]
    photo = prediction("照片 $x_1$ " + "long" * 50, names=names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_overlay(tmp_path / "out.png", [photo], groups)
    width, height = Image.open(tmp_path / "out.png").size
    assert width > 1.5 * height  # 90 attributes stand side by side in columns


@pytest.mark.parametrize("count", [0, MAX_PHOTOS + 1])
def test_number_of_photographs(count, tmp_path):
    with pytest.raises(FarkerasError, match=rf"An overlay shows 1 to 50 photos\. Received: {count}\."):
        write_overlay(tmp_path / "out.png", [prediction()] * count, GROUPS)


def test_picture_that_is_no_png_or_a_photograph(tmp_path):
    photo = tmp_path / "photo.png"
    for path, message in (
        (tmp_path / "out.jpg", r"a PNG file, so its name must end in \.png\. Received: .*out\.jpg\."),
        (tmp_path / "." / "photo.png", r"photo\.png is one of the photos; name another file"),
    ):
        with pytest.raises(FarkerasError, match=message):
            write_overlay(path, [prediction(str(photo))], GROUPS)
    assert list(tmp_path.iterdir()) == []


def test_impossible_place(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FarkerasError, match=r"Cannot write .*out\.png \(.*choose another place"):
        write_overlay(tmp_path / "file" / "out.png", [prediction()], GROUPS)


def test_strip_of_many_faces_has_several_rows():
    images = np.full((7, 120, 100, 3), 200.0)
    sizes = [Image.open(io.BytesIO(overlay_strip(images[:n], [masks(Eyes=(2, 2, 8, 8))] * n))).size for n in (1, 6, 7)]
    widths, heights = zip(*sizes, strict=True)
    assert widths[0] < widths[1] == widths[2]
    assert heights[2] > 1.5 * heights[1]
