"""Finds the file with the face finder's networks on this machine, or downloads it once.

The file is Google's Face Landmarker (Apache-2.0, 3.8 MB), which MediaPipe does not ship. It is read from the first of:

1. the path in the environment variable `FARKERAS_FACE_MODEL`;
2. `face_landmarker.task` in the user's cache folder for farkeras;
3. the address at which Google publishes it; the file is then stored in the cache folder, and the log says so.

Only the file with the expected SHA-256 is used, so that every machine finds the same landmarks.
"""

import hashlib
import logging
import os
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import platformdirs

from farkeras.errors import FarkerasError
from farkeras.files import as_path, written_aside

ADDRESS = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"
)
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
VARIABLE = "FARKERAS_FACE_MODEL"

_TIMEOUT = 30  # seconds without an answer


def cached_face_model() -> Path:
    """Returns the path of the model file in the user's cache folder; the file may not exist yet."""
    return platformdirs.user_cache_path("farkeras") / "face_landmarker.task"


def read_face_model() -> bytes:
    """Returns the content of the model file.

    Raises:
        FarkerasError: The file named by `FARKERAS_FACE_MODEL` cannot be read or is not the expected one; or the cache
            folder does not hold the file, and it cannot be downloaded.
    """
    if named := os.environ.get(VARIABLE):
        try:
            content = as_path(named).read_bytes()
        except OSError as error:
            raise FarkerasError(
                f"Cannot read the face model that {VARIABLE} names, {named} ({error.strerror}); set the variable to "
                "the path of face_landmarker.task, or unset it."
            ) from None
        if not is_face_model(content):
            raise FarkerasError(
                f"{named}, which {VARIABLE} names, is not the expected face model (its SHA-256 is "
                f"{hashlib.sha256(content).hexdigest()}, expected {SHA256}); set the variable to the path of the "
                f"file from {ADDRESS}."
            )
        return content
    path = cached_face_model()
    with suppress(OSError):
        if is_face_model(content := path.read_bytes()):
            return content
    return _download(path)  # the cache has no file, or a damaged one


def is_face_model(content: bytes) -> bool:
    """Returns whether `content` is that of the expected model file."""
    return hashlib.sha256(content).hexdigest() == SHA256


def _download(path: Path) -> bytes:
    logging.getLogger("farkeras").warning("Downloading the face model (3.8 MB, only once) from %s to %s", ADDRESS, path)
    ways_out = f"copy the file to {path}, or set {VARIABLE} to its path"
    try:
        with urllib.request.urlopen(ADDRESS, timeout=_TIMEOUT) as answer:
            content = answer.read()
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FarkerasError(
            f"Finding faces needs the face model, which cannot be downloaded from {ADDRESS} ({reason}); {ways_out}."
        ) from None
    if not is_face_model(content):
        raise FarkerasError(
            f"The file downloaded from {ADDRESS} is not the expected face model ({len(content):,} bytes, SHA-256 "
            f"{hashlib.sha256(content).hexdigest()}, expected {SHA256}); {ways_out}."
        )
    try:
        with written_aside(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise FarkerasError(f"Cannot write the face model to {path} ({error.strerror}); {ways_out}.") from None
    return content
