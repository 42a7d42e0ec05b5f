"""Aligned crops of photographs: of one photograph in memory, or of whole folders in parallel processes.

`farkeras.photos.alignment` defines the crop: 178 x 218 pixels with the eyes where CelebA has them. `align_photos`
stores crops as JPEG files of quality 95 without chroma subsampling.
"""

import csv
import itertools
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from farkeras.errors import FarkerasError
from farkeras.files import ESCAPED, as_path, writing, written_aside
from farkeras.photos.alignment import cut_crop
from farkeras.photos.face_processes import face_processes
from farkeras.photos.landmarks import EYES, NO_FACE, find_eyes, find_faces
from farkeras.photos.reader import Photo, read_photo
from farkeras.photos.search import find_photos
from farkeras.progress import Progress, report

CROPS_FILE = "crops.csv"

_TASK_SIZE = 8  # photographs per task of a process
_HEADER = ("crop", "photo", "face", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")


def align_face(photo: Photo) -> np.ndarray:
    """Cuts CelebA's aligned crop of the largest face out of a photograph; models expect this crop.

    Several threads may call this function at the same time; they share the face finders of the process.

    Args:
        photo: The photograph: a path, an open file or its bytes, a Pillow image, or a `uint8` array or tensor
            `[height, width, 3]`, RGB. Files and Pillow images are turned upright by their EXIF orientation.

    Returns:
        `uint8` array `[218, 178, 3]`, RGB.

    Raises:
        FarkerasError: The photograph cannot be read or has no face, or MediaPipe or its model file is missing.
    """
    return _crops(photo, all_faces=False)[0][0]


def align_faces(photo: Photo) -> list[np.ndarray]:
    """Cuts the aligned crops of all faces out of a photograph.

    Args:
        photo: The photograph, in any form that `align_face` takes.

    Returns:
        At least one `uint8` array `[218, 178, 3]`, RGB, the largest face first.

    Raises:
        FarkerasError: For the same reasons as in `align_face`.
    """
    return [crop for crop, _ in _crops(photo, all_faces=True)]


class Target(NamedTuple):
    """A photograph to align, and the name of its crop.

    Attributes:
        photo: Path of the photograph.
        stem: Path of the crop relative to the output folder, without the face's number and `.jpg`.
    """

    photo: Path
    stem: str


class Crop(NamedTuple):
    """A stored crop.

    Attributes:
        path: Path of the crop relative to the output folder.
        photo: Path of the photograph.
        face: Number of the face in the photograph, from 1, the largest face first.
        eyes: `x, y` of the left and of the right pupil, as seen in the upright photograph, in pixels.
    """

    path: str
    photo: Path
    face: int
    eyes: tuple[float, float, float, float]


def find_targets(places: Iterable[str | os.PathLike], output: str | os.PathLike) -> tuple[list[Target], list[str]]:
    """Finds the photographs to align, and chooses a name for each crop.

    Crops keep the sub-folders of their photographs. The crop of `a.jpg` is `a.jpg`, and the crop of `a.png` is
    `a.png.jpg`. If another photograph has the name already, a number is added: `a-2.jpg`.

    Args:
        places: Paths of photographs and folders. Folders are searched with all sub-folders except hidden ones.
        output: Folder for the crops.

    Returns:
        The photographs with the names of their crops, and one sentence for each folder that cannot be read or holds
        no photograph.

    Raises:
        FarkerasError: The output folder contains a searched folder or lies in one, or it is the folder of a named
            photograph.
    """
    targets: list[Target] = []
    errors: list[str] = []
    taken: set[str] = set()  # stems in lower case
    for place in map(as_path, places):
        folder = place if os.path.isdir(place) else place.parent
        out, searched = Path(os.path.realpath(as_path(output))), Path(os.path.realpath(folder))
        nested = folder == place and (out in searched.parents or searched in out.parents)
        if nested or out == searched:
            raise FarkerasError(
                f"The output folder {output} overlaps with the photo folder {folder}; set `output` to a separate "
                "folder, so that no crop replaces a photo or is read as one."
            )
        photos, without = find_photos([place], sub_folders=True)
        errors += without
        for photo in photos:
            relative = photo.relative_to(folder).as_posix()
            first = relative.removesuffix(".jpg")
            names = itertools.chain([first], (f"{first}-{number}" for number in itertools.count(2)))
            # Lower case: on some file systems A.jpg and a.jpg are the same file.
            stem = next(name for name in names if name.lower() not in taken)
            taken.add(stem.lower())
            targets.append(Target(photo, stem))
    return targets, errors


def align_photos(
    targets: Sequence[Target],
    output: str | os.PathLike,
    workers: int,
    all_faces: bool = False,
    progress: Progress | None = None,
) -> tuple[list[Crop], list[str]]:
    """Stores the crops of photographs, then `crops.csv` with the photograph, face number and eyes of each crop.

    Each file appears complete or not at all, and replaces a file of the same name. The result does not depend on
    `workers`.

    Args:
        targets: The photographs and the names of their crops, from `find_targets`.
        output: Folder for the crops; it is created if it does not exist.
        workers: Number of processes. Each has its own face finder, about 130 MB.
        all_faces: Whether to store every face, as `a_1.jpg`, `a_2.jpg`, ...; otherwise only the largest, as `a.jpg`.
        progress: Called when the processes are ready, then after every few photographs.

    Returns:
        The crops in the order of the photographs, and one sentence for each photograph without a crop.

    Raises:
        FarkerasError: MediaPipe is not installed, the crops cannot be written, a process died, or `workers` is less
            than 1.
    """
    if workers < 1:
        raise FarkerasError(f"`workers` must be at least 1. Received: {workers}.")
    tasks = [targets[start : start + _TASK_SIZE] for start in range(0, len(targets), _TASK_SIZE)]
    crops: list[Crop] = []
    errors: list[str] = []
    with (
        writing(f"crops to {output}", instead="output"),
        face_processes(max(1, min(workers, len(tasks))), "all photos are then aligned again") as pool,
        written_aside(as_path(output) / CROPS_FILE) as listing,  # its folder also holds half-written crops
    ):
        try:
            done = 0
            report(progress, done, len(targets))
            store = partial(_align, as_path(output), listing.parent, all_faces)
            for task, (stored, failed) in zip(tasks, pool.map(store, tasks), strict=True):
                crops += stored
                errors += failed
                done += len(task)
                report(progress, done, len(targets))
        finally:
            pool.shutdown(cancel_futures=True)  # no process may write a crop when that folder is removed
        with open(listing, "w", newline="", encoding="utf-8", errors=ESCAPED) as file:
            rows = csv.writer(file)
            rows.writerow(_HEADER)
            rows.writerows((crop.path, crop.photo, crop.face, *(f"{x:.2f}" for x in crop.eyes)) for crop in crops)
    return crops, errors


def _align(output: Path, aside: Path, all_faces: bool, targets: Sequence[Target]) -> tuple[list[Crop], list[str]]:
    """Stores the crops of some photographs; writes each crop to the folder `aside` first, then moves it."""
    stored, errors = [], []
    for photo, stem in targets:
        try:
            crops = _crops(photo, all_faces)
        except FarkerasError as error:
            errors.append(str(error))
            continue
        for face, (pixels, eyes) in enumerate(crops, 1):
            path = f"{stem}_{face}.jpg" if all_faces else f"{stem}.jpg"
            partial_file = aside / f"{os.getpid()}.jpg"
            Image.fromarray(pixels).save(partial_file, quality=95, subsampling=0)
            (output / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(partial_file, output / path)
            stored.append(Crop(path, photo, face, tuple(eyes.ravel().tolist())))
    return stored, errors


def _crops(photo: Photo, all_faces: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the crop, `uint8 [218, 178, 3]`, and eyes, `float32 [2, 2]`, of the largest or of every face."""
    name = os.fspath(photo) if isinstance(photo, str | os.PathLike) else "The photo"
    image = read_photo(photo, name)
    found = [face[list(EYES)] for face in find_faces(image, name)] if all_faces else [find_eyes(image, name)]
    if not found:
        raise FarkerasError(f"{name}: {NO_FACE}")
    try:
        return [(cut_crop(image, eyes), eyes) for eyes in found]
    except FarkerasError as error:  # it does not name the photograph
        raise FarkerasError(f"{name}: {error}") from None
