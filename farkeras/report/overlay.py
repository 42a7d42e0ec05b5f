"""Draws overlays: images with the facial regions that a model sees, and the attributes predicted from each region."""

import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, withStroke
from PIL import Image

from farkeras.attributes import REGIONS, region_of
from farkeras.errors import FarkerasError
from farkeras.files import ESCAPED, as_path, written_aside
from farkeras.photos.regions import COLORS, FaceRegions
from farkeras.report.drawing import add_frame, write
from farkeras.report.summary import readable

Arrays = np.ndarray | Sequence[np.ndarray]

MAX_PHOTOS = 50
"""Maximum number of photographs in one picture; image viewers do not open longer ones."""

GROUND, INK, SOFT = "#14181c", "#f2f4f5", "#9aa6b0"
DPI = 150
# Inches: maximum width and height of a photograph, gap, height of a line of text, width of a letter.
WIDTH, HEIGHT, GAP, LINE, LETTER = 3.3, 3.8, 0.2, 0.155, 0.073
STRIP_WIDTH, STRIP_COLUMNS, LEGEND_WIDTH = 1.7, 6, 0.95  # width of a face; faces per row; width of a legend entry


class _Line(NamedTuple):
    """A line next to a photograph: a region's heading, one of its attributes, or a remark (without a region)."""

    region: str | None
    text: str
    attribute: str | None = None


def check_overlay(path: str | os.PathLike, photos: Sequence[str | os.PathLike]) -> None:
    """Raises a `FarkerasError` for a path or photographs that `write_overlay` does not accept; opens no photograph."""
    check_png(path)
    if as_path(path).resolve() in [as_path(photo).resolve() for photo in photos]:
        raise FarkerasError(f"{path} is one of the photos; name another file for the overlay.")
    if not 1 <= len(photos) <= MAX_PHOTOS:
        raise FarkerasError(f"An overlay shows 1 to {MAX_PHOTOS} photos. Received: {len(photos)}.")


def write_overlay(path: str | os.PathLike, predictions: Sequence, groups: Mapping[str, Sequence[str]]) -> None:
    """Draws each photograph with the outlines of its regions, next to the attributes predicted from each region.

    An outline follows the mask's probability 0.5. The region Object, the whole face, has a dashed outline and no
    filling, so that it hides nothing. A photograph with a small face is cropped to the part around the face.

    Args:
        path: PNG file to write; an existing file is replaced once the new one is complete.
        predictions: `farkeras.inference.recognizer.Prediction` objects with `regions`; predictions with an error are
            left out. The attributes that are present are bold; unsure ones have a question mark.
        groups: Group name -> attributes of the group. A group has the colour of the region whose mask it reads.

    Raises:
        FarkerasError: There are no photographs to draw or more than `MAX_PHOTOS`, the file's name does not end in
            `.png` or is that of a photograph, or the file cannot be written.
    """
    predictions = [prediction for prediction in predictions if not prediction.error]
    check_overlay(path, [prediction.photo for prediction in predictions])
    columns = list(_columns(_blocks(groups), int(HEIGHT / LINE)))
    column_width = 0.5 + LETTER * max(len(line.text) for lines in columns for line in lines)
    faces = [prediction.regions.close_up() for prediction in predictions]
    sizes = [_fitted(face, WIDTH, HEIGHT) for face in faces]
    rows = [2.2 * GAP + max(height, LINE * max(map(len, columns))) for _, height in sizes]
    figure = Figure(
        figsize=(2.5 * GAP + max(width for width, _ in sizes) + column_width * len(columns), sum(rows) + 2 * GAP),
        dpi=DPI,
    )
    top = figure.get_figheight() - 2 * GAP
    for prediction, face, (width, height), row in zip(predictions, faces, sizes, rows, strict=True):
        write(figure, GAP, top + 0.06, _shortened(prediction.photo), color=INK, weight="bold", size=8)
        _draw_face(figure, face, (GAP, top - height, width, height))
        for i, lines in enumerate(columns):
            left = figure.get_figwidth() - column_width * (len(columns) - i)
            for j, line in enumerate(lines, start=1):
                _draw_line(figure, left, top - LINE * j + 0.04, line, prediction.probabilities, prediction.decisions)
        top -= row
    unsure = "; ? marks an unsure answer" if any(prediction.unsure for prediction in predictions) else ""
    remark = f"Outlines: the model's masks at threshold 0.5. Lists: attributes by region, in bold if present{unsure}."
    write(figure, GAP, GAP, remark, color=SOFT, size=6.5)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the font lacks a file name's script: boxes are drawn
        _write_png(path, _png(figure))


def overlay_strip(images: Arrays, masks: Arrays) -> bytes:
    """Draws faces side by side with the outlines of their regions, and a legend.

    Args:
        images: `[N, H, W, 3]` in 0..255, N >= 1.
        masks: `[N, h, w, R]` in 0..1 over the whole images; `h, w` may differ from `H, W`.

    Returns:
        The content of a PNG file.
    """
    faces = [FaceRegions.of_frame(image, mask) for image, mask in zip(images, masks, strict=True)]
    columns = min(len(faces), STRIP_COLUMNS)
    rows = -(-len(faces) // columns)
    gap = GAP / 2
    _, tall = _fitted(faces[0], STRIP_WIDTH, np.inf)
    full_width = gap + columns * (STRIP_WIDTH + gap)
    names_in_row = max(1, int(full_width / LEGEND_WIDTH))
    legend_height = 0.22 * -(-len(REGIONS) // names_in_row) + 0.12
    figure = Figure(figsize=(full_width, gap + rows * (tall + gap) + legend_height), dpi=DPI)
    for number, face in enumerate(faces):
        row, column = divmod(number, columns)
        bottom = figure.get_figheight() - (row + 1) * (tall + gap)
        _draw_face(figure, face, (gap + column * (STRIP_WIDTH + gap), bottom, STRIP_WIDTH, tall))
    figure.legend(
        handles=[
            Line2D([], [], color=color, label=readable(region), **_style(region)) for region, color in COLORS.items()
        ],
        loc="lower center",
        ncols=names_in_row,
        labelcolor="linecolor",
        fontsize=8,
        frameon=False,
        columnspacing=1.2,
        handlelength=1.4,
        handletextpad=0.5,
    )
    return _png(figure)


def write_strip(path: str | os.PathLike, images: Arrays, masks: Arrays) -> None:
    """Writes the picture of `overlay_strip` to a file; an existing file is replaced once the new one is complete.

    Args:
        path: PNG file to write.
        images: `[N, H, W, 3]` in 0..255.
        masks: `[N, h, w, R]` in 0..1 over the whole images.

    Raises:
        FarkerasError: There is no face to draw, the file's name does not end in `.png`, or it cannot be written.
    """
    check_png(path)
    if not len(images):
        raise FarkerasError(f"No face was found, so there is nothing to draw in {path}.")
    _write_png(path, overlay_strip(images, masks))


def check_png(path: str | os.PathLike) -> None:
    """Raises a `FarkerasError` unless the file's name ends in `.png`."""
    if Path(path).suffix.lower() != ".png":
        raise FarkerasError(f"An overlay is a PNG file, so its name must end in .png. Received: {path}.")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, facecolor=GROUND, format="png")
    return buffer.getvalue()


def _write_png(path: str | os.PathLike, png: bytes) -> None:
    try:
        with written_aside(path) as aside:
            aside.write_bytes(png)
    except OSError as error:
        raise FarkerasError(f"Cannot write {path} ({error.strerror}); choose another place for the picture.") from None


def smooth_mask(face: FaceRegions, region: str, finer: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Samples a region's mask on a finer grid, so that the outlines of small masks are curves instead of steps.

    Along each axis the mask is smoothed by (1, 4, 1) / 6, a variance of 1/3 pixel squared. It is padded with zeros, so
    that outlines close at the border of the frame.

    Args:
        face: The masks and their frame.
        region: One of `REGIONS`.
        finer: Samples per pixel of the mask along each axis.

    Returns:
        The mask, `float32` `[h', w']`, and `x, y` of its samples in pixels of the image, `float64` `[h', w', 2]`.
    """
    mask = np.pad(face.masks[..., REGIONS.index(region)], 2)
    for axis in (0, 1):
        mask = (np.roll(mask, 1, axis) + 4 * mask + np.roll(mask, -1, axis)) / 6
    height, width = mask.shape
    fine = Image.fromarray(mask).resize((finer * width, finer * height), Image.Resampling.BICUBIC)
    y, x = (((np.arange(finer * n) + 0.5) / finer - 2) / (n - 4) for n in (height, width))
    return np.array(fine), face.points(np.stack(np.meshgrid(x, y), axis=-1))


def _fitted(face: FaceRegions, width: float, height: float) -> tuple[float, float]:
    """Returns the width and height, in inches, of the largest picture of a face that fits into `width` x `height`."""
    rows, columns = face.image.shape[:2]
    scale = min(width / columns, height / rows)
    return columns * scale, rows * scale


def _draw_face(figure: Figure, face: FaceRegions, frame: tuple[float, float, float, float]) -> None:
    """Draws the image and the outlines of its regions into `frame`: left, bottom, width, height in inches."""
    rows, columns = face.image.shape[:2]
    axes = add_frame(figure, *frame)
    axes.imshow(face.image, interpolation="bicubic", aspect="auto")
    for region in REGIONS:  # Object is last; the colours below show through its dashes
        mask, points = smooth_mask(face, region)
        if mask.max() < 0.5:
            continue  # the model does not see the region
        x, y = np.moveaxis(points, -1, 0)
        style = _style(region)
        if region != "Object":
            axes.contourf(x, y, mask, [0.5, np.inf], colors=COLORS[region], alpha=0.2)
        lines = axes.contour(
            x, y, mask, [0.5], colors=COLORS[region], linewidths=style["linewidth"], linestyles=[style["linestyle"]]
        )
        halo = withStroke(linewidth=style["linewidth"] + 1.2, foreground="black", alpha=0.45)
        lines.set_path_effects([halo, Normal()])
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))


def _style(region: str) -> dict:
    return {"linewidth": 1.0, "linestyle": (0, (3, 5))} if region == "Object" else {"linewidth": 1.3, "linestyle": "-"}


def _blocks(groups: Mapping[str, Sequence[str]]) -> list[list[_Line]]:
    """Returns a block of lines for each group, in the order of the regions, and for each region that no group reads."""
    blocks = []
    for region in REGIONS:
        readers = [group for group in groups if region_of(group) == region]
        for group in readers:
            name = readable(group)
            heading = name if name == readable(region) else f"{name} ({readable(region)})"
            lines = [_Line(region, readable(attribute), attribute) for attribute in groups[group]]
            blocks.append([_Line(region, heading), *lines])
        if not readers:
            blocks.append([_Line(region, readable(region)), _Line(None, "used by no group")])
    return blocks


def _columns(blocks: list[list[_Line]], height: int) -> Iterator[list[_Line]]:
    """Distributes blocks over columns of `height` lines, with an empty line between two blocks.

    Only a block that is taller than a column is split.
    """
    column: list[_Line] = []
    for block in blocks:
        if column and len(column) + 1 + len(block) > height:
            yield column
            column = []
        column = [*column, _Line(None, ""), *block] if column else block
        while len(column) > height:
            yield column[:height]
            column = column[height:]
    yield column


def _draw_line(figure: Figure, left: float, y: float, line: _Line, probabilities: dict, decisions: dict) -> None:
    if line.region is None:
        write(figure, left, y, line.text, color=SOFT, size=7)
    elif line.attribute is None:
        write(figure, left, y, line.text, color=COLORS[line.region], size=8.5, weight="bold")
    else:
        decision = decisions[line.attribute]
        style = {"color": COLORS[line.region], "size": 7, "weight": "bold" if decision else "normal"}
        write(figure, left + 0.32, y, f"{probabilities[line.attribute]:.0%}", ha="right", **style)
        write(figure, left + 0.4, y, line.text + ("" if decision is not None else " ?"), **style)


def _shortened(name: str, letters: int = 80) -> str:
    name = name.encode(errors=ESCAPED).decode()
    return name if len(name) <= letters else f"…{name[1 - letters :]}"
