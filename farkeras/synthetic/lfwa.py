"""Writes procedural faces in the format of LFWA's official files: people with one or more images, MATLAB lists."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.synthetic.drawing import draw
from farkeras.synthetic.files import noisy_labels, write_jpeg
from farkeras.synthetic.frequencies import sample_attributes, shown
from farkeras.synthetic.matlab_files import write_matlab
from farkeras.synthetic.parameters import FaceParameters
from farkeras.synthetic.traits import sample_parameters

IMAGES = "lfw"
# Rows and columns added before and after the 178 x 218 pixels of a face, for 250 x 250 pixels with the eyes near
# (105, 112) and (144, 112). They repeat and mirror the outer 12 pixels of the image, which show no part of a head.
_ROWS, _COLUMNS = (1, 31), (36, 36)
_MIRRORED = 12
# Parts that a person keeps; light, clothes, mouth and accessories change from image to image.
_LASTING_PARTS = ("head", "skin", "eyes", "brows", "nose", "hair", "beard")


class Portrait(NamedTuple):
    """An image to draw.

    Attributes:
        serial: Number of the image in the set, from 0.
        person: Number of the person, from 0.
        number: Number of the image among the person's images, from 0.
    """

    serial: int
    person: int
    number: int

    @property
    def file(self) -> str:
        """Relative path of the image, in the form of LFW's names."""
        name = f"Drawn_Person_{self.person + 1:06d}"
        return f"{name}/{name}_{self.number + 1:04d}.jpg"


def portraits(seed: int, count: int) -> list[Portrait]:
    """Returns the images of a set, person by person. As in LFW, most people have one image, and the mean is 2.3."""
    result: list[Portrait] = []
    person = 0
    while len(result) < count:
        rng = np.random.default_rng([seed, person, 3])
        images = 1 if rng.random() < 0.7 else 1 + int(rng.geometric(0.23))
        result += [Portrait(len(result) + number, person, number) for number in range(images)]
        person += 1
    return result[:count]


def file_name(portrait: Portrait) -> str:
    """Returns the path of an image in the folder of images."""
    return portrait.file


def sample_face(seed: int, world: str, portrait: Portrait) -> tuple[dict[str, bool], FaceParameters]:
    """Samples the attributes and the parameters of the face in an image."""
    rng = np.random.default_rng([seed, portrait.serial])
    person_rng = np.random.default_rng([seed, portrait.person, 2])
    attributes = sample_attributes(rng, person_rng, world)
    drawn = shown(attributes, np.random.default_rng([seed, portrait.serial, 4]), world)
    person, moment = sample_parameters(drawn, person_rng), sample_parameters(drawn, rng)
    return attributes, moment._replace(**{part: getattr(person, part) for part in _LASTING_PARTS})


def write_face(folder: Path, seed: int, label_noise: float, style: str, world: str, portrait: Portrait) -> list[bool]:
    """Draws and writes one image; its pixels and labels depend on the arguments only.

    Args:
        folder: Folder of the set.
        seed: Seed of the set.
        label_noise: Probability with which each label is flipped in the result; the image is not changed.
        style: Style of the set, one of `STYLES`.
        world: World of the set, one of `WORLDS`.
        portrait: The image to draw.

    Returns:
        The 40 labels in order.
    """
    attributes, face = sample_face(seed, world, portrait)
    image, _ = draw(face, style)
    image = image[np.ix_(_widened(len(image), *_ROWS), _widened(image.shape[1], *_COLUMNS))]
    file_rng = np.random.default_rng([seed, portrait.serial, 1])
    write_jpeg(folder / IMAGES / portrait.file, image, file_rng, style)
    return noisy_labels(attributes, label_noise, file_rng)


def _widened(length: int, before: int, after: int) -> np.ndarray:
    """Returns the indices of the pixels that extend a line of `length` pixels by `before` and `after` pixels."""
    start, middle, end = np.split(np.arange(length), [_MIRRORED, length - _MIRRORED])
    return np.concatenate([np.pad(start, (before, 0), "symmetric"), middle, np.pad(end, (0, after), "symmetric")])


def test_split(images: Sequence[Portrait]) -> list[Portrait]:
    """Returns those images of a whole set that are in the test split: those of every second person."""
    return [image for image in images if image.person % 2 == 1]


def write_lists(folder: Path, count: int, images: Sequence[Portrait], labels: Sequence[list[bool]]) -> None:
    """Writes `lfw_att_40.mat` and `indices_train_test.mat`, with the peculiarities of the official files.

    Image names contain a backslash. Attribute names contain spaces instead of underscores, and some begin or end with a
    space. Indices are doubles and count from 1. Every second person is in the test split.
    """
    del count
    spaced = [name.replace("_", " ") for name in CELEBA_ATTRIBUTES]
    spaced[0], spaced[-1] = f" {spaced[0]}", f"{spaced[-1]} "
    table: dict[str, np.ndarray | list[str]] = {
        "AttrName": spaced,
        "label": np.array(labels, float),
        "name": [image.file.replace("/", "\\") for image in images],
    }
    write_matlab(folder / "lfw_att_40.mat", table)
    people = np.array([image.person for image in images])
    splits = {}
    for name, part in (("train", 0), ("test", 1)):
        splits[f"indices_img_{name}"] = np.flatnonzero(people % 2 == part)[:, None] + 1
        splits[f"indices_identity_{name}"] = np.unique(people[people % 2 == part])[:, None] + 1
    write_matlab(folder / "indices_train_test.mat", splits)
