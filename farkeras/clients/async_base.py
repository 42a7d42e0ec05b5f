"""Base class of the asyncio clients."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import Self

import numpy as np

from farkeras.clients.answers import Answer, Outputs, VersionStatus, answers_to, inputs_of
from farkeras.clients.base import POLL_SECONDS, require_ready
from farkeras.clients.errors import ServingError
from farkeras.clients.images import File, in_requests, read_files
from farkeras.clients.names import Names
from farkeras.clients.settings import Settings
from farkeras.consistency.answers import Consistency
from farkeras.decisions import check_share
from farkeras.photos.reader import Photo

_REQUESTS_AT_ONCE = 4


class AsyncClient(ABC):
    """Asyncio version of `Client`. Create and use it in one event loop; `async with` closes it.

    Images are read and aligned in a thread. Up to four requests are sent concurrently.

    Attributes:
        address: Address of the server.
        settings: Settings of all requests.
    """

    address: str
    settings: Settings

    @abstractmethod
    async def read_names(self) -> Names:
        """Returns the attributes of the model and their groups."""

    @abstractmethod
    async def predict(self, inputs: dict[str, np.ndarray], signature: str = "serving_default") -> Outputs:
        """Sends one request; see `Client.predict`."""

    @abstractmethod
    async def status(self) -> list[VersionStatus]:
        """Returns the versions of the model on the server; see `Client.status`."""

    @abstractmethod
    async def close(self) -> None:
        """Closes the connection."""

    async def recognize(
        self,
        photos: Photo | Iterable[Photo],
        align: bool = False,
        min_confidence: float = 0.0,
        consistency: Consistency | None = None,
    ) -> list[Answer]:
        """Recognises the attributes of faces; see `Client.recognize`."""
        return [answer async for answer in self.recognize_each(photos, align, min_confidence, consistency)]

    async def recognize_each(
        self,
        photos: Photo | Iterable[Photo],
        align: bool = False,
        min_confidence: float = 0.0,
        consistency: Consistency | None = None,
    ) -> AsyncIterator[Answer]:
        """Yields the answers of `recognize` one by one.

        Four requests are sent at a time. Images are read when their request is made.
        """
        check_share("min_confidence", min_confidence)
        names = await self.read_names()
        requests = in_requests(read_files(photos, align), self.settings.max_images, self.settings.max_bytes)
        while some := await asyncio.to_thread(lambda: list(islice(requests, _REQUESTS_AT_ONCE))):
            for files, outputs in zip(some, await asyncio.gather(*map(self._ask, some)), strict=True):
                for answer in answers_to(files, outputs, names, min_confidence, consistency):
                    yield answer

    async def wait_until_ready(self, seconds: float) -> None:
        """Waits until a version is AVAILABLE; see `Client.wait_until_ready`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return require_ready(self.address, self.settings, await self.status())
            except ServingError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(POLL_SECONDS)

    async def _ask(self, files: Sequence[File]) -> Outputs | ServingError | None:
        if all(file.error for file in files):
            return None
        try:
            return await self.predict(inputs_of(files))
        except ServingError as error:
            return error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
