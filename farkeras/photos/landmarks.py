"""Finds faces in photographs, with 478 landmarks each.

One lookup of MediaPipe's Face Landmarker finds faces whose eyes are at least about a tenth of the image's longer side
apart. Photographs are therefore searched in levels: as a whole, then in tiles of a half, a quarter and an eighth of the
longer side, each overlapping its neighbours by a half. In a panorama, twice the shorter side takes the place of the
longer one. Each candidate is examined again, alone and in full resolution, and once more mirrored: a face has its eyes
at the same positions in both, and other things that resemble a face do not. `benchmarks/face_recall.py` measures how
many faces this search finds.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from farkeras.errors import FarkerasError
from farkeras.photos.face_landmarkers import find_meshes
from farkeras.photos.reader import check_pixels

EYES = (468, 473)
"""Landmarks of the two iris centres; the subject's right eye, on the left of an upright photograph, comes first."""

FINDER = "mediapipe-0.10.31 face_landmarker-float16-1"
"""Name of the face finder; it is stored with keypoints, because another finder gives different ones."""

MIN_SIDE = 16
"""Minimum height and width of a photograph, and minimum width of a face, in pixels."""

NO_FACE = "no face found; expected one that looks towards the camera and spans at least 3 % of the photo's longer side."
"""Error message for a photograph without a face; it follows the photograph's name."""

LEVELS = 4
"""Number of levels in which a photograph is searched."""

_NEAR = 0.2
"""Minimum width of a face, as a fraction of a tile's side, at which one lookup places its landmarks accurately."""

_SEARCHED_SIDE = 1024
"""A side in pixels; photographs whose largest tile has at least twice this side are searched in a smaller copy."""

_LEAST_TILE = 96
"""Minimum side of a tile in pixels; smaller tiles show no faces that larger ones miss."""

_MESH_OFFSET = 0.5 * 1.5 / 256
"""Offset of MediaPipe's mesh to the right and down, in face widths: half a pixel of the network's input.

The input shows 1.5 face widths in 256 pixels. Measured by mirroring, the offset to the right is 0.0019 for a photograph
and 0.0032 for procedural faces.
"""

_MIRROR_TOLERANCE = 0.2
"""Maximum distance between the eyes of a face and those of its mirror image, in units of the eye distance.

On the photographs of `benchmarks/face_recall.py`, faces have at most 0.09 and other objects at least 0.28.
"""


def find_face(image: np.ndarray, name: str = "The photo", levels: int = LEVELS) -> np.ndarray | None:
    """Finds the landmarks of the largest face in a photograph.

    Any number of threads may call this function and `find_faces` at the same time.

    Args:
        image: `uint8` array `[height, width, 3]`, RGB, upright, at least 16 x 16 pixels.
        name: Name of the photograph in error messages.
        levels: Number of levels to search. 1 searches the photograph as a whole, but not its tiles: enough for a crop
            of a face.

    Returns:
        `float32` array `[478, 2]` in MediaPipe's order: `x, y` in pixels, where whole numbers are pixel centres. None
        if the photograph has no face.

    Raises:
        FarkerasError: The array has another dtype or shape, MediaPipe or its model file is missing, or MediaPipe fails.
    """
    faces: list[np.ndarray] = []
    for side, found in _search(image, name, levels):
        faces = _merge(faces, found)
        if faces and _width(faces[0]) >= _NEAR * side:  # any larger face would have been found by now
            break
    return faces[0] if faces else None


def find_eyes(image: np.ndarray, name: str = "The photo") -> np.ndarray:
    """Finds the iris centres of the largest face, which `farkeras.photos.alignment.cut_crop` needs.

    Args:
        image: The photograph, as for `find_face`.
        name: Name of the photograph in error messages.

    Returns:
        `float32` array `[2, 2]`: `x, y` in pixels, the eye on the left of an upright photograph first.

    Raises:
        FarkerasError: The photograph has no face, or for the reasons of `find_face`.
    """
    face = find_face(image, name)
    if face is None:
        raise FarkerasError(f"{name}: {NO_FACE}")
    return face[list(EYES)]


def find_faces(image: np.ndarray, name: str = "The photo") -> list[np.ndarray]:
    """Finds the landmarks of all faces in a photograph.

    Args:
        image: The photograph, as for `find_face`.
        name: Name of the photograph in error messages.

    Returns:
        A `float32` array `[478, 2]` for each face, as from `find_face`, the largest face first; an empty list if the
        photograph has no face.

    Raises:
        FarkerasError: For the reasons of `find_face`.
    """
    faces: list[np.ndarray] = []
    for _, found in _search(image, name):
        faces = _merge(faces, found)
    return faces


def _search(image: np.ndarray, name: str, levels: int = LEVELS) -> Iterator[tuple[float, list[np.ndarray]]]:
    """Yields, level by level from near to distant faces, the tiles' side in pixels of the photograph, and the faces."""
    check_pixels(name, image, MIN_SIDE)
    factor = max(1, _largest_tile(image) // _SEARCHED_SIDE)
    searched = image if factor == 1 else np.asarray(Image.fromarray(image).reduce(factor))
    scale = np.divide(image.shape[1::-1], searched.shape[1::-1])
    for level in range(levels):
        side = _largest_tile(searched) >> level
        if level and side < _LEAST_TILE:
            return
        faces: list[np.ndarray] = []
        for mesh in sorted(_meshes_in_tiles(searched, side), key=_width, reverse=True):
            if factor > 1:
                mesh = (mesh + 0.5) * scale - 0.5
            if any(_is_same_face(mesh, face) for face in faces):
                continue
            if side >= max(searched.shape[:2]) and _width(mesh) >= _NEAR * side * factor:
                faces.append(mesh)
            elif (face := _look_again(image, mesh)) is not None:
                faces.append(face)
        yield side * factor, [face.astype(np.float32) for face in faces]


def _largest_tile(image: np.ndarray) -> int:
    """Returns the side of the first level's tiles; one tile holds the whole photograph, except for a panorama."""
    shorter, longer = sorted(image.shape[:2])
    return min(longer, max(2 * shorter, _LEAST_TILE))


def _meshes_in_tiles(image: np.ndarray, side: int) -> list[np.ndarray]:
    height, width = image.shape[:2]
    corners = [(left, top) for top in _starts(height, side) for left in _starts(width, side)]
    return [
        np.add(mesh, (left, top))
        for left, top in corners
        for mesh in _meshes(image[top : top + side, left : left + side])
    ]


def _starts(length: int, side: int) -> list[int]:
    """Returns the start positions of tiles that cover a length and overlap by at least a half."""
    steps = max(0, -(-2 * (length - side) // side))
    return [round(i * (length - side) / steps) for i in range(steps + 1)] if steps else [0]


def _look_again(image: np.ndarray, mesh: np.ndarray) -> np.ndarray | None:
    """Searches the part of the photograph twice as large as a mesh, and returns the face, or None if there is none."""
    start, end = mesh.min(axis=0), mesh.max(axis=0)
    centre, reach = (start + end) / 2, (end - start).max()
    left, top = np.maximum(centre - reach, 0).astype(int)
    right, bottom = np.minimum(centre + reach, image.shape[1::-1]).astype(int)
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < MIN_SIDE:
        return None
    expected = (mesh - (left, top)).mean(axis=0)
    face = min(_meshes(part), key=lambda found: np.linalg.norm(found.mean(axis=0) - expected), default=None)
    if face is None or _width(face) < MIN_SIDE:
        return None
    eyes = face[list(EYES)]
    tolerance = _MIRROR_TOLERANCE * np.linalg.norm(eyes[1] - eyes[0])
    for mirrored in _meshes(part[:, ::-1]):
        same_eyes = mirrored[list(EYES[::-1])] * (-1, 1) + (part.shape[1] - 1, 0)
        if np.linalg.norm(same_eyes - eyes, axis=1).max() <= tolerance:
            return np.add(face, (left, top))
    return None


def _meshes(part: np.ndarray) -> list[np.ndarray]:
    """Finds meshes in one lookup, in pixels of the part."""
    meshes = find_meshes(part) * part.shape[1::-1]  # MediaPipe also counts from the centre of the first pixel
    return [mesh - _MESH_OFFSET * _width(mesh) for mesh in meshes]


def _merge(faces: list[np.ndarray], found: list[np.ndarray]) -> list[np.ndarray]:
    """Joins two lists of faces without duplicates, the largest face first."""
    faces = faces + [face for face in found if not any(_is_same_face(face, known) for known in faces)]
    return faces if len(faces) < 2 else sorted(faces, key=lambda face: np.ptp(face, axis=0).prod(), reverse=True)


def _width(face: np.ndarray) -> float:
    """Returns the longer side of the face's bounding box, which a quarter turn does not change."""
    (left, top), (right, bottom) = face.min(axis=0).tolist(), face.max(axis=0).tolist()
    return max(right - left, bottom - top)


def _is_same_face(face: np.ndarray, other: np.ndarray) -> bool:
    """Returns whether the centres of two faces are less than half the smaller face's width apart."""
    apart = np.linalg.norm(face.mean(axis=0) - other.mean(axis=0))
    return apart < 0.5 * min(np.ptp(face[:, 0]), np.ptp(other[:, 0]))
