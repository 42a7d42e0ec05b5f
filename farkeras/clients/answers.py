"""A server's answers, an image at a time and by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from farkeras.clients.errors import ServingError
from farkeras.clients.images import File
from farkeras.clients.names import Names
from farkeras.errors import FarkerasError

_ALL_UNDECODABLE = "can be decoded"
"""Part of an export's INVALID_ARGUMENT message when no image of a request can be decoded."""


@dataclass(frozen=True)
class Answer:
    """Probabilities of one image, or the reason why there are none. `answer["Smiling"]` is one of them.

    Attributes:
        photo: Path of the image, or "image 0", "image 1", ... for images without a path.
        probabilities: Attribute -> probability in 0..1, in the model's order; None after an error.
        error: One sentence that names the image, or None.
        version: The version of the model that answered; None after an error, and over REST, which does not give it.
    """

    photo: str
    probabilities: dict[str, float] | None = None
    error: str | None = None
    version: int | None = None

    def __getitem__(self, attribute: str) -> float:
        if self.probabilities is None:
            raise FarkerasError(self.error)
        return self.probabilities[attribute]


@dataclass(frozen=True)
class Outputs:
    """A model's answer to one request.

    Attributes:
        tensors: Output name -> array; the first dimension is the request's batch.
        version: The version of the model; None over REST.
    """

    tensors: Mapping[str, np.ndarray]
    version: int | None = None


@dataclass(frozen=True)
class VersionStatus:
    """A version that the server knows.

    Attributes:
        version: Its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: Why it could not be loaded, or "".
    """

    version: int
    state: str
    error: str = ""


def inputs_of(files: Sequence[File]) -> dict[str, np.ndarray]:
    """The inputs of a request with these files; those with errors are left out."""
    return {"bytes": np.array([file.data for file in files if not file.error], object)}


def answers_to(files: Sequence[File], outputs: Outputs | ServingError | None, names: Names) -> list[Answer]:
    """One answer for each file of a request.

    Args:
        files: Of the request.
        outputs: The answer to the request; None where all files have errors, so that nothing was sent.
        names: Names of the outputs.

    Raises:
        ServingError: The one in `outputs`, unless it is about the images.
        FarkerasError: The model does not answer with a probability for each name.
    """
    sent = [file for file in files if not file.error]
    if isinstance(outputs, ServingError):
        if outputs.code != "INVALID_ARGUMENT" or _ALL_UNDECODABLE not in outputs.details:
            raise outputs
        rows, valid, version = np.zeros((len(sent), 0)), np.zeros(len(sent), bool), None
    elif outputs is None:
        rows, valid, version = np.zeros((0, 0)), np.zeros(0, bool), None
    else:
        rows, valid = _checked(outputs.tensors, len(sent), names)
        version = outputs.version
    found = iter(zip(rows.tolist(), valid.tolist(), strict=True))
    return [Answer(f.name, error=f.error) if f.error else _answer(f.name, *next(found), version, names) for f in files]


def _answer(name: str, row: list[float], valid: bool, version: int | None, names: Names) -> Answer:
    if not valid:
        return Answer(name, error=f"{name} cannot be decoded by the server; expected a whole JPEG or PNG image.")
    return Answer(name, dict(zip(names.attributes, row, strict=True)), version=version)


def _checked(tensors: Mapping[str, np.ndarray], count: int, names: Names) -> tuple[np.ndarray, np.ndarray]:
    shapes = {name: list(np.shape(values)) for name, values in tensors.items()}
    expected = {"probabilities": [count, len(names.attributes)], "valid": [count]}
    if not expected.items() <= shapes.items():
        raise FarkerasError(
            f"The model answered with {shapes}; expected {expected}, for the names that were given. Give the "
            "metadata of the very model that is served, exported by this version of farkeras."
        )
    return tensors["probabilities"], tensors["valid"]
