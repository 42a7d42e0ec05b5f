"""Draws a gallery of faces with the attributes that a model predicts for them."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from farkeras.data.examples import UNKNOWN
from farkeras.files import written_aside
from farkeras.report.drawing import add_frame, write
from farkeras.report.summary import readable

WIDTH, GAP, LINE = 1.7, 0.15, 0.15  # inches: width of a face, space between faces, height of a line of text
RIGHT, WRONG, MISSED, UNLABELLED = "#1a7f37", "#cf222e", "#8a6d00", "#6e7781"
_COLOURS = {1: RIGHT, 0: WRONG, UNKNOWN: UNLABELLED}


def write_gallery(
    path: str | os.PathLike,
    images: Sequence[np.ndarray] | np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    attributes: Sequence[str],
    columns: int = 6,
    thresholds: Sequence[float] | None = None,
) -> None:
    """Draws faces with their predicted attributes and the attributes that the model missed.

    A predicted attribute (probability at or above its threshold) is green if it is right, red if it is wrong, and grey
    if its label is unknown. A missed attribute (label 1, probability below the threshold) is yellow, in brackets.

    Args:
        path: PNG file to write; an existing file is replaced once the new one is complete.
        images: `[N, height, width, 3]` in 0..255.
        labels: `[N, A]`; 1, 0, or -1 for unknown.
        probabilities: `[N, A]` in 0..1.
        attributes: Names of the A attributes.
        columns: Number of faces per row.
        thresholds: A threshold for each attribute; 0.5 by default.
    """
    thresholds = [0.5] * len(attributes) if thresholds is None else thresholds
    captions = [
        [
            (name, p, _COLOURS[int(label)]) if p >= threshold else (f"({name})", p, MISSED)
            for name, p, label, threshold in zip(attributes, probability, truth, thresholds, strict=True)
            if p >= threshold or label == 1
        ]
        for probability, truth in zip(probabilities, labels, strict=True)
    ]
    rows = -(-len(images) // columns)
    height, width = np.shape(images[0])[:2]
    picture = WIDTH * height / width
    cell = picture + LINE * (max(map(len, captions)) + 1.5)
    figure = Figure(figsize=(columns * (WIDTH + GAP) + GAP, rows * cell), dpi=110)
    for i, (image, lines) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(i, columns)
        left, top = GAP + column * (WIDTH + GAP), (rows - row) * cell - GAP / 2
        axes = add_frame(figure, left, top - picture, WIDTH, picture)
        axes.imshow(np.asarray(image).clip(0, 255).astype(np.uint8))
        for number, (name, p, colour) in enumerate(lines, start=1):
            bottom = top - picture - LINE * number
            write(figure, left, bottom, f"{p:4.0%} {readable(name)}", fontsize=7, color=colour)
    with written_aside(path) as aside:
        figure.savefig(aside, facecolor="white", format="png")
