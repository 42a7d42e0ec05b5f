"""The same load without a server: callers that run the model's Session themselves."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from farkeras.serving.servable import AUTOMATIC, DEFAULT_SIGNATURE, Parallelism, Servable


class InProcess:
    """A version of a model in this process, to compare with a server."""

    def __init__(self, folder: str | Path, parallelism: Parallelism = AUTOMATIC):
        """Loads the version's folder."""
        self._servable = Servable(Path(folder), parallelism)
        self._outputs = sorted(self._servable.signatures[DEFAULT_SIGNATURE].outputs)

    def probabilities(self, files: Sequence[bytes]) -> np.ndarray:
        """The model's probabilities for image files, float32 `[files, attributes]`."""
        return self._run(files)[self._outputs.index("probabilities")]

    @contextmanager
    def caller(self, parts: Sequence[Sequence[bytes]]) -> Iterator[Callable[[int], str]]:
        """A caller for `closed_loop`; `parts` are the image files of each request, run in turn."""

        def send(number: int) -> str:
            self._run(parts[number % len(parts)])
            return "OK"

        yield send

    def _run(self, files: Sequence[bytes]) -> list[np.ndarray]:
        return self._servable.run(DEFAULT_SIGNATURE, {"bytes": np.array(list(files), object)}, self._outputs)
