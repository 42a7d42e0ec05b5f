"""Reads LFWA's two MATLAB files. Errors name the file, the variable and the entry.

`lfw_att_40.mat` has `AttrName` (40 names, where blanks may replace underscores or surround the name), `name` (one image
per cell, `Person\\Person_0001.jpg`) and `label` (a row per image and a column per attribute; 0 and 1, or -1 and 1).
`indices_train_test.mat` has `indices_img_train` and `indices_img_test`: numbers of images, counted from 1, as doubles.
"""

from pathlib import Path

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.sources.matlab_files import MatlabFile, open_matlab
from farkeras.errors import FarkerasError, and_more


def read_labels(path: Path) -> tuple[list[str], np.ndarray]:
    """Reads `lfw_att_40.mat`. Attributes are found by name.

    Returns:
        The N distinct images as `Person/Person_0001.jpg`, and their labels: `int8` array `[N, 40]` of 1 and 0, in the
        order of `CELEBA_ATTRIBUTES`.

    Raises:
        FarkerasError: The file is not such a file; an attribute is unknown, missing or listed twice; an image is listed
            twice, or its name is not a person's folder and a file; a label is not 0 or 1 (or -1 or 1); or the sizes of
            the variables do not match.
    """
    with open_matlab(path) as file:
        names, labels, images = file.strings("AttrName"), file.matrix("label"), file.strings("name")
    order = _match_attributes(path, names)
    images = _images(path, images)
    if labels.shape != (len(images), len(names)):
        raise FarkerasError(
            f"{path}: 'label' is {labels.shape[0]} x {labels.shape[1]}; expected {len(images)} x {len(names)}, a row "
            "for each entry of 'name' and a column for each entry of 'AttrName'. Use the original file."
        )
    negative = -1 if (labels == -1).any() else 0
    bad = np.argwhere((labels != negative) & (labels != 1))
    if len(bad):
        row, column = bad[0]
        raise FarkerasError(
            f"{path}: the label of {images[row]}, {names[column].strip()} is {labels[row, column]:g}; expected "
            f"{negative} or 1, as in the rest of the file. Correct it or use the original file."
        )
    return images, (labels[:, order] == 1).astype(np.int8)


def read_indices(path: Path, num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads the official splits, `indices_train_test.mat`.

    Args:
        path: The file.
        num_images: Number of images that `lfw_att_40.mat` lists.

    Returns:
        The images of the training split and of the test split, two `int64` arrays in ascending order, counted from 0.
        No image is in both.

    Raises:
        FarkerasError: The file is not such a file, or a number does not belong to an image or appears twice.
    """
    with open_matlab(path) as file:
        train, test = (_rows(path, file, name, num_images) for name in ("indices_img_train", "indices_img_test"))
    both = np.intersect1d(train, test)
    if len(both):
        raise FarkerasError(
            f"{path}: image {both[0] + 1}{and_more(both)} is in 'indices_img_train' and in 'indices_img_test'. Use the "
            "original file."
        )
    return train, test


def _match_attributes(path: Path, names: list[str]) -> list[int]:
    """Returns the column of each attribute in `CELEBA_ATTRIBUTES`."""
    plain = ["_".join(name.replace("_", " ").split()) for name in names]
    for name in plain:
        if name not in CELEBA_ATTRIBUTES:
            raise FarkerasError(
                f"{path}: unknown attribute '{name}' in 'AttrName'; expected {', '.join(CELEBA_ATTRIBUTES)}."
            )
        if plain.count(name) > 1:
            raise FarkerasError(f"{path}: attribute '{name}' is in 'AttrName' twice. Use the original file.")
    missing = [name for name in CELEBA_ATTRIBUTES if name not in plain]
    if missing:
        raise FarkerasError(
            f"{path}: attribute '{missing[0]}'{and_more(missing)} is not in 'AttrName'; expected "
            f"{len(CELEBA_ATTRIBUTES)} attributes. Received: {len(names)}. Use the original file."
        )
    return [plain.index(name) for name in CELEBA_ATTRIBUTES]


def _images(path: Path, names: list[str]) -> list[str]:
    images = [name.strip().replace("\\", "/") for name in names]
    if not images:
        raise FarkerasError(f"{path} lists no images. Download it again.")
    seen = set()
    for number, image in enumerate(images, 1):
        parts = image.split("/")
        if len(parts) != 2 or any(part in ("", ".", "..") for part in parts):
            raise FarkerasError(
                f"{path}: entry {number} of 'name' is '{names[number - 1]}'; expected a person's folder and a file, "
                "Person\\Person_0001.jpg. Use the original file."
            )
        if image in seen:
            raise FarkerasError(f"{path}: entry {number} of 'name' lists {image} a second time. Use the original file.")
        seen.add(image)
    return images


def _rows(path: Path, file: MatlabFile, name: str, num_images: int) -> np.ndarray:
    """Returns the images that a variable lists, int64 in ascending order, counted from 0."""
    indices = file.matrix(name).ravel()
    bad = np.flatnonzero(~((indices >= 1) & (indices <= num_images) & (indices == np.rint(indices))))
    if len(bad):
        raise FarkerasError(
            f"{path}: entry {bad[0] + 1} of '{name}' is {indices[bad[0]]:.10g}; expected whole numbers from 1 to "
            f"{num_images}, the images that lfw_att_40.mat lists. Take both files from the same download."
        )
    rows, counts = np.unique(indices.astype(np.int64) - 1, return_counts=True)
    if (counts > 1).any():
        raise FarkerasError(
            f"{path}: image {rows[counts > 1][0] + 1} is in '{name}' more than once. Use the original file."
        )
    return rows
