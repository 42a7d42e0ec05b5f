"""From a photograph to CelebA's aligned crop: 178 x 218 pixels, the eyes at fixed places.

Points are x, y in pixels; whole numbers are pixel centres, so (0, 0) is the centre of the top left
pixel.
"""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from farkeras.errors import FarkerasError

CROP_HEIGHT, CROP_WIDTH = 218, 178
CROP_EYES = ((69.0, 111.0), (108.0, 111.0))
"""Where CelebA's alignment puts the two pupils."""

NO_FACE = "no face found; expected one that looks towards the camera and is at least 4 % of the photo's longer side."
"""What is said of a photograph without a face, after its name."""

_MESH_OFFSET = 0.5 * 1.5 / 192
"""How far right and down the mesh lies, in widths of the face: half a pixel of the network's input.

The input is 192 pixels over 1.5 faces. Measured by mirroring a photograph at eight sizes.
"""

_IRIS_CENTRES = (
    468,
    473,
)  # in the mesh: the subject's right eye, which an upright image shows left


def similarity_from_eyes(eyes: Sequence, targets: Sequence = CROP_EYES) -> np.ndarray:
    """The rotation, scaling and shift that sends two eye centres to two targets.

    Args:
        eyes: `[2, 2]`, x, y of the eyes, the one that is on the left in the image first.
        targets: `[2, 2]`, where they go.

    Returns:
        `float64` matrix `[2, 3]`; `matrix @ (x, y, 1)` is the point in the target.

    Raises:
        FarkerasError: The eyes are less than a pixel apart.
    """
    left, right = np.asarray(eyes, np.float64) @ (1, 1j)  # a similarity is z -> turn * z + shift
    target_left, target_right = np.asarray(targets, np.float64) @ (1, 1j)
    if not abs(right - left) >= 1:
        raise FarkerasError("The two eyes lie less than one pixel apart; expected a larger face.")
    turn = (target_right - target_left) / (right - left)
    shift = target_left - turn * left
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def inverse(similarity: np.ndarray) -> np.ndarray:
    """The way back, from the target to the source of `similarity_from_eyes`: `float64` `[2, 3]` as well."""
    turn, shift = similarity[:, :2], similarity[:, 2:]
    back = turn.T / (turn[:, 0] @ turn[:, 0])  # a rotation times a scale; LAPACK would wake threads for it
    return np.column_stack([back, -back @ shift])


def align(image: np.ndarray, eyes: Sequence) -> np.ndarray:
    """Cuts CelebA's aligned crop out of a photograph.

    A face that is shrunk is filtered first, so fine detail does not alias. Where the crop reaches
    beyond the photograph, its edge pixels are repeated.

    Args:
        image: `uint8` array `[height, width, 3]`.
        eyes: `[2, 2]`, x, y of the pupils in pixels, the one that is on the left in the image
            first.

    Returns:
        `uint8` array `[218, 178, 3]` with the pupils at `CROP_EYES`.

    Raises:
        FarkerasError: The eyes are less than a pixel apart.
    """
    back, shift = np.split(inverse(similarity_from_eyes(eyes)), [2], axis=1)  # from crop to photograph
    scale = np.hypot(*back[:, 0])  # pixels of the photograph per pixel of the crop

    corners = np.array([(x, y) for x in (-0.5, CROP_WIDTH - 0.5) for y in (-0.5, CROP_HEIGHT - 0.5)])
    corners = corners @ back.T + shift.T
    margin = 3 * max(scale, 1)  # what the filters below look at around a pixel
    start = np.floor(corners.min(axis=0) - margin).astype(int)
    stop = np.ceil(corners.max(axis=0) + margin).astype(int)
    columns, rows = (np.clip(np.arange(start[axis], stop[axis]), 0, image.shape[1 - axis] - 1) for axis in (0, 1))
    patch = Image.fromarray(image[np.ix_(rows, columns)])

    full = np.array(patch.size)
    if scale > 1:
        patch = patch.resize(np.ceil(full / scale).astype(int), Image.Resampling.BICUBIC)
    # Pillow counts from the corner of the top left pixel, half a pixel before its centre.
    offset = back @ (-0.5, -0.5) + shift[:, 0] + 0.5 - start
    coefficients = np.column_stack([back, offset]) * (patch.size / full)[:, None]
    crop = patch.transform(
        (CROP_WIDTH, CROP_HEIGHT),
        Image.Transform.AFFINE,
        coefficients.ravel(),
        Image.Resampling.BICUBIC,
    )
    return np.array(crop)


class FaceAligner:
    """Finds the largest face of a photograph with MediaPipe Face Mesh and aligns it.

    Faces down to about 4 % of the photograph's longer side are found. Not safe to share between
    threads.

    Raises:
        FarkerasError: MediaPipe with its Face Mesh model is not installed.
    """

    def __init__(self):
        face_detection, face_mesh = _import_mediapipe()
        self._mesh = face_mesh.FaceMesh(static_image_mode=True, max_num_faces=5, refine_landmarks=True)
        self._distant_faces = face_detection.FaceDetection(model_selection=1)

    def landmarks(self, image: np.ndarray) -> np.ndarray | None:
        """The mesh of the largest face.

        Args:
            image: `uint8` array `[height, width, 3]`, RGB.

        Returns:
            `float32` array `[478, 2]`, x, y in pixels in MediaPipe's order, or None without a face.
        """
        if meshes := self._meshes(image):
            return meshes[0]
        # Face Mesh looks for faces as near as a selfie's; show it a part in which the face is.
        boxes = self._distant_boxes(image)
        meshes = self._meshes_around(image, boxes[0]) if boxes else []
        return meshes[0] if meshes else None

    def all_landmarks(self, image: np.ndarray) -> list[np.ndarray]:
        """The meshes of all faces, the largest first.

        Args:
            image: `uint8` array `[height, width, 3]`, RGB.

        Returns:
            Arrays as `landmarks` gives; none without a face.
        """
        meshes = self._meshes(image)
        for box in self._distant_boxes(image):
            centre = box.reshape(2, 2).mean(axis=0)
            around = self._meshes_around(image, box)  # those of its neighbours may be cut off
            nearest = min(around, key=lambda points: np.linalg.norm(points.mean(axis=0) - centre), default=None)
            if nearest is not None and not any(_is_same_face(nearest, points) for points in meshes):
                meshes.append(nearest)
        return sorted(meshes, key=_area, reverse=True)

    def eyes(self, image: np.ndarray) -> np.ndarray | None:
        """The iris centres of the largest face, by which `align` cuts its crop.

        Args:
            image: `uint8` array `[height, width, 3]`, RGB.

        Returns:
            `float32` array `[2, 2]`, x, y in pixels, the eye on the left of an upright image first, or None without a
            face.
        """
        points = self.landmarks(image)
        return None if points is None else points[list(_IRIS_CENTRES)]

    def all_eyes(self, image: np.ndarray) -> list[np.ndarray]:
        """The iris centres of all faces, the largest face first; arrays as `eyes` gives."""
        return [points[list(_IRIS_CENTRES)] for points in self.all_landmarks(image)]

    def crop(self, image: np.ndarray) -> np.ndarray | None:
        """The aligned crop of the largest face, by its iris centres.

        Args:
            image: `uint8` array `[height, width, 3]`, RGB.

        Returns:
            `uint8` array `[218, 178, 3]` as CelebA aligns it, or None without a face.
        """
        eyes = self.eyes(image)
        return None if eyes is None else align(image, eyes)

    def _meshes(self, image: np.ndarray) -> list[np.ndarray]:
        """Of near faces, at most five, the largest first; float32 `[478, 2]` each."""
        faces = self._mesh.process(np.ascontiguousarray(image)).multi_face_landmarks
        if not faces:
            return []
        points = np.array([[(p.x, p.y) for p in face.landmark] for face in faces])
        points *= image.shape[1::-1]  # MediaPipe, too, counts from the centre of the first pixel
        widths = np.ptp(points, axis=1)[:, :1, None]
        return sorted((points - _MESH_OFFSET * widths).astype(np.float32), key=_area, reverse=True)

    def _distant_boxes(self, image: np.ndarray) -> list[np.ndarray]:
        """Left, top, right, bottom of faces near and far in pixels, `[4]` each, the largest first."""
        detections = self._distant_faces.process(np.ascontiguousarray(image)).detections or []
        relative = [detection.location_data.relative_bounding_box for detection in detections]
        relative.sort(key=lambda box: box.width * box.height, reverse=True)
        height, width = image.shape[:2]
        return [
            np.array([box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height]) * (width, height, width, height)
            for box in relative
        ]

    def _meshes_around(self, image: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
        """As `_meshes`, of the part of the image that is twice the box in all."""
        corners = box.reshape(2, 2)
        centre, reach = corners.mean(axis=0), np.ptp(corners, axis=0).max()
        left, top = np.maximum(centre - reach, 0).astype(int)
        right, bottom = np.minimum(centre + reach, image.shape[1::-1]).astype(int)
        part = image[top:bottom, left:right]  # of no size where the box lies outside
        return [points + np.float32((left, top)) for points in self._meshes(part)] if part.size else []


def _area(points: np.ndarray) -> float:
    return np.ptp(points, axis=0).prod()


def _is_same_face(points: np.ndarray, other: np.ndarray) -> bool:
    """Whether the centres of two meshes lie less than half the smaller one's width apart."""
    apart = np.linalg.norm(points.mean(axis=0) - other.mean(axis=0))
    return apart < 0.5 * min(np.ptp(points[:, 0]), np.ptp(other[:, 0]))


def _import_mediapipe():
    # Most of its C++ logging obeys these; farkeras.native_logs silences the rest in a command.
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from mediapipe.python.solutions import face_detection, face_mesh
    except ImportError:
        raise FarkerasError(
            "Finding faces needs MediaPipe with its Face Mesh model: pip install farkeras[keypoints]."
        ) from None
    return face_detection, face_mesh
