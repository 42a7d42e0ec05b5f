"""Predictions of a local model or a server, printed as a table or as JSON."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.columns import Columns
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # imports TensorFlow, which the command of a client does not need
    from farkeras.clients import Answer
    from farkeras.inference.recognizer import Prediction


def probability_table(
    prediction: "Prediction | Answer", groups: Mapping[str, Sequence[str]], threshold: float
) -> Table:
    """Returns a table with one row per group. Likely attributes come first, bold and with a star.

    Args:
        prediction: A prediction with probabilities.
        groups: Group name -> its attributes.
        threshold: Probability, 0 to 1, from which on an attribute is likely.
    """
    table = Table(title=Text(prediction.photo), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Group", no_wrap=True)
    table.add_column(f"* {threshold:.0%} or more")
    probabilities = prediction.probabilities or {}
    width = max(map(len, probabilities))  # so that the columns of all groups align
    for group, attributes in groups.items():
        likely_first = sorted(attributes, key=lambda name: probabilities[name], reverse=True)
        cells = [_cell(name.ljust(width), probabilities[name], threshold) for name in likely_first]
        table.add_row(Text(group), Columns(cells, padding=(0, 2)))
    return table


def _cell(name: str, probability: float, threshold: float) -> Text:
    likely = probability >= threshold
    return Text(f"{'*' if likely else ' '}{probability:>4.0%} {name}", style="bold" if likely else "dim", no_wrap=True)


def print_json(predictions: Iterable["Prediction | Answer"]) -> None:
    """Prints a list of `{"photo": ..., "attributes": {name: probability}}` or `{"photo": ..., "error": ...}`."""
    entries: list[dict] = []
    for p in predictions:
        rounded = {name: round(value, 6) for name, value in (p.probabilities or {}).items()}
        entries.append({"photo": p.photo} | ({"error": p.error} if p.error else {"attributes": rounded}))
    text = json.dumps(entries, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # fall back to the escapes of JSON
        text = json.dumps(entries, indent=2)
    print(text)
