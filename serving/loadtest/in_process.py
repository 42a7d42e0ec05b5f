"""The same load without a server: the model's Session in this process."""

from collections.abc import Sequence
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
        # All outputs are run, as for a request without a filter.
        values = self._servable.run(DEFAULT_SIGNATURE, {"bytes": np.array(list(files), object)}, self._outputs)
        return values[self._outputs.index("probabilities")]
