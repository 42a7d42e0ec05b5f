"""The file of a measurement, `results.json`: its rows, the machine and the load on it."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from farkeras.errors import FarkerasError
from farkeras.files import write_text, writing
from speed.rows import ROWS, Found

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Results:
    """What one measurement found.

    Attributes:
        date: Day and time of its start, in UTC.
        commit: The commit of the working tree.
        machine: The processor, cores and memory, from `speed.machine.describe_machine`; for a GPU also `card`.
        versions: Versions of the packages.
        rounds: Number of turns of each side.
        minutes: Duration.
        load: Load averages of 1, 5 and 15 minutes at the `start` and at the `end`.
        found: The rows, in the order of `ROWS`.
        accuracy: What the forms of an export lose, from `speed.accuracy`; empty if that was not measured.
    """

    date: str
    commit: str
    machine: dict[str, Any]
    versions: dict[str, str]
    rounds: int
    minutes: float
    load: dict[str, list[float]]
    found: tuple[Found, ...]
    accuracy: dict[str, Any] = field(default_factory=dict)

    def check_machine(self, machine: dict[str, Any]) -> None:
        """Raises `FarkerasError` if these results are of another machine, whose rows cannot stand beside new ones."""
        before, now = ((one["processor"], one["cores"]) for one in (self.machine, machine))
        if before != now:
            raise FarkerasError(
                f"The file has results of another machine: {before[0]} with {before[1]} cores. Received: {now[0]} with "
                f"{now[1]} cores. Name another file with --output."
            )

    def with_earlier(self, earlier: "Results") -> "Results":
        """Takes the rows that this measurement left out from an earlier one, with the time of their measurement."""
        before = {found.row.key: found for found in earlier.found if found.ratio}
        when = f"Measured on {earlier.date} UTC at commit {earlier.commit}, in {earlier.rounds} rounds."
        rows = []
        for found in self.found:
            if not found.ratio and found.row.key in before:
                old = before[found.row.key]
                found = replace(old, row=found.row, when=old.when or when)
            rows.append(found)
        return replace(self, found=tuple(rows), accuracy=self.accuracy or earlier.accuracy)

    def to_json(self) -> str:
        """Returns the content of the file."""
        values = {name: value for name, value in asdict(self).items() if name != "found"}
        rows = {"rows": [found.to_dict() for found in self.found]}
        return json.dumps({"format_version": FORMAT_VERSION, **values, **rows}, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Results":
        """Reads the content of a file.

        Raises:
            FarkerasError: It is not the content of a file of this version.
        """
        try:
            values = json.loads(text)
            version = values.pop("format_version")
        except (ValueError, KeyError, AttributeError, TypeError):
            version = None
        if version != FORMAT_VERSION:
            raise FarkerasError(
                f"The results must have the format version {FORMAT_VERSION}. Received: {version}. Run `make bench`."
            )
        return cls(found=tuple(Found.from_dict(row) for row in values.pop("rows")), **values)


def write_results(results: Results, path: str | os.PathLike) -> None:
    """Writes the file; it appears when it is complete."""
    with writing(path, instead="output"):
        write_text(path, results.to_json())


def read_results(path: str | os.PathLike) -> Results:
    """Reads the file.

    Raises:
        FarkerasError: There is no such file, or it has other content.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return Results.from_json(file.read())
    except FileNotFoundError:
        raise FarkerasError(f"There are no results at {path}. Run `make bench`, or `gpu.py` on a GPU.") from None


def in_order(found: list[Found]) -> tuple[Found, ...]:
    """Returns rows in the order of the table."""
    keys = [row.key for row in ROWS]
    return tuple(sorted(found, key=lambda one: keys.index(one.row.key)))
