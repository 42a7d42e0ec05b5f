"""Writes procedural faces in the format of CelebA's official files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.synthetic.drawing import draw
from farkeras.synthetic.files import noisy_labels, write_jpeg
from farkeras.synthetic.frequencies import sample_attributes, shown
from farkeras.synthetic.parameters import FaceParameters
from farkeras.synthetic.traits import sample_parameters

IMAGES = "img_align_celeba"
_LANDMARKS = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"


Row = tuple[list[int], list[int]]
"""Entries of one image in the text files: 40 labels, 1 or -1, and landmarks, 10 integers `x, y, x, y, ...`."""


def file_name(index: int) -> str:
    """Returns the official file name of an image; `index` counts from 0, the name from 1."""
    return f"{index + 1:06d}.jpg"


def portraits(seed: int, count: int) -> range:
    """Returns the images of a set, each as its index."""
    del seed
    return range(count)


def sample_face(seed: int, world: str, index: int) -> tuple[dict[str, bool], FaceParameters]:
    """Samples the attributes and the parameters of the face in an image."""
    rng = np.random.default_rng([seed, index])
    attributes = sample_attributes(rng, world=world)
    drawn = shown(attributes, np.random.default_rng([seed, index, 4]), world)
    return attributes, sample_parameters(drawn, rng)


def write_face(folder: Path, seed: int, label_noise: float, style: str, world: str, index: int) -> Row:
    """Draws and writes one image; its pixels and its row depend on the arguments only.

    Args:
        folder: Folder of the set.
        seed: Seed of the set.
        label_noise: Probability with which each label is flipped in the row; the image is not changed.
        style: Style of the set, one of `STYLES`.
        world: World of the set, one of `WORLDS`.
        index: Index of the image, from 0.

    Returns:
        The image's entries in the text files.
    """
    attributes, face = sample_face(seed, world, index)
    image, landmarks = draw(face, style)
    file_rng = np.random.default_rng([seed, index, 1])
    write_jpeg(folder / IMAGES / file_name(index), image, file_rng, style)
    labels = [1 if label else -1 for label in noisy_labels(attributes, label_noise, file_rng)]
    return labels, [int(v) for v in np.rint(landmarks).ravel()]


def partition(count: int) -> list[int]:
    """Assigns files, in their order, to train (0), validation (1) and test (2): 80 %, 10 % and 10 %, as in CelebA."""
    held_out = max(1, round(count * 0.1)) if count >= 3 else 0
    return [0] * (count - 2 * held_out) + [1] * held_out + [2] * held_out


def test_split(images: Sequence[int]) -> list[int]:
    """Returns those images of a whole set that are in the test split."""
    return [index for index, split in zip(images, partition(len(images)), strict=True) if split == 2]


def write_lists(folder: Path, count: int, images: Sequence[int], rows: Sequence[Row]) -> None:
    """Writes `list_attr_celeba.txt`, `list_eval_partition.txt` and `list_landmarks_align_celeba.txt`.

    Args:
        folder: Folder of the set.
        count: Number of images in the whole set, which determines the splits.
        images: Images of the lists, each as its index.
        rows: Entries of these images.
    """
    labels, landmarks = zip(*rows, strict=True)
    names = [file_name(index) for index in images]

    def write(name: str, lines: list[str]) -> None:
        (folder / name).write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")

    def table(header: str, values: Sequence[list[int]], width: int) -> list[str]:
        cells = [" ".join(f"{v:>{width}}" for v in row) for row in values]
        return [str(len(rows)), header, *(f"{n} {c}" for n, c in zip(names, cells, strict=True))]

    header = " ".join(CELEBA_ATTRIBUTES) + " "  # the official header ends with a space
    write("list_attr_celeba.txt", table(header, labels, 2))
    write("list_landmarks_align_celeba.txt", table(_LANDMARKS, landmarks, 4))
    splits = partition(count)
    write("list_eval_partition.txt", [f"{name} {splits[index]}" for name, index in zip(names, images, strict=True)])
