"""Settings of clients: the model, timeouts, repetitions, and the size of requests."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from farkeras.errors import FarkerasError
from farkeras.files import as_path

MAX_MESSAGE_BYTES = 2**26
"""Limit of one request and of one answer; gRPC's own limit of an answer is 4 MiB."""

MAX_IMAGE_BYTES = 2**25
"""A larger image file is not sent."""

FIRST_DELAY, DELAY_FACTOR, LONGEST_DELAY = 0.2, 3.0, 5.0
"""Seconds before a request is repeated, and their growth; 7.6 in all, in which a server can start again."""


@dataclass(frozen=True)
class Tls:
    """Files in PEM format for an encrypted connection.

    Attributes:
        ca: Certificates that are trusted; None for those of the system.
        certificate, key: The client's own, for a server that asks for them.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def read(self, name: str) -> bytes | None:
        """The content of the file `ca`, `certificate` or `key`, or None.

        Raises:
            FarkerasError: It cannot be read.
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
    """What every client takes as keyword arguments.

    Attributes:
        model: The model's name at the server.
        version: A version of the model, or None for the one that is served.
        label: A version label, such as "canary", in place of a version.
        timeout: Seconds that a request may take, including its repetitions.
        attempts: Times that a request is sent while the server is UNAVAILABLE, 1 to 5; after other errors, once.
        max_images: Images in a request; not above the server's `max_batch_size`.
        max_bytes: Bytes of image files in a request of several.
        tls: Files for an encrypted connection.
        headers: HTTP headers or gRPC metadata, sent with each request.

    Raises:
        FarkerasError: A value out of range, or both a version and a label.
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
            raise FarkerasError(f"Ask for version {self.version} or for the label {self.label!r}, not for both.")
        limits = {
            "timeout": (0.001, 86400),
            "attempts": (1, 5),  # gRPC repeats no more
            "max_images": (1, 10000),
            "max_bytes": (1, MAX_MESSAGE_BYTES - MAX_IMAGE_BYTES),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise FarkerasError(f"`{name}` must be {low:,} to {high:,}. Received: {getattr(self, name)}.")

    def delays(self) -> Iterator[float]:
        """Seconds to wait before each repetition; a fifth more or less, so that clients do not return all at once."""
        for repetition in range(self.attempts - 1):
            yield min(LONGEST_DELAY, FIRST_DELAY * DELAY_FACTOR**repetition) * random.uniform(0.8, 1.2)
