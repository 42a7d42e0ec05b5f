"""Draws a contact sheet: a sample of a set, and one face without and with each attribute."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.source import filled_splits
from farkeras.errors import FarkerasError
from farkeras.files import as_path, written_aside
from farkeras.synthetic.canvas import HEIGHT, WIDTH
from farkeras.synthetic.drawing import render

_COLUMNS, _CAPTION = 10, 84
_SEED = 7  # seed of the faces in the pairs
# Attributes of the face in the pairs, and those that usually accompany an attribute.
_BASE = ("Attractive", "Brown_Hair", "No_Beard", "Young")
_COMPANY = {
    "Goatee": ("Male",),
    "Mustache": ("Male",),
    "5_o_Clock_Shadow": ("Male",),
    "Sideburns": ("Male",),
    "No_Beard": ("Male", "Goatee"),
    "Bald": ("Male",),
    "Wearing_Necktie": ("Male",),
}


def check_contact_sheet(path: str | Path) -> None:
    """Raises a `FarkerasError` if a PNG file obviously cannot be written to a path; writes nothing."""
    path = as_path(path)
    if path.suffix.lower() != ".png":
        raise FarkerasError(f"A contact sheet is a PNG file, so its name must end in .png. Received: {path}.")
    if os.path.isdir(path):
        raise FarkerasError(f"Cannot write {path}: it is a folder; choose another place for the contact sheet.")
    if file := next(filter(os.path.isfile, path.parents), None):
        raise FarkerasError(f"Cannot write {path}: {file} is a file; choose another place for the contact sheet.")


def write_contact_sheet(
    path: str | Path, data_dir: str | Path, layout: str = "celeba", rows: int = 4, style: str = "standard"
) -> None:
    """Writes a PNG with the first faces of a set and their labels, then 40 pairs without and with an attribute.

    Args:
        path: The file to write; a missing folder is created, and an existing file is replaced once the new one is
            complete.
        data_dir: A set of faces from `draw_faces`.
        layout: Layout of the set.
        rows: Number of rows of faces, ten per row.
        style: Style of the pairs.

    Raises:
        FarkerasError: The path does not end in `.png`, or the file cannot be written.
    """
    check_contact_sheet(path)
    samples = sorted(_samples(layout, data_dir))[: rows * _COLUMNS]
    tiles = [_sample(*sample) for sample in samples]
    tiles += [_tile(None, "") for _ in range(-len(tiles) % _COLUMNS)]
    for number, name in enumerate(CELEBA_ATTRIBUTES):
        tiles += _pair(name, [_SEED, number], style)
    sheet = Image.new("RGB", (_COLUMNS * WIDTH, -(-len(tiles) // _COLUMNS) * (HEIGHT + _CAPTION)), "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, _COLUMNS)
        sheet.paste(tile, (column * WIDTH, row * (HEIGHT + _CAPTION)))
    try:
        with written_aside(path) as aside:
            sheet.save(aside, "PNG")
    except OSError as error:
        raise FarkerasError(
            f"Cannot write {path} ({error.strerror or error}); choose another place for the contact sheet."
        ) from None


def _samples(layout: str, data_dir: str | Path) -> Iterator[tuple[str, tuple, tuple]]:
    """Yields, for each image, its path, the part that shows CelebA's frame, and the attributes that are present."""
    for examples in filled_splits(open_source(layout, str(data_dir))).values():
        for path, labels in zip(examples.paths.tolist(), examples.labels, strict=True):
            yield path, examples.frame, tuple(n for n, v in zip(examples.attributes, labels, strict=True) if v)


def _sample(path: str, frame: tuple, present: tuple) -> Image.Image:
    short = [name.replace("Wearing_", "").replace("_", " ") for name in present]
    with Image.open(path) as image:
        top, left, bottom, right = frame
        box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
        face = image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box)
        return _tile(face, f"{Path(path).name}: {', '.join(short)}")


def _pair(name: str, seed: list[int], style: str) -> list[Image.Image]:
    others = dict.fromkeys((*_BASE, *_COMPANY.get(name, ())), True)
    if name.endswith("_Hair") and name not in ("Straight_Hair", "Wavy_Hair"):
        others["Brown_Hair"] = False
    absent, present = others | {name: False}, others | {name: True}
    if name == "No_Beard":
        present["Goatee"] = False
    elif name == "Bald":
        present["Brown_Hair"] = False
    elif name in ("Goatee", "Mustache", "5_o_Clock_Shadow", "Sideburns"):
        present["No_Beard"] = False
    images = [render(face, np.random.default_rng(seed), style)[0] for face in (absent, present)]
    captions = (f"without {name}", f"WITH {name}")
    return [_tile(Image.fromarray(i), c) for i, c in zip(images, captions, strict=True)]


def _tile(image: Image.Image | None, caption: str) -> Image.Image:
    tile = Image.new("RGB", (WIDTH, HEIGHT + _CAPTION), "white")
    if image:
        tile.paste(image)
    words, lines = caption.split(" "), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 28:
            lines.append("")
        lines[-1] += word + " "
    ImageDraw.Draw(tile).text((3, HEIGHT + 1), "\n".join(lines[:7]), fill="black", font_size=9)
    return tile
