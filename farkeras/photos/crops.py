"""Aligned crops of photographs: of one in memory, or of folders of them in parallel processes.

A crop is what `farkeras.photos.alignment` makes, 178 x 218 pixels with the eyes where CelebA has them. `align_photos`
stores it as a JPEG of quality 95 without chroma subsampling.
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

_TASK_SIZE = 8  # photographs handed to a process at a time
_HEADER = ("crop", "photo", "face", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")


def align_face(photo: Photo) -> np.ndarray:
    """CelebA's aligned crop of the largest face in a photograph, which is what models are shown.

    Any number of threads may call this at the same time; they share the face finders of the process.

    Args:
        photo: The photograph: a path, an open file or its bytes, a Pillow image, or a `uint8` array or tensor
            `[height, width, 3]`, RGB. A file or Pillow image is turned upright by its EXIF orientation.

    Returns:
        `uint8` array `[218, 178, 3]`, RGB.

    Raises:
        FarkerasError: The photograph cannot be read or has no face, or MediaPipe or its model file is missing.
    """
    return _crops(photo, all_faces=False)[0][0]


def align_faces(photo: Photo) -> list[np.ndarray]:
    """As `align_face`, for all faces of the photograph, the largest first; at least one."""
    return [crop for crop, _ in _crops(photo, all_faces=True)]


class Target(NamedTuple):
    """A photograph and the path of its crop without number and ending, relative to the output folder."""

    photo: Path
    stem: str


class Crop(NamedTuple):
    """A stored crop.

    Attributes:
        path: Relative to the output folder.
        photo: The photograph.
        face: Its number, from 1, the largest first.
        eyes: x, y of the left and of the right pupil as they lie in the upright photograph, in pixels.
    """

    path: str
    photo: Path
    face: int
    eyes: tuple[float, float, float, float]


def find_targets(places: Iterable[str | os.PathLike], output: str | os.PathLike) -> tuple[list[Target], list[str]]:
    """The photographs to align and where their crops go.

    Sub-folders keep their structure. The crop of `a.jpg` is `a.jpg`, that of `a.png` is `a.png.jpg`; of several places,
    what would have a name for the second time gets a number: `a-2.jpg`.

    Args:
        places: Photographs, and folders that are searched with all their sub-folders, but not hidden ones.
        output: The folder of the crops.

    Returns:
        The photographs, and one sentence for each folder that cannot be read or holds no photograph.

    Raises:
        FarkerasError: The output folder lies in a folder that is searched, or the other way round, or it is the folder
            of a photograph that is named.
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
                f"The output folder {output} and the photos of {folder} lie in each other; give `output` a folder of "
                "its own, so that no crop replaces a photo or is taken for one."
            )
        photos, without = find_photos([place], sub_folders=True)
        errors += without
        for photo in photos:
            relative = photo.relative_to(folder).as_posix()
            first = relative.removesuffix(".jpg")
            names = itertools.chain([first], (f"{first}-{number}" for number in itertools.count(2)))
            stem = next(name for name in names if name.lower() not in taken)  # some disks do not tell A.jpg from a.jpg
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
    """Stores the crops of photographs, and last `crops.csv` with the photograph, number and eyes of each.

    Each file appears complete or not at all and replaces one of its name. The result does not depend on `workers`.

    Args:
        targets: From `find_targets`.
        output: The folder of the crops, made if it is not there.
        workers: Processes, each with a face finder of its own (about 130 MB).
        all_faces: Whether to take every face, as `a_1.jpg`, `a_2.jpg` ...; else the largest, as `a.jpg`.
        progress: Called when the processes are ready, then every few photographs.

    Returns:
        The crops in the order of the photographs, and one sentence for each photograph that has none.

    Raises:
        FarkerasError: MediaPipe is not installed, no right or room to write, a process that died, or `workers` < 1.
    """
    if workers < 1:
        raise FarkerasError(f"`workers` must be at least 1. Received: {workers}.")
    tasks = [targets[start : start + _TASK_SIZE] for start in range(0, len(targets), _TASK_SIZE)]
    crops: list[Crop] = []
    errors: list[str] = []
    with (
        writing(f"crops to {output}", instead="output"),
        face_processes(max(1, min(workers, len(tasks))), "it does all photos again") as pool,
        written_aside(as_path(output) / CROPS_FILE) as listing,  # whose folder is for half-written crops, too
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
            pool.shutdown(cancel_futures=True)  # no process writes a crop while that folder goes
        with open(listing, "w", newline="", encoding="utf-8", errors=ESCAPED) as file:
            rows = csv.writer(file)
            rows.writerow(_HEADER)
            rows.writerows((crop.path, crop.photo, crop.face, *(f"{x:.2f}" for x in crop.eyes)) for crop in crops)
    return crops, errors


def _align(output: Path, aside: Path, all_faces: bool, targets: Sequence[Target]) -> tuple[list[Crop], list[str]]:
    """Stores the crops of some photographs; each is written to the folder `aside` first."""
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
    """The crop, `uint8 [218, 178, 3]`, and the eyes, `float32 [2, 2]`, of the largest face or all; at least one."""
    name = os.fspath(photo) if isinstance(photo, str | os.PathLike) else "The photo"
    image = read_photo(photo, name)
    found = [face[list(EYES)] for face in find_faces(image, name)] if all_faces else [find_eyes(image, name)]
    if not found:
        raise FarkerasError(f"{name}: {NO_FACE}")
    try:
        return [(cut_crop(image, eyes), eyes) for eyes in found]
    except FarkerasError as error:  # knows the eyes, not whose they are
        raise FarkerasError(f"{name}: {error}") from None
