"""The process's pool of MediaPipe Face Landmarkers; any number of threads may share it.

A landmarker is a native graph with three threads of its own and about 32 MB. The pool creates a landmarker when all
existing ones are busy, up to `POOL_SIZE`, and lends each to one thread at a time, so a thread that ends leaves nothing
behind. A landmarker that fails is closed and replaced. A forked child process starts with an empty pool, because a fork
does not copy native threads.

farkeras uses MediaPipe 0.10.31 because it is the last version that we saw open no network connection; versions from
1.0 send usage metrics to Google. `import mediapipe` also imports TensorFlow if it is installed, only for a decorator of
its documentation; `farkeras.photos.face_processes` prevents this import in worker processes.
"""

import atexit
import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from farkeras.errors import FarkerasError
from farkeras.native_logs import without_native_logs
from farkeras.photos.face_model import read_face_model

if TYPE_CHECKING:
    from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarker

NUM_LANDMARKS = 478

POOL_SIZE = min(4, os.cpu_count() or 1)
"""Maximum number of landmarkers in a process; each keeps one processor busy."""

_NO_MEDIAPIPE = "Finding faces needs MediaPipe: pip install 'farkeras[keypoints]'."

_MAX_FACES = 5
"""Maximum number of faces per lookup. With a maximum of one, MediaPipe may return the smaller of two faces."""


def find_meshes(image: np.ndarray) -> np.ndarray:
    """Finds faces in one lookup: those whose eyes are at least about a tenth of the image's longer side apart.

    Any number of threads may call this function at the same time; each result is bit for bit that of a single thread.

    Args:
        image: `uint8` array `[height, width, 3]`, RGB, not empty.

    Returns:
        `float64` array `[faces, 478, 2]` with at most five faces: `x, y` as fractions of the image's width and height.

    Raises:
        FarkerasError: MediaPipe or its model file is missing, or MediaPipe fails.
    """
    pixels = np.ascontiguousarray(image)  # MediaPipe misreads other arrays without an error
    with _pool.lend() as landmarker:
        return _detect(landmarker, pixels)


def _detect(landmarker: "FaceLandmarker", pixels: np.ndarray) -> np.ndarray:
    """Does the same as `landmarker.detect` without a Python object for each landmark, in 10 % less time."""
    from mediapipe import Image, ImageFormat
    from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarkerResultC

    image, result = Image(ImageFormat.SRGB, pixels), FaceLandmarkerResultC()
    landmarker._lib.MpFaceLandmarkerDetectImage(landmarker._handle, image._image_ptr, None, ctypes.byref(result))
    try:
        faces = np.zeros((result.face_landmarks_count, NUM_LANDMARKS, 2))
        for face, found in zip(faces, result.face_landmarks[: len(faces)], strict=True):
            landmarks = ctypes.cast(found.landmarks, ctypes.POINTER(type(found.landmarks.contents) * NUM_LANDMARKS))
            numbers = np.frombuffer(landmarks.contents, np.uint8).reshape(NUM_LANDMARKS, -1)
            face[:] = numbers[:, :8].copy().view(np.float32)  # x and y, the first two of each landmark
        return faces
    finally:
        landmarker._lib.MpFaceLandmarkerCloseResult(ctypes.byref(result))


def load_face_finder() -> None:
    """Makes sure that faces can be found; otherwise raises a `FarkerasError` that says what is missing."""
    with _pool.lend():
        pass


def check_face_finder() -> None:
    """Does the same as `load_face_finder` without importing MediaPipe, for the parent of worker processes.

    A missing model file is downloaded.
    """
    if find_spec("mediapipe") is None:
        raise FarkerasError(_NO_MEDIAPIPE)
    read_face_model()


class _Pool:
    def __init__(self) -> None:
        # The landmarker returned last is lent first, so a single thread always uses the same one.
        self._idle: list[FaceLandmarker] = []
        self._places = threading.BoundedSemaphore(POOL_SIZE)
        self._making = threading.Lock()

    @contextmanager
    def lend(self) -> Iterator["FaceLandmarker"]:
        with self._places:
            try:
                landmarker = self._idle.pop()
            except IndexError:
                with self._making:
                    landmarker = _make_landmarker()
            try:
                yield landmarker
            except BaseException as error:
                # Ctrl-C may arrive during the native call. Closing waits until the call ends; until then the error's
                # traceback keeps alive the memory that the call writes to.
                _close(landmarker)
                if isinstance(error, RuntimeError | ValueError):  # what MediaPipe raises
                    raise FarkerasError(f"MediaPipe failed to look for faces ({error}); try again.") from error
                raise
            self._idle.append(landmarker)


def _make_landmarker() -> "FaceLandmarker":
    with without_native_logs():
        try:
            from mediapipe.tasks.python.core.base_options import BaseOptions
            from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarker, FaceLandmarkerOptions
        except ImportError:
            raise FarkerasError(_NO_MEDIAPIPE) from None
    content = read_face_model()
    with without_native_logs():
        options = FaceLandmarkerOptions(base_options=BaseOptions(model_asset_buffer=content), num_faces=_MAX_FACES)
        try:
            landmarker = FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:  # for example because Python is shutting down
            raise FarkerasError(f"MediaPipe cannot start looking for faces ({error}); try again.") from error
    # The process frees everything when it ends. At that point a landmarker would try to close itself through a thread
    # that no longer exists, and would report an error; without a handle it does nothing.
    atexit.register(setattr, landmarker, "_handle", None)
    return landmarker


def _close(landmarker: "FaceLandmarker") -> None:
    try:
        landmarker.close()
    except RuntimeError:  # Python is shutting down, and with it the landmarker's thread
        landmarker._handle = None


def _start_anew() -> None:
    """Empties the pool in a forked child process, where a call to a landmarker of the parent would never return."""
    global _pool
    for landmarker in _pool._idle:
        landmarker._handle = None
    _pool = _Pool()


_pool = _Pool()
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_start_anew)
