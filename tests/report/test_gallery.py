"""The picture of faces with predictions: right green, wrong red, missed yellow."""

import matplotlib.colors
import numpy as np
from PIL import Image

from farkeras.report.gallery import MISSED, RIGHT, UNLABELLED, WRONG, write_gallery


def colours(path):
    return {tuple(pixel) for pixel in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)}


def rgb(colour):
    return tuple(round(255 * c) for c in matplotlib.colors.to_rgb(colour))


def test_colours_tell_right_wrong_and_missed(tmp_path):
    images = np.full((7, 218, 178, 3), 200, np.uint8)  # a second row
    labels = np.array([[1, 0, 1]] * 7)
    write_gallery(tmp_path / "all.png", images, labels, np.array([[0.9, 0.8, 0.1]] * 7), ["A", "B", "C"])
    assert {rgb(RIGHT), rgb(WRONG), rgb(MISSED)} <= colours(tmp_path / "all.png")
    write_gallery(tmp_path / "right.png", images, labels, np.array([[0.9, 0.1, 0.9]] * 7), ["A", "B", "C"])
    assert not {rgb(WRONG), rgb(MISSED)} & colours(tmp_path / "right.png")
    write_gallery(tmp_path / "unknown.png", images, -np.ones((7, 3)), np.array([[0.9, 0.1, 0.9]] * 7), ["A", "B", "C"])
    assert rgb(UNLABELLED) in colours(tmp_path / "unknown.png")
    assert not {rgb(RIGHT), rgb(WRONG), rgb(MISSED)} & colours(tmp_path / "unknown.png")
    thresholds = [0.95, 0.05, 0.95]  # the second attribute is missing, the others are predicted by nobody
    write_gallery(tmp_path / "own.png", images, labels, np.array([[0.9, 0.1, 0.9]] * 7), list("ABC"), 6, thresholds)
    assert {rgb(WRONG), rgb(MISSED)} <= colours(tmp_path / "own.png")
    assert rgb(RIGHT) not in colours(tmp_path / "own.png")
    (tmp_path / "own.png").unlink()
    assert {path.name for path in tmp_path.iterdir()} == {"all.png", "right.png", "unknown.png"}
