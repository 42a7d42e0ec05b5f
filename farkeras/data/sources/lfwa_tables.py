"""Reads LFWA's two MATLAB files; errors name file, variable and entry.

`lfw_att_40.mat` has `AttrName` (40 names, perhaps with blanks for underscores and around them), `name` (an image a
cell, `Person\\Person_0001.jpg`) and `label` (a row an image, a column an attribute; 0 and 1, or -1 and 1).
`indices_train_test.mat` has `indices_img_train` and `indices_img_test`: numbers of images, from 1, as doubles.
"""

from pathlib import Path

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.sources.matlab_files import MatlabFile, open_matlab
from farkeras.errors import FarkerasError, and_more


def read_labels(path: Path) -> tuple[list[str], np.ndarray]:
    """Reads `lfw_att_40.mat`; attributes are found by name.

    Returns:
        The N images, each once: person's folder and file, with a slash; and their labels, `int8` array `[N, 40]`, 1 or
        0, in the order of `CELEBA_ATTRIBUTES`.

    Raises:
        FarkerasError: Not such a file, an attribute is unknown, missing or there twice, an image is there twice or its
            name is not a person's folder and a file, a label is not 0 or 1 (-1 or 1), or the counts do not fit.
    """
    with open_matlab(path) as file:
        names, labels, images = file.strings("AttrName"), file.matrix("label"), file.strings("name")
    order = _match_attributes(path, names)
    images = _images(path, images)
    if labels.shape != (len(images), len(names)):
        raise FarkerasError(
            f"{path}: 'label' is {labels.shape[0]} x {labels.shape[1]}; expected {len(images)} x {len(names)}, a row "
            "for each entry of 'name' and a column for each of 'AttrName'. Take the file as it ships."
        )
    negative = -1 if (labels == -1).any() else 0
    bad = np.argwhere((labels != negative) & (labels != 1))
    if len(bad):
        row, column = bad[0]
        raise FarkerasError(
            f"{path}: the label of {images[row]}, {names[column].strip()} is {labels[row, column]:g}; expected "
            f"{negative} or 1, as in the rest of the file. Correct it or take the file as it ships."
        )
    return images, (labels[:, order] == 1).astype(np.int8)


def read_indices(path: Path, num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads the official splits, `indices_train_test.mat`.

    Args:
        path: The file.
        num_images: How many images `lfw_att_40.mat` lists.

    Returns:
        Of the training and of the test split: `int64` array, images counted from 0, ascending; no image is in both.

    Raises:
        FarkerasError: Not such a file, a number that is none of an image, or one that is there twice.
    """
    with open_matlab(path) as file:
        train, test = (_rows(path, file, name, num_images) for name in ("indices_img_train", "indices_img_test"))
    both = np.intersect1d(train, test)
    if len(both):
        raise FarkerasError(
            f"{path}: image {both[0] + 1}{and_more(both)} is in 'indices_img_train' and in 'indices_img_test'; take "
            "the file as it ships."
        )
    return train, test


def _match_attributes(path: Path, names: list[str]) -> list[int]:
    """The column of each of `CELEBA_ATTRIBUTES`."""
    plain = ["_".join(name.replace("_", " ").split()) for name in names]
    for name in plain:
        if name not in CELEBA_ATTRIBUTES:
            raise FarkerasError(
                f"{path}: unknown attribute '{name}' in 'AttrName'; expected {', '.join(CELEBA_ATTRIBUTES)}."
            )
        if plain.count(name) > 1:
            raise FarkerasError(f"{path}: attribute '{name}' is in 'AttrName' twice; take the file as it ships.")
    missing = [name for name in CELEBA_ATTRIBUTES if name not in plain]
    if missing:
        raise FarkerasError(
            f"{path}: attribute '{missing[0]}'{and_more(missing)} is not in 'AttrName'; expected "
            f"{len(CELEBA_ATTRIBUTES)}, got {len(names)}. Take the file as it ships."
        )
    return [plain.index(name) for name in CELEBA_ATTRIBUTES]


def _images(path: Path, names: list[str]) -> list[str]:
    images = [name.strip().replace("\\", "/") for name in names]
    if not images:
        raise FarkerasError(f"{path} lists no image; download it again.")
    seen = set()
    for number, image in enumerate(images, 1):
        parts = image.split("/")
        if len(parts) != 2 or any(part in ("", ".", "..") for part in parts):
            raise FarkerasError(
                f"{path}: entry {number} of 'name' is '{names[number - 1]}'; expected a person's folder and a file, "
                "Person\\Person_0001.jpg. Take the file as it ships."
            )
        if image in seen:
            raise FarkerasError(
                f"{path}: entry {number} of 'name', {image}, is there twice; take the file as it ships."
            )
        seen.add(image)
    return images


def _rows(path: Path, file: MatlabFile, name: str, num_images: int) -> np.ndarray:
    """int64, from 0, ascending."""
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
            f"{path}: image {rows[counts > 1][0] + 1} is in '{name}' more than once; take the file as it ships."
        )
    return rows
