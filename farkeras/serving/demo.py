"""The demo page of the local server: shows the attributes of the faces in a photograph.

    GET /                   the page: demo.html with demo.css and demo.js inside, without a build step
    GET /demo/example.jpg   the example photograph, whose source is in example.txt
    GET /demo/model         the model that answers
    POST /demo/photo        a photograph, as the bytes of its file: all faces are found and aligned
    POST /demo/crop         an aligned crop like CelebA's, as the bytes of its file: it is one face

The latest version of the first model answers. `GET /demo/model` returns

    {"model": "farkeras", "version": 1, "procedural": false,         whether it learned from procedural faces
     "groups": [{"name": "Hair", "attributes": ["Bald", ...]}, ...]}

and both POST requests return

    {"model": "farkeras", "version": 1, "procedural": false,
     "photo": {"width": 512, "height": 512},       the upright photograph in pixels; null for a crop
     "found": 2,                                   number of faces found; `faces` has the `MAX_FACES` largest of them
     "faces": [{                                                                           the largest face first
        "frame": {"left": 0.3, "top": 0.1, "width": 0.2, "height": 0.2},   fractions of the photograph; null for a crop
        "image": "data:image/png;base64,...",                                              the aligned crop
        "groups": [{"name": "Hair", "region": "Hair",
                    "attributes": [{"name": "Bangs", "probability": 0.93,                  the most probable first
                                    "threshold": 0.41, "positive": true}, ...]}, ...],     positive: from the threshold
        "masks": {"box": {"left": 0.0, "top": 0.1, "width": 1.0, "height": 0.8},           fractions of the crop
                  "regions": [{"name": "Hair", "color": "#56b4e9", "image": "data:image/png;base64,..."}, ...]}}, ...]}

The alpha channel of a mask's image is the probability of the region; `masks` is null for a model without masks. Errors
have REST's form, {"error": "..."}. The server stores nothing, and the page connects only to the server that sent it.
"""

import base64
import io
import json
import threading
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from grpc import StatusCode

from farkeras.attributes import REGIONS, region_of
from farkeras.clients.images import png
from farkeras.clients.names import METADATA_FILE
from farkeras.data.preprocessing import pixels_of
from farkeras.decisions import decide, thresholds_of
from farkeras.errors import FarkerasError
from farkeras.photos.alignment import cut_crop
from farkeras.photos.landmarks import EYES, NO_FACE, find_faces
from farkeras.photos.pixels import UNREADABLE, opened
from farkeras.photos.reader import read_crop, read_photo
from farkeras.photos.regions import COLORS
from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError, invalid
from farkeras.serving.loaded import LoadedVersion
from farkeras.serving.models import Models
from farkeras.wire.protos.serving_pb2 import ModelSpec

MAX_BYTES, MAX_PIXELS = 2**25, 2**26
"""Limits of a photograph's file size in bytes and of its pixels.

A photograph of the largest size needs 200 MB of memory, and the server decodes one photograph at a time.
"""

MAX_FACES = 16
"""Most faces of a photograph that the model sees, in one batch. `serving/batching.config` admits batches of 32."""

_PHOTO = "The photo"


class Demo:
    """Answers to the requests of the demo page; threads may share it."""

    def __init__(self, models: Models):
        self._models, self._one_at_a_time = models, threading.Lock()

    @staticmethod
    def page() -> bytes:
        """Returns the HTML, in UTF-8, with the style sheet and the script inside."""
        page = _file("demo.html")
        for part in ("demo.css", "demo.js"):
            page = page.replace(f"/* {part} */".encode(), _file(part))
        return page

    @staticmethod
    def example() -> bytes:
        """Returns the example photograph, a JPEG file."""
        return _file("example.jpg")

    def describe(self) -> dict:
        """Returns the answer to `GET /demo/model`, see the module's docstring.

        Raises:
            RequestError: The model is not an export of farkeras.
        """
        model = next(iter(self._models))
        with model.use(ModelSpec()) as version:
            metadata = _metadata(version)
        return {
            "model": model.name,
            "version": version.number,
            "procedural": metadata["procedural"],
            "groups": [{"name": name, "attributes": members} for name, members in metadata["groups"].items()],
        }

    def recognize(self, file: bytes, align: bool, deadline: Deadline) -> dict:
        """Returns the answer to `POST /demo/photo` and `POST /demo/crop`, see the module's docstring.

        Args:
            file: Content of an image file: of a photograph in a format that Pillow reads, or of a crop as JPEG or PNG.
            align: Whether the image is a photograph, whose faces are found and aligned.
            deadline: Time limit of the request.

        Raises:
            RequestError: The image cannot be used, the model is not an export of farkeras, or the deadline passed.
        """
        if len(file) > MAX_BYTES:
            raise invalid(f"{_PHOTO} has {len(file):,} bytes; expected at most {MAX_BYTES:,}.")
        if not self._one_at_a_time.acquire(timeout=-1 if (left := deadline.left()) is None else left):
            raise Deadline.exceeded()
        try:
            _check_pixels(file)
            photo, found, frames, crops = _faces(file) if align else (None, 1, [None], [read_crop(file)])
        except FarkerasError as error:
            raise invalid(str(error)) from None
        finally:
            self._one_at_a_time.release()
        model = next(iter(self._models))
        with model.use(ModelSpec()) as version:
            metadata = _metadata(version)
            images = [png(crop) for crop in crops]
            outputs = version.predict("", {"bytes": np.array(images, object)}, ["probabilities"], deadline)
            masks = _masks(version, crops, metadata["preprocessing"]["crop"], deadline)
            return {
                "model": model.name,
                "version": version.number,
                "procedural": metadata["procedural"],
                "photo": photo,
                "found": found,
                "faces": [
                    {
                        "frame": frame,
                        "image": _data_url(image),
                        "groups": _groups(metadata, row),
                        "masks": face_masks,
                    }
                    for frame, image, row, face_masks in zip(
                        frames, images, outputs["probabilities"].tolist(), masks, strict=True
                    )
                ],
            }


def _file(name: str) -> bytes:
    return files("farkeras.serving").joinpath(name).read_bytes()


def _check_pixels(file: bytes) -> None:
    """Raises an error if the header of an image names too many pixels; the reader raises all other errors."""
    try:
        with opened(io.BytesIO(file)) as image:
            width, height = image.size
    except UNREADABLE:
        return
    if width * height > MAX_PIXELS:
        raise FarkerasError(f"{_PHOTO} has {width:,} x {height:,} pixels; expected at most {MAX_PIXELS:,} in all.")


def _faces(file: bytes) -> tuple[dict[str, int], int, list[dict[str, float]], list[np.ndarray]]:
    """Returns the size of a photograph, the number of its faces, and the frames and crops of the largest ones."""
    image = read_photo(file)
    found = find_faces(image)
    if not found:
        raise FarkerasError(f"{_PHOTO}: {NO_FACE}")
    height, width = image.shape[:2]
    frames = []
    for face in found[:MAX_FACES]:
        # Whole numbers of landmarks are pixel centres. A face may reach beyond the photograph.
        start, end = np.clip([face.min(axis=0) + 0.5, face.max(axis=0) + 0.5], 0, (width, height)).tolist()
        frames.append(_box(start, end, width, height))
    crops = [cut_crop(image, face[list(EYES)]) for face in found[:MAX_FACES]]
    return {"width": width, "height": height}, len(found), frames, crops


def _box(start: Sequence[float], end: Sequence[float], width: int, height: int) -> dict[str, float]:
    """Returns a box from its corners (x, y) in pixels, as fractions of an image."""
    (left, top), (right, bottom) = start, end
    return {
        "left": left / width,
        "top": top / height,
        "width": (right - left) / width,
        "height": (bottom - top) / height,
    }


def _metadata(version: LoadedVersion) -> dict:
    try:
        return json.loads((version.folder / METADATA_FILE).read_bytes())
    except OSError:
        raise RequestError(
            StatusCode.FAILED_PRECONDITION, f"The model has no {METADATA_FILE}; expected an export of farkeras."
        ) from None


def _groups(metadata: dict, row: list[float]) -> list[dict]:
    """Returns the groups with their attributes, the most probable attribute first."""
    probabilities = dict(zip(metadata["attributes"], row, strict=True))
    thresholds = thresholds_of(metadata["attributes"], metadata.get("calibration"))
    decisions = decide(probabilities, thresholds)
    return [
        {
            "name": name,
            "region": region_of(name),
            "attributes": [
                {
                    "name": attribute,
                    "probability": probabilities[attribute],
                    "threshold": thresholds[attribute],
                    "positive": decisions[attribute],
                }
                for attribute in sorted(members, key=probabilities.__getitem__, reverse=True)
            ],
        }
        for name, members in metadata["groups"].items()
    ]


def _masks(
    version: LoadedVersion, crops: Sequence[np.ndarray], crop: list[float], deadline: Deadline
) -> list[dict | None]:
    """Returns the masks of each face; None for each where the model has no masks."""
    if "masks" not in version.signatures:
        return [None] * len(crops)
    height, width = crops[0].shape[:2]
    top, left, bottom, right = pixels_of(crop, (height, width))
    box = _box((left, top), (right, bottom), width, height)
    predicted = version.predict("masks", {"images": np.stack(crops)}, ["masks"], deadline)["masks"]
    return [
        {
            "box": box,
            "regions": [
                {"name": region, "color": COLORS[region], "image": _data_url(_alpha(masks[..., number]))}
                for number, region in enumerate(REGIONS)
            ],
        }
        for masks in predicted
    ]


def _alpha(mask: np.ndarray) -> bytes:
    alpha = np.rint(255 * mask).astype(np.uint8)
    return png(np.stack([np.full_like(alpha, 255), alpha], axis=-1))


def _data_url(png_file: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png_file).decode()
