"""Base class of the clients, which turn images into answers."""

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
from farkeras.consistency.answers import Consistency
from farkeras.decisions import check_share
from farkeras.photos.reader import Photo

POLL_SECONDS = 0.2


class Client(ABC):
    """A client that waits for each answer. Threads may share a client; `with` closes it.

    Attributes:
        address: Address of the server.
        settings: Settings of all requests.
    """

    address: str
    settings: Settings

    @cached_property
    def names(self) -> Names:
        """Attributes of the model and their groups, read once by `read_names`."""
        return self.read_names()

    @abstractmethod
    def read_names(self) -> Names:
        """Reads the attributes of the model and their groups; `names` keeps the result."""

    @abstractmethod
    def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        """Sends one request and returns the outputs of the model.

        Args:
            inputs: Input name -> array. A string tensor is an `object` array of `bytes`.
            signature: Name of a signature of the model.

        Raises:
            ServingError: The request failed.
        """

    @abstractmethod
    def status(self) -> list[VersionStatus]:
        """Returns the versions of the model that the server knows, highest first. The request is not repeated.

        Raises:
            ServingError: The server does not have the model, or cannot be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the connection."""

    def recognize(
        self,
        photos: Photo | Iterable[Photo],
        align: bool = False,
        min_confidence: float = 0.0,
        consistency: Consistency | None = None,
    ) -> list[Answer]:
        """Recognises the attributes of faces.

        Args:
            photos: One or several crops that are aligned as in CelebA (`farkeras.align_face`): paths, open files or
                their bytes, Pillow images, or `uint8` arrays or tensors `[height, width, 3]`, RGB. An image is turned
                upright by its EXIF orientation.
            align: Whether `photos` are photographs instead of crops. The client then finds and aligns the largest face
                of each photograph with MediaPipe (`pip install 'farkeras[keypoints]'`).
            min_confidence: The lowest confidence of an answer, 0..1; below it, the answer is unsure. The confidence is
                0.5 at the attribute's threshold, so that every answer is given up to 0.5.
            consistency: `farkeras.Consistency(client.names.attributes)`, to answer without contradictions; by default
                each attribute is decided alone.

        Returns:
            For each image, probabilities and decisions by attribute name or an error. An unreadable image does not
            affect the others.

        Raises:
            ServingError: A request failed.
            FarkerasError: `min_confidence` is not in 0..1.
        """
        return list(self.recognize_each(photos, align, min_confidence, consistency))

    def recognize_each(
        self,
        photos: Photo | Iterable[Photo],
        align: bool = False,
        min_confidence: float = 0.0,
        consistency: Consistency | None = None,
    ) -> Iterator[Answer]:
        """Yields the answers of `recognize` request by request. Images are read when their request is made."""
        check_share("min_confidence", min_confidence)
        names = self.names
        for files in in_requests(read_files(photos, align), self.settings.max_images, self.settings.max_bytes):
            yield from answers_to(files, self._ask(files), names, min_confidence, consistency)

    def wait_until_ready(self, seconds: float) -> None:
        """Waits until a version is AVAILABLE: the version in the settings, or any version if they name none.

        Args:
            seconds: Longest time to wait.

        Raises:
            ServingError: The version is not AVAILABLE after this time. The message gives the reason.
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
    """Raises a `ServingError` unless the version in the settings, or any version if they name none, is AVAILABLE."""
    if any(v.state == "AVAILABLE" and settings.version in (None, v.version) for v in versions):
        return
    known = ", ".join(f"{v.version} {v.state} {v.error}".strip() for v in versions) or "none"
    raise ServingError(address, "UNAVAILABLE", f"no version of {settings.model} is ready; versions: {known}")
