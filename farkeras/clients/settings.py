"""Settings of clients: the model, timeouts, repetitions, and the size of requests."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from farkeras.errors import FarkerasError
from farkeras.files import as_path

MAX_MESSAGE_BYTES = 2**26
"""Largest size of a request and of an answer; gRPC's own limit for an answer is 4 MiB."""

MAX_IMAGE_BYTES = 2**25
"""Largest size of an image file that is sent."""

FIRST_DELAY, DELAY_FACTOR, LONGEST_DELAY = 0.2, 3.0, 5.0
"""Seconds before the first repetition of a request, factor between delays, and longest delay. The four delays take 7.6
seconds in all, in which a server can restart."""


@dataclass(frozen=True)
class Tls:
    """Files in PEM format for an encrypted connection.

    Attributes:
        ca: Path of the trusted certificates; None for those of the system.
        certificate: Path of the client's certificate, for a server that asks for it.
        key: Path of the client's private key.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def read(self, name: str) -> bytes | None:
        """Returns the content of the file `ca`, `certificate` or `key`, or None if it is not set.

        Raises:
            FarkerasError: The file cannot be read.
        """
        if (given := getattr(self, name)) is None:
            return None
        path = as_path(given)
        try:
            return path.read_bytes()
        except OSError as error:
            raise FarkerasError(f"Cannot read the TLS file {path} ({error.strerror}); expected PEM.") from None


@dataclass(frozen=True)
class Settings:
    """Settings that every client takes as keyword arguments.

    Attributes:
        model: Name of the model on the server.
        version: Version of the model; None for the latest.
        label: Version label, such as "canary", instead of a version.
        timeout: Largest duration of a request in seconds, including its repetitions.
        attempts: Number of times that a request is sent while the server is UNAVAILABLE, 1 to 5. A request is not
            repeated after other errors.
        max_images: Largest number of images in a request; at most the server's `max_batch_size`.
        max_bytes: Largest total size of the image files in a request; a single file may be larger.
        tls: Files for an encrypted connection; None for an unencrypted one.
        headers: HTTP headers or gRPC metadata, sent with each request.

    Raises:
        FarkerasError: A value is out of range, or both a version and a label are set.
    """

    model: str = "farkeras"
    version: int | None = None
    label: str | None = None
    timeout: float = 10.0
    attempts: int = 5
    max_images: int = 32
    max_bytes: int = 2**23
    tls: Tls | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version is not None and self.label is not None:
            raise FarkerasError(
                f"Set `version` or `label`, not both. Received: version {self.version} and label {self.label!r}."
            )
        limits = {
            "timeout": (0.001, 86400),
            "attempts": (1, 5),  # gRPC allows no more
            "max_images": (1, 10000),
            "max_bytes": (1, MAX_MESSAGE_BYTES - MAX_IMAGE_BYTES),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise FarkerasError(f"`{name}` must be {low:,} to {high:,}. Received: {getattr(self, name)}.")

    def delays(self) -> Iterator[float]:
        """Yields the seconds before each repetition, varied by up to 20 % so that clients do not repeat all at once."""
        for repetition in range(self.attempts - 1):
            yield min(LONGEST_DELAY, FIRST_DELAY * DELAY_FACTOR**repetition) * random.uniform(0.8, 1.2)
