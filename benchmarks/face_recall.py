"""Measures the recall of face detection by size, rotation and position: `python benchmarks/face_recall.py`.

The photographs are composed: NASA's portrait of Eileen Collins (public domain, `skimage.data.astronaut`) is scaled,
rotated, mirrored, made darker or lighter, and pasted on other pictures of scikit-image. `farkeras.align_photos`
searches them for faces, so the times are those of a user. A face counts as found if both pupils are within a fifth of
the eye distance; every other detection is a false face.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from farkeras.photos.alignment import similarity_from_eyes
from farkeras.photos.crops import align_photos, find_targets

SIDES = (1000, 2000, 3000, 4000)  # longer side of the photographs in pixels; the aspect ratio is 3 : 2
EYE_DISTANCES = (10, 15, 20, 30, 50, 75, 100, 200)
TURNS = (0, 15, 30, 45)
PER_CELL = 2  # photographs of one side, eye distance and turn
BACKGROUNDS = ("coffee", "rocket", "brick", "gravel", "grass", "chelsea")
FACELESS = (*BACKGROUNDS, "coins", "page", "text", "moon", "hubble_deep_field", "immunohistochemistry", "horse")
SEVERAL = ((0.03, 0.05, 0.08), (0.02,) * 6, (0.015, 0.03, 0.06, 0.1))
"""Eye distances of the faces in each photograph, as fractions of its longer side."""

_PORTRAIT = slice(0, 300), slice(60, 390)  # head and shoulders
_PUPILS = np.array([(203.0, 101.0), (246.0, 103.0)]) - (60, 0)
_RADII = 115, 145  # radii of the soft oval that is pasted
_CENTRE = np.array([160.0, 115.0])
_TOLERANCE = 0.2  # as a fraction of the eye distance


def paste(photo: Image.Image, pupils_to: np.ndarray, mirror: bool, light: float) -> None:
    """Pastes the portrait with its left and right pupil, as seen in the image, at `pupils_to`, `[2, 2]` in pixels."""
    portrait = np.float32(skimage.data.astronaut()[_PORTRAIT])
    pupils, centre = _PUPILS, _CENTRE
    if mirror:
        portrait = portrait[:, ::-1]
        width = portrait.shape[1] - 1
        pupils, centre = np.array([(width, 0)]) + pupils[::-1] * (-1, 1), np.array([width, 0]) + centre * (-1, 1)
    y, x = np.mgrid[: portrait.shape[0], : portrait.shape[1]]
    radius = np.hypot((x - centre[0]) / _RADII[0], (y - centre[1]) / _RADII[1])
    alpha = np.clip((1 - radius) * 8, 0, 1) * 255
    pixels = np.clip(np.dstack([portrait * light, alpha]), 0, 255).astype(np.uint8)
    rows = similarity_from_eyes(pupils_to, pupils)  # from the photograph to the portrait
    image, scale = Image.fromarray(pixels), np.hypot(*rows[:, 0])
    if scale > 1:  # filter first to avoid aliasing
        image = image.resize(np.ceil(np.array(image.size) / scale).astype(int).tolist(), Image.Resampling.LANCZOS)
    rows[:, 2] += 0.5 - 0.5 * rows[:, :2].sum(axis=1)
    rows = (rows * (np.array(image.size) / pixels.shape[1::-1])[:, None]).ravel()
    pasted = image.transform(photo.size, Image.Transform.AFFINE, rows, Image.Resampling.BICUBIC)
    photo.paste(pasted.convert("RGB"), mask=pasted.getchannel("A"))


def background(name: str, width: int, height: int) -> Image.Image:
    pixels = skimage.util.img_as_ubyte(getattr(skimage.data, name)())
    return Image.fromarray(pixels).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def eyes_at(centre: Sequence[float], distance: float, degrees: float) -> np.ndarray:
    half = distance / 2 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    return np.array([centre - half, centre + half])


def compose(folder: Path) -> dict[str, tuple[list[str], list[np.ndarray]]]:
    """Writes the photographs and returns name -> (its rows of the table, pupils of each face)."""
    random, photos = np.random.default_rng(0), {}

    def write(rows: list[str], side: int, faces: list[np.ndarray], name: str | None = None) -> None:
        photo = background(name or BACKGROUNDS[len(photos) % len(BACKGROUNDS)], side, side * 2 // 3)
        for eyes in faces:
            paste(photo, eyes, random.random() < 0.5, random.uniform(0.6, 1.2))
        file = f"{len(photos):04}.jpg"
        photo.save(folder / file, quality=92)
        photos[file] = rows, faces

    for side in SIDES:
        room = np.array([side, side * 2 // 3])
        for distance in EYE_DISTANCES:
            margin = np.minimum(2.6 * distance, 0.45 * room)
            for degrees in np.repeat(TURNS, PER_CELL):
                turn = degrees * random.choice([-1, 1])
                centre = random.uniform(margin, room - margin)
                write([f"{distance} {side}", f"turn {degrees}"], side, [eyes_at(centre, distance, turn)])
            if distance >= 20:  # at each border, which cuts off a part of the face
                x, y = random.uniform(margin, room - margin)
                places = [(distance, y), (side - distance, y), (x, 0.6 * distance), (x, room[1] - 1.2 * distance)]
                for centre in places:
                    write([f"border {side}"], side, [eyes_at(centre, distance, 0)])
        for shares in SEVERAL:
            places = np.array([(x, y) for y in (0.25, 0.75) for x in (0.15, 0.5, 0.85)])
            random.shuffle(places)
            faces = zip(places * room, shares, strict=False)
            write([f"several {side}"], side, [eyes_at(at, s * side, random.uniform(-20, 20)) for at, s in faces])
        for name in FACELESS:
            write([], side, [], name)
    return photos


def find(photos: Path, output: Path, all_faces: bool) -> tuple[dict[str, list[np.ndarray]], float]:
    """Returns file -> pupils of the faces that one process finds, and the seconds that it took."""
    start = time.perf_counter()
    targets, _ = find_targets([photos], output)
    found = defaultdict(list)
    for crop in align_photos(targets, output, 1, all_faces)[0]:
        found[crop.photo.name].append(np.reshape(crop.eyes, (2, 2)))
    return found, time.perf_counter() - start


def is_at(eyes: np.ndarray, truth: np.ndarray) -> bool:
    return np.linalg.norm(eyes - truth, axis=1).max() <= _TOLERANCE * np.linalg.norm(truth[1] - truth[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", help="folder to write the photographs to; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos, folder = Path(options.photos or f"{folder}/photos"), Path(folder)
        photos.mkdir(parents=True, exist_ok=True)
        truth = compose(photos)
        largest, seconds = find(photos, folder / "largest", all_faces=False)
        every, seconds_every = find(photos, folder / "every", all_faces=True)

    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    false_largest = false_every = 0
    for name, (rows, faces) in truth.items():
        seen = every[name] if len(faces) > 1 else largest[name]
        for row in rows:
            counts[row][0] += sum(any(is_at(e, eyes) for e in seen) for eyes in faces)
            counts[row][1] += len(faces)
        false_largest += sum(not any(is_at(e, t) for t in faces) for e in largest[name])
        false_every += sum(not any(is_at(e, t) for t in faces) for e in every[name])

    def cell(key: str) -> str:
        return "{} of {}".format(*counts[key])

    print("| eye distance | " + " | ".join(f"{side} pixels" for side in SIDES) + " |")
    print("| ---: |" + " ---: |" * len(SIDES))
    for distance in EYE_DISTANCES:
        print(f"| {distance} | " + " | ".join(cell(f"{distance} {side}") for side in SIDES) + " |")
    for kind in ("border", "several"):
        print(f"| {kind} | " + " | ".join(cell(f"{kind} {side}") for side in SIDES) + " |")
    print("Rotated by " + ", ".join(f"{turn} degrees: {cell(f'turn {turn}')}" for turn in TURNS))
    print(
        f"False faces in {len(truth)} photographs: {false_largest} as the largest face, {false_every} among all faces"
    )
    times = [f"{1000 * spent / len(truth):.0f} ms" for spent in (seconds, seconds_every)]
    print(
        f"Time per photograph: {times[0]} for the largest face, {times[1]} for all faces, including reading and startup"
    )


if __name__ == "__main__":
    main()
