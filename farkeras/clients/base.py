"""The base class of the clients: images in, answers out."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Self

import numpy as np

from farkeras.clients.answers import Answer, Outputs, VersionStatus, answers_to, inputs_of
from farkeras.clients.errors import ServingError
from farkeras.clients.images import File, in_requests, read_files
from farkeras.clients.names import Names
from farkeras.clients.settings import Settings
from farkeras.photos.reader import Photo

POLL_SECONDS = 0.2


class Client(ABC):
    """A client that waits for its answers; threads may share it. `with` closes it.

    Attributes:
        address: Address of the server.
        settings: Settings of all requests.
    """

    address: str
    settings: Settings

    @cached_property
    def names(self) -> Names:
        """The attributes of the model and their groups; raises as `read_names`."""
        return self.read_names()

    @abstractmethod
    def read_names(self) -> Names:
        """The attributes of the model and their groups, without a memory of earlier answers."""

    @abstractmethod
    def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        """Sends one request as it is.

        Args:
            inputs: Input name -> array; strings as `object` arrays of `bytes`.
            signature: Name of a signature.

        Raises:
            ServingError: It failed.
        """

    @abstractmethod
    def status(self) -> list[VersionStatus]:
        """The versions of the model that the server knows, the highest first; the request is not repeated.

        Raises:
            ServingError: It has no such model, or cannot be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends the connection."""

    def recognize(self, photos: Photo | Iterable[Photo], align: bool = False) -> list[Answer]:
        """Recognises the attributes of faces.

        Args:
            photos: One or several crops that are aligned as CelebA's (`farkeras.align_face`): paths, open files or
                their bytes, Pillow images, or `uint8` arrays or tensors `[height, width, 3]`, RGB. An image is turned
                upright by its EXIF orientation.
            align: Whether they are photographs instead: the largest face of each is found and aligned here, with
                MediaPipe (`pip install 'farkeras[keypoints]'`).

        Returns:
            For each image, probabilities by name or an error; an unreadable image does not affect the others.

        Raises:
            ServingError: A request failed.
        """
        return list(self.recognize_each(photos, align))

    def recognize_each(self, photos: Photo | Iterable[Photo], align: bool = False) -> Iterator[Answer]:
        """As `recognize`, request by request: images are read when their request is made."""
        names = self.names
        for files in in_requests(read_files(photos, align), self.settings.max_images, self.settings.max_bytes):
            yield from answers_to(files, self._ask(files), names)

    def wait_until_ready(self, seconds: float) -> None:
        """Returns as soon as a version is AVAILABLE, the one in the settings if they name one.

        Raises:
            ServingError: No version is AVAILABLE after so many seconds; the message gives the reason.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                return require_ready(self.address, self.settings, self.status())
            except ServingError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def _ask(self, files: Sequence[File]) -> Outputs | ServingError | None:
        if all(file.error for file in files):
            return None
        try:
            return self.predict(inputs_of(files))
        except ServingError as error:
            return error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def require_ready(address: str, settings: Settings, versions: Sequence[VersionStatus]) -> None:
    """Raises `ServingError` unless a version can answer, the one in the settings if they name one."""
    if any(v.state == "AVAILABLE" and settings.version in (None, v.version) for v in versions):
        return
    known = ", ".join(f"{v.version} {v.state} {v.error}".strip() for v in versions) or "none"
    raise ServingError(address, "UNAVAILABLE", f"no version of {settings.model} is ready; versions: {known}")
