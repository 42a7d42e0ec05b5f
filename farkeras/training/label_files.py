"""Writes an audit of labels: a table of the suspicious labels, their pictures as a page, and the rates as JSON."""

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from farkeras.data.examples import names_in
from farkeras.data.procedural import is_procedural
from farkeras.data.reading import image_decoder
from farkeras.files import ESCAPED, as_path, write_text, writing, written_aside
from farkeras.report.label_page import Suspicion, label_page
from farkeras.training.label_audit import LabelAudit

CSV_FILE, PAGE_FILE, JSON_FILE = "label_audit.csv", "label_audit.html", "label_audit.json"
HEADER = ("rank", "image", "split", "attribute", "given", "suggested", "probability", "score")

_HEIGHT = 150  # pixels of a picture in the page


def write_audit(audit: LabelAudit, folder: str | os.PathLike, shown: int = 100) -> dict:
    """Writes `label_audit.csv`, `label_audit.html` and `label_audit.json` to a folder.

    Args:
        audit: The audit.
        folder: The folder.
        shown: Largest number of labels whose pictures the page shows; it contains the pictures.

    Returns:
        The content of `label_audit.json`: where the predictions come from, the number of images and of suspicious
        labels, and for each attribute the rates of `farkeras.metrics.label_errors.estimate_rates`.

    Raises:
        FarkerasError: A file cannot be written.
    """
    attributes = audit.parts[0].examples.attributes
    folder, errors, data_dir = as_path(folder), audit.errors, audit.origin["data_dir"]
    names = [name for part in audit.parts for name in names_in(data_dir, part.examples.paths.tolist())]
    faces = _faces(audit, errors.rows[:shown].tolist())
    each = zip(
        errors.rows.tolist(), errors.columns.tolist(), errors.given.tolist(), errors.probabilities.tolist(), strict=True
    )
    suspicions = [
        Suspicion(names[row], audit.place(row)[0].split, attributes[column], bool(given), p, faces.get(row, b""))
        for row, column, given, p in each
    ]
    undecodable = sum(int((~part.decodable).sum()) for part in audit.parts)
    summary = {
        **audit.origin,
        "procedural": is_procedural(data_dir),
        "num_images": sum(len(part.examples) for part in audit.parts) - undecodable,
        "undecodable": undecodable,
        "suspicious": len(suspicions),
        "attributes": errors.rates,
    }
    with writing(f"the audit to {folder}", instead="workdir"):
        _write_table(folder / CSV_FILE, suspicions)
        write_text(folder / PAGE_FILE, label_page(summary, suspicions[:shown]))
        write_text(folder / JSON_FILE, json.dumps(summary, indent=1, allow_nan=False) + "\n")
    return summary


def _write_table(path: Path, suspicions: list[Suspicion]) -> None:
    with written_aside(path) as aside, open(aside, "w", newline="", encoding="utf-8", errors=ESCAPED) as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for rank, one in enumerate(suspicions, 1):
            numbers = f"{one.probability:.6f}", f"{one.score:.6f}"
            rows.writerow([rank, one.image, one.split, one.attribute, int(one.given), int(not one.given), *numbers])


def _faces(audit: LabelAudit, rows: list[int]) -> dict[int, bytes]:
    """Returns what the model sees of each of these images, as JPEG files of `_HEIGHT` pixels."""
    height, width = audit.preprocessing.image_size
    small = replace(audit.preprocessing, image_size=(_HEIGHT, round(_HEIGHT * width / height)))
    decoders = {part.split: image_decoder(part.examples) for part in audit.parts}
    faces = {}
    for row in set(rows):
        part, number = audit.place(row)
        seen = small.within(part.examples.frame)
        pixels = seen.resize(decoders[part.split](tf.constant(number))).numpy()
        encoded = io.BytesIO()
        Image.fromarray(pixels.round().astype(np.uint8)).save(encoded, "JPEG", quality=85)
        faces[row] = encoded.getvalue()
    return faces
