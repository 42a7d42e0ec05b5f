"""The demo page of the local server: a photograph in, the attributes of its largest face out.

    GET /              the page, demo.html: one file without a build step
    POST /demo/photo   a photograph, as the bytes of its file: the largest face is found and aligned
    POST /demo/crop    a crop that is aligned as CelebA's, as the bytes of its file

Both answer for the latest version of the first model:

    {"model": "farkeras", "version": 1, "procedural": false,
     "face": "data:image/png;base64,...",                       the aligned crop
     "groups": [{"name": "Hair", "region": "Hair",
                 "attributes": [{"name": "Bangs", "probability": 0.93}, ...]}, ...],            the likely ones first
     "masks": {"box": {"top": 0.1, "left": 0.0, "height": 0.8, "width": 1.0},                   fractions of the crop
               "regions": [{"name": "Hair", "color": "#56b4e9", "image": "data:image/png;base64,..."}, ...]}}

The alpha channel of a mask's image is the probability of the region; `masks` is null for a model that has none. Errors
are as REST's, {"error": "..."}. Nothing is stored, and the page connects only to the server that it comes from.
"""

import base64
import io
import json
import threading
from importlib.resources import files

import numpy as np
from grpc import StatusCode

from farkeras.attributes import REGIONS, region_of
from farkeras.clients.images import png
from farkeras.clients.names import METADATA_FILE
from farkeras.data.preprocessing import pixels_of
from farkeras.errors import FarkerasError
from farkeras.photos.crops import align_face
from farkeras.photos.pixels import UNREADABLE, opened
from farkeras.photos.reader import read_crop
from farkeras.photos.regions import COLORS
from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError, invalid
from farkeras.serving.loaded import LoadedVersion
from farkeras.serving.models import Models
from farkeras.wire.protos.serving_pb2 import ModelSpec

MAX_BYTES, MAX_PIXELS = 2**25, 2**26
"""Limits of a photograph's file and of its picture: 200 MB, and one picture is in memory at a time."""

_PHOTO = "The photo"


class Demo:
    """Answers the page; threads may share it."""

    def __init__(self, models: Models):
        self._models, self._one_at_a_time = models, threading.Lock()

    @staticmethod
    def page() -> bytes:
        """HTML, in UTF-8."""
        return files("farkeras.serving").joinpath("demo.html").read_bytes()

    def recognize(self, file: bytes, align: bool, deadline: Deadline) -> dict:
        """The answer, see above, about a crop's JPEG or PNG file; with `align` about a photograph that Pillow reads.

        Raises:
            RequestError: The image cannot be used, or the model is not one of farkeras.
        """
        if len(file) > MAX_BYTES:
            raise invalid(f"{_PHOTO} has {len(file):,} bytes; expected at most {MAX_BYTES:,}.")
        try:
            with self._one_at_a_time:
                _check_pixels(file)
                face = align_face(file) if align else read_crop(file)
        except FarkerasError as error:
            raise invalid(str(error)) from None
        model = next(iter(self._models))
        with model.use(ModelSpec()) as version:
            metadata = _metadata(version)
            encoded = png(face)
            (row,) = version.predict("", {"bytes": np.array([encoded], object)}, ["probabilities"], deadline)[
                "probabilities"
            ].tolist()
            probabilities = dict(zip(metadata["attributes"], row, strict=True))
            return {
                "model": model.name,
                "version": version.number,
                "procedural": metadata["procedural"],
                "face": _data_url(encoded),
                "groups": [_group(name, probabilities, members) for name, members in metadata["groups"].items()],
                "masks": _masks(version, face, metadata["preprocessing"]["crop"], deadline),
            }


def _check_pixels(file: bytes) -> None:
    """Raises for a picture that is too large, by its header; other errors are left to the reader of the image."""
    try:
        with opened(io.BytesIO(file)) as image:
            width, height = image.size
    except UNREADABLE:
        return
    if width * height > MAX_PIXELS:
        raise FarkerasError(f"{_PHOTO} has {width:,} x {height:,} pixels; expected at most {MAX_PIXELS:,} in all.")


def _metadata(version: LoadedVersion) -> dict:
    try:
        return json.loads((version.folder / METADATA_FILE).read_bytes())
    except OSError:
        raise RequestError(
            StatusCode.FAILED_PRECONDITION, f"The model has no {METADATA_FILE}; expected an export of farkeras."
        ) from None


def _group(name: str, probabilities: dict[str, float], members: list[str]) -> dict:
    likely_first = sorted(members, key=probabilities.__getitem__, reverse=True)
    attributes = [{"name": attribute, "probability": probabilities[attribute]} for attribute in likely_first]
    return {"name": name, "region": region_of(name), "attributes": attributes}


def _masks(version: LoadedVersion, face: np.ndarray, crop: list[float], deadline: Deadline) -> dict | None:
    if "masks" not in version.signatures:
        return None
    (masks,) = version.predict("masks", {"images": face[None]}, ["masks"], deadline)["masks"]
    height, width = face.shape[:2]
    top, left, bottom, right = pixels_of(crop, (height, width))
    return {
        "box": {
            "top": top / height,
            "left": left / width,
            "height": (bottom - top) / height,
            "width": (right - left) / width,
        },
        "regions": [
            {"name": region, "color": COLORS[region], "image": _data_url(_alpha(masks[..., number]))}
            for number, region in enumerate(REGIONS)
        ],
    }


def _alpha(mask: np.ndarray) -> bytes:
    alpha = np.rint(255 * mask).astype(np.uint8)
    return png(np.stack([np.full_like(alpha, 255), alpha], axis=-1))


def _data_url(png_file: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png_file).decode()
