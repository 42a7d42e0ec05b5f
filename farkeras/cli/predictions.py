"""Predictions, of a model at hand or of a server, as a table for people, as JSON and as CSV."""

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.columns import Columns
from rich.table import Table
from rich.text import Text

from farkeras.errors import FarkerasError
from farkeras.files import written_aside

if TYPE_CHECKING:  # else it would bring TensorFlow, which a client's command does without
    from farkeras.clients import Answer
    from farkeras.inference.recognizer import Prediction


def probability_table(
    prediction: "Prediction | Answer", groups: Mapping[str, Sequence[str]], threshold: float
) -> Table:
    """A table with one row per group, likely attributes first, bold and starred.

    Args:
        prediction: One with probabilities.
        groups: Group name -> its attributes.
        threshold: Probability in 0..1 from which an attribute is likely.
    """
    table = Table(title=Text(prediction.photo), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Group", no_wrap=True)
    table.add_column(f"* {threshold:.0%} or more")
    width = max(map(len, prediction.probabilities))  # so that the columns of all groups align
    for group, attributes in groups.items():
        likely_first = sorted(attributes, key=prediction.probabilities.get, reverse=True)
        cells = [_cell(name.ljust(width), prediction.probabilities[name], threshold) for name in likely_first]
        table.add_row(group, Columns(cells, padding=(0, 2)))
    return table


def _cell(name: str, probability: float, threshold: float) -> Text:
    likely = probability >= threshold
    return Text(f"{'*' if likely else ' '}{probability:>4.0%} {name}", style="bold" if likely else "dim", no_wrap=True)


def to_json(predictions: Iterable["Prediction | Answer"]) -> str:
    """A list of `{"photo": ..., "attributes": {name: probability}}` or `{"photo": ..., "error": ...}`."""
    return json.dumps(
        [
            {"photo": p.photo, "error": p.error}
            if p.error
            else {
                "photo": p.photo,
                "attributes": {name: round(value, 6) for name, value in p.probabilities.items()},
            }
            for p in predictions
        ],
        indent=2,
        ensure_ascii=False,
    )


def write_csv(path: str | os.PathLike, attributes: Sequence[str], predictions: Iterable["Prediction | Answer"]) -> None:
    """Writes a row per photograph: `photo`, a probability per attribute, `error`.

    The file appears when it is complete, and then replaces one that was there.

    Raises:
        FarkerasError: The file cannot be written there.
    """
    try:
        with written_aside(path) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["photo", *attributes, "error"])
            for p in predictions:
                values = [f"{p.probabilities[a]:.6f}" if p.probabilities else "" for a in attributes]
                rows.writerow([p.photo, *values, p.error or ""])
    except OSError as error:
        raise FarkerasError(f"Cannot write {path} ({error.strerror}); choose another place for the CSV file.") from None
