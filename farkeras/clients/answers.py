"""Turns the tensors of a server into one answer per image, with probabilities by attribute name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from farkeras.clients.errors import ServingError
from farkeras.clients.images import File
from farkeras.clients.names import Names
from farkeras.consistency.answers import Consistency
from farkeras.decisions import chosen, decide
from farkeras.errors import FarkerasError

_ALL_UNDECODABLE = "can be decoded"
"""Part of the INVALID_ARGUMENT message of an export if all images of a request are undecodable."""


@dataclass(frozen=True)
class Answer:
    """Probabilities for one image, or an error. `answer["Smiling"]` is the probability of one attribute.

    Attributes:
        photo: Path of the image, or "image 0", "image 1", ... for images without a path.
        probabilities: Attribute -> probability in 0..1, in the model's order; None after an error.
        error: One sentence that names the image, or None.
        version: Version of the model that answered; None after an error, and over REST, which does not report it.
        decisions: Attribute -> True if its probability reaches its threshold, False if not, None if the answer is
            unsure, see `Client.recognize`; None after an error.
    """

    photo: str
    probabilities: dict[str, float] | None = None
    error: str | None = None
    version: int | None = None
    decisions: dict[str, bool | None] | None = None

    @property
    def positive(self) -> list[str]:
        """The attributes that are present."""
        return chosen(self.decisions, True)

    @property
    def unsure(self) -> list[str]:
        """The attributes whose answer is unsure."""
        return chosen(self.decisions, None)

    def __getitem__(self, attribute: str) -> float:
        if self.probabilities is None:
            raise FarkerasError(self.error)
        return self.probabilities[attribute]


@dataclass(frozen=True)
class Outputs:
    """Outputs of a model for one request.

    Attributes:
        tensors: Output name -> array. The first dimension is the batch of the request.
        version: Version of the model; None over REST.
    """

    tensors: Mapping[str, np.ndarray]
    version: int | None = None


@dataclass(frozen=True)
class VersionStatus:
    """Status of one version of a model on the server.

    Attributes:
        version: Version number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: Reason why the version could not be loaded, or "".
    """

    version: int
    state: str
    error: str = ""


def inputs_of(files: Sequence[File]) -> dict[str, np.ndarray]:
    """Returns the inputs of a request. Files with errors are left out."""
    return {"bytes": np.array([file.data for file in files if not file.error], object)}


def answers_to(
    files: Sequence[File],
    outputs: Outputs | ServingError | None,
    names: Names,
    min_confidence: float = 0.0,
    consistency: Consistency | None = None,
) -> list[Answer]:
    """Returns one answer for each file of a request.

    Args:
        files: Files of the request, including those with errors.
        outputs: The server's answer or error; None if all files have errors, so that no request was sent.
        names: Names of the model's attributes, and their thresholds.
        min_confidence: The lowest confidence of an answer, 0..1.
        consistency: The contradictions that answers must not have; None: each attribute is decided alone.

    Raises:
        ServingError: `outputs` is an error, other than that all images are undecodable.
        FarkerasError: The model does not return one probability for each name.
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
    return [
        Answer(f.name, error=f.error)
        if f.error
        else _answer(f.name, *next(found), version, names, min_confidence, consistency)
        for f in files
    ]


def _answer(
    name: str,
    row: list[float],
    valid: bool,
    version: int | None,
    names: Names,
    min_confidence: float,
    consistency: Consistency | None,
) -> Answer:
    if not valid:
        return Answer(name, error=f"{name} cannot be decoded by the server; expected a whole JPEG or PNG image.")
    probabilities = dict(zip(names.attributes, row, strict=True))
    decisions = decide(probabilities, names.thresholds, min_confidence, consistency)
    return Answer(name, probabilities, version=version, decisions=decisions)


def _checked(tensors: Mapping[str, np.ndarray], count: int, names: Names) -> tuple[np.ndarray, np.ndarray]:
    shapes = {name: list(np.shape(values)) for name, values in tensors.items()}
    expected = {"probabilities": [count, len(names.attributes)], "valid": [count]}
    if not expected.items() <= shapes.items():
        raise FarkerasError(
            f"The model answered with tensors of shapes {shapes}; expected {expected} for the names in `metadata`. Set "
            "`metadata` to the export that is served, written by this version of farkeras."
        )
    return tensors["probabilities"], tensors["valid"]
