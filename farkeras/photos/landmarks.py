"""Faces in photographs and their 478 landmarks.

One lookup of MediaPipe's Face Landmarker sees faces from about a tenth of a picture's longer side between the eyes. So
photographs are searched in levels: as a whole, then in tiles of a half, a quarter and an eighth of the longer side,
each overlapping its neighbours by a half; a panorama's longer side counts as twice the shorter one. What a lookup finds
is looked at again, alone and in full resolution, and once more mirrored: a face has its eyes at the same place, other
things that resemble a face do not. `benchmarks/face_recall.py` measures what this finds.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from farkeras.errors import FarkerasError
from farkeras.photos.face_landmarkers import find_meshes
from farkeras.photos.reader import check_pixels

EYES = (468, 473)
"""Iris centres among the landmarks; the subject's right eye, which an upright photograph shows on the left, first."""

FINDER = "mediapipe-0.10.31 face_landmarker-float16-1"
"""Names what finds landmarks; stored with key points, since another finder gives other ones."""

MIN_SIDE = 16
"""Least height and width in pixels of a photograph, and least width of a face."""

NO_FACE = "no face found; expected one that looks towards the camera and is at least 3 % of the photo's longer side."
"""What is said of a photograph without a face, after its name."""

_LEVELS = 4
_NEAR = 0.2
"""Width of a face, as a fraction of a tile's side, from which one lookup finds it and places its landmarks well."""

_SEARCHED_SIDE = 1024
"""In pixels; photographs whose largest tile has twice this side or more are searched in a smaller copy."""

_LEAST_TILE = 96
"""In pixels; smaller tiles show nothing that larger ones do not."""

_MESH_OFFSET = 0.5 * 1.5 / 256
"""How far right and down MediaPipe places the mesh, in widths of the face: half a pixel of the network's input.

The input is 256 pixels over 1.5 faces. By mirroring, 0.0019 for a photograph and 0.0032 for drawn faces, to the right.
"""

_MIRROR_TOLERANCE = 0.2
"""How far apart the eyes of a face and of its mirror image may lie, in eye distances.

On the photographs of `benchmarks/face_recall.py`: faces 0.09 at most, other things 0.28 at least.
"""


def find_face(image: np.ndarray, name: str = "The photo") -> np.ndarray | None:
    """The landmarks of the largest face in a photograph.

    Any number of threads may call this and `find_faces` at the same time.

    Args:
        image: `uint8` array `[height, width, 3]`, RGB, upright, at least 16 x 16 pixels.
        name: What errors call the photograph.

    Returns:
        `float32` array `[478, 2]`: x, y in pixels, whole numbers are pixel centres, in MediaPipe's order. None without
        a face.

    Raises:
        FarkerasError: Another kind of array, MediaPipe or its model file is missing, or MediaPipe fails.
    """
    faces: list[np.ndarray] = []
    for side, found in _search(image, name):
        faces = _merge(faces, found)
        if faces and _width(faces[0]) >= _NEAR * side:  # every larger one would have been found as well
            break
    return faces[0] if faces else None


def find_eyes(image: np.ndarray, name: str = "The photo") -> np.ndarray:
    """As `find_face`, the iris centres, by which `farkeras.photos.alignment.cut_crop` cuts its crop.

    Returns:
        `float32` array `[2, 2]`: x, y in pixels, the eye on the left of an upright photograph first.

    Raises:
        FarkerasError: As `find_face`, or the photograph has no face.
    """
    face = find_face(image, name)
    if face is None:
        raise FarkerasError(f"{name}: {NO_FACE}")
    return face[list(EYES)]


def find_faces(image: np.ndarray, name: str = "The photo") -> list[np.ndarray]:
    """As `find_face`, for all faces of the photograph, the largest first; an empty list without a face."""
    faces: list[np.ndarray] = []
    for _, found in _search(image, name):
        faces = _merge(faces, found)
    return faces


def _search(image: np.ndarray, name: str) -> Iterator[tuple[float, list[np.ndarray]]]:
    """Level by level, from near to distant faces: the side of a tile in pixels of the photograph, and its faces."""
    check_pixels(name, image, MIN_SIDE)
    factor = max(1, _largest_tile(image) // _SEARCHED_SIDE)
    searched = image if factor == 1 else np.asarray(Image.fromarray(image).reduce(factor))
    scale = np.divide(image.shape[1::-1], searched.shape[1::-1])
    for level in range(_LEVELS):
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
    """The side of the first level's tiles: one holds the whole photograph, unless that is a panorama."""
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
    """Where tiles begin that cover a length and overlap by at least a half."""
    steps = max(0, -(-2 * (length - side) // side))
    return [round(i * (length - side) / steps) for i in range(steps + 1)] if steps else [0]


def _look_again(image: np.ndarray, mesh: np.ndarray) -> np.ndarray | None:
    """The face in the part of the photograph that is twice as large as a mesh; None for what is no face."""
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
    """What one lookup finds, in pixels."""
    meshes = find_meshes(part) * part.shape[1::-1]  # MediaPipe, too, counts from the centre of the first pixel
    return [mesh - _MESH_OFFSET * _width(mesh) for mesh in meshes]


def _merge(faces: list[np.ndarray], found: list[np.ndarray]) -> list[np.ndarray]:
    """Both lists without the second copy of a face, the largest first."""
    faces = faces + [face for face in found if not any(_is_same_face(face, known) for known in faces)]
    return faces if len(faces) < 2 else sorted(faces, key=lambda face: np.ptp(face, axis=0).prod(), reverse=True)


def _width(face: np.ndarray) -> float:
    """The longer side of its box, which a quarter turn does not change."""
    (left, top), (right, bottom) = face.min(axis=0).tolist(), face.max(axis=0).tolist()
    return max(right - left, bottom - top)


def _is_same_face(face: np.ndarray, other: np.ndarray) -> bool:
    """Whether the centres lie less than half the smaller one's width apart."""
    apart = np.linalg.norm(face.mean(axis=0) - other.mean(axis=0))
    return apart < 0.5 * min(np.ptp(face[:, 0]), np.ptp(other[:, 0]))
