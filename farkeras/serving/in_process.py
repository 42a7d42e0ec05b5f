"""The same load without a server: threads that run the model's Session themselves."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from farkeras.serving.load import Load
from farkeras.serving.servable import DEFAULT_SIGNATURE, Servable


class InProcess:
    """A version of a model in this process, for comparison with a server."""

    def __init__(self, folder: str | Path):
        """Loads the version's folder."""
        self._servable = Servable(Path(folder))
        self._outputs = sorted(self._servable.signatures[DEFAULT_SIGNATURE].outputs)

    def probabilities(self, files: Sequence[bytes]) -> np.ndarray:
        """The model's probabilities for image files, float32 `[files, attributes]`."""
        return self._run(files)[self._outputs.index("probabilities")]

    def closed_loop(self, requests: Sequence[Sequence[bytes]], callers: int, seconds: float) -> Load:
        """Threads that each run the next request when the last one is done.

        Args:
            requests: Image files of each request; run in turn.
            callers: How many threads.
            seconds: After which no more is begun.
        """
        load, start, lock = Load(), time.monotonic(), threading.Lock()

        def caller(number: int) -> None:
            turn, latencies = number, []
            while (begun := time.monotonic()) < start + seconds:
                self._run(requests[turn % len(requests)])
                latencies.append(time.monotonic() - begun)
                turn += callers
            with lock:
                load.latencies += latencies

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        load.seconds = time.monotonic() - start
        load.codes["OK"] = len(load.latencies)
        return load

    def _run(self, files: Sequence[bytes]) -> list[np.ndarray]:
        return self._servable.run(DEFAULT_SIGNATURE, {"bytes": np.array(list(files), object)}, self._outputs)
