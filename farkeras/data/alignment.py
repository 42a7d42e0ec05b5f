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
    back = np.linalg.inv(similarity[:, :2])
    return np.column_stack([back, -back @ similarity[:, 2]])


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
    scale = np.sqrt(np.linalg.det(back))  # pixels of the photograph per pixel of the crop

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
        points = self._largest_mesh(image)
        if points is None and (corner := self._around_distant_face(image)):
            # Face Mesh looks for faces as near as a selfie's; show it a part in which the face is.
            left, top, right, bottom = corner
            points = self._largest_mesh(image[top:bottom, left:right])
            if points is not None:
                points += (left, top)
        return points

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

    def crop(self, image: np.ndarray) -> np.ndarray | None:
        """The aligned crop of the largest face, by its iris centres.

        Args:
            image: `uint8` array `[height, width, 3]`, RGB.

        Returns:
            `uint8` array `[218, 178, 3]` as CelebA aligns it, or None without a face.
        """
        eyes = self.eyes(image)
        return None if eyes is None else align(image, eyes)

    def _largest_mesh(self, image: np.ndarray) -> np.ndarray | None:
        faces = self._mesh.process(np.ascontiguousarray(image)).multi_face_landmarks
        if not faces:
            return None
        points = np.array([[(p.x, p.y) for p in face.landmark] for face in faces])
        points *= image.shape[1::-1]  # MediaPipe, too, counts from the centre of the first pixel
        extents = np.ptp(points, axis=1)
        largest = extents.prod(axis=1).argmax()
        return (points[largest] - _MESH_OFFSET * extents[largest, 0]).astype(np.float32)

    def _around_distant_face(self, image: np.ndarray) -> tuple[int, int, int, int] | None:
        detections = self._distant_faces.process(np.ascontiguousarray(image)).detections
        if not detections:
            return None
        boxes = [detection.location_data.relative_bounding_box for detection in detections]
        box = max(boxes, key=lambda box: box.width * box.height)
        height, width = image.shape[:2]
        centre = np.array([(box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height])
        reach = max(box.width * width, box.height * height)  # twice the face in all
        left, top = np.maximum(centre - reach, 0).astype(int)
        right, bottom = np.minimum(centre + reach, (width, height)).astype(int)
        return left, top, right, bottom


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
