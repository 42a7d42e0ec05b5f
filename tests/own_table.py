"""A user's own table, made of drawn faces in CelebA's layout: other names, other columns, unknown cells."""

import csv
import json
from pathlib import Path

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.sources.celeba_tables import read_table

NAMES = {
    "Hat": "Wearing_Hat",
    "Fringe": "Bangs",
    "Glasses": "Eyeglasses",
    "Smile": "Smiling",
    "Open_Mouth": "Mouth_Slightly_Open",
    "Lipstick": "Wearing_Lipstick",
    "Moustache": "Mustache",
}
"""Seven attributes and what CelebA calls them."""

GROUPS = {"Hair": ["Hat", "Fringe"], "Eyes": ["Glasses"], "Mouth": ["Smile", "Open_Mouth", "Lipstick", "Moustache"]}
HEADER = ("image", "person", "notes", *NAMES)


def write_own_table(path: Path, faces_dir: Path, images: str = "img_align_celeba", header=HEADER) -> Path:
    """Writes a row per face of `faces_dir`, two faces to a person, every fifth cell unknown; returns `path`.

    Args:
        path: The CSV to write.
        faces_dir: Faces in CelebA's layout.
        images: Their folder as the table names it.
        header: The columns: those of `HEADER` in any order.
    """
    faces = read_table(faces_dir / "list_attr_celeba.txt", CELEBA_ATTRIBUTES)
    labels = faces.values[:, [CELEBA_ATTRIBUTES.index(name) for name in NAMES.values()]]
    cells = np.where(labels > 0, "1", "0")
    cells[np.arange(cells.size).reshape(cells.shape) % 5 == 0] = ""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        for row, (image, values) in enumerate(zip(faces.images, cells, strict=True)):
            others = {"image": f"{images}/{image}", "person": f"p{row // 2}", "notes": f"drawn, number {row}"}
            writer.writerow(others | dict(zip(NAMES, values.tolist(), strict=True)))
    return path


def write_groups(path: Path) -> Path:
    """Writes the grouping file of the seven attributes; returns `path`."""
    path.write_text(json.dumps(GROUPS))
    return path
