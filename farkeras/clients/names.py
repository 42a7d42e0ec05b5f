"""Names of a model's attributes, which TF Serving does not know. They are read from an export's `farkeras.json`."""

import json
import os
from dataclasses import dataclass, field

from farkeras.decisions import thresholds_of
from farkeras.errors import FarkerasError
from farkeras.files import as_path

METADATA_FILE = "assets.extra/farkeras.json"


@dataclass(frozen=True)
class Names:
    """Attributes of a model in the order of its outputs.

    Attributes:
        attributes: Names of the attributes.
        groups: Group -> names of its attributes.
        procedural: Whether the model was trained on procedural faces, so that its results for photographs mean little.
        thresholds: Attribute -> probability from which on it is present; 0.5 for an export without calibration.
    """

    attributes: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    procedural: bool = False
    thresholds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", thresholds_of(self.attributes, {"thresholds": self.thresholds}))

    @classmethod
    def from_json(cls, text: str | bytes, origin: str) -> "Names":
        """Reads the names from the text of a `farkeras.json`.

        Args:
            text: The text.
            origin: Path or address of the text, for the error message.

        Raises:
            FarkerasError: The text is not a `farkeras.json`.
        """
        try:
            values = json.loads(text)
            groups = {group: tuple(members) for group, members in values["groups"].items()}
            thresholds = thresholds_of(values["attributes"], values.get("calibration"))
            return cls(tuple(values["attributes"]), groups, values["procedural"], thresholds)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise FarkerasError(
                f"{origin} does not name a model's attributes; expected the farkeras.json of an export."
            ) from None


def read_names(place: str | os.PathLike) -> Names:
    """Reads the names that an export holds.

    Args:
        place: A `farkeras.json`, the folder of a SavedModel, or the folder of its versions, of which the latest is
            read.

    Raises:
        FarkerasError: `place` holds no `farkeras.json`, or its content is something else.
    """
    path = as_path(place)
    if path.is_dir():
        versions = sorted((p for p in path.iterdir() if p.name.isdigit()), key=lambda p: int(p.name), reverse=True)
        files = [folder / METADATA_FILE for folder in (path, *versions)]
        path = next((file for file in files if file.is_file()), files[0])
    try:
        return Names.from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise FarkerasError(
            f"Cannot read {path} ({error.strerror}); expected the folder of an export, or its farkeras.json."
        ) from None
