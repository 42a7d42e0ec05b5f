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


_MARKS = {True: "*", None: "?", False: " "}


def probability_table(prediction: "Prediction | Answer", groups: Mapping[str, Sequence[str]], heading: str) -> Table:
    """Returns a table with one row per group. Present attributes are bold, with a star; unsure ones have a "?".

    Args:
        prediction: A prediction with probabilities and decisions.
        groups: Group name -> its attributes.
        heading: Heading of the attributes, see `marks`.
    """
    table = Table(title=Text(prediction.photo), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Group", no_wrap=True)
    table.add_column(heading)
    probabilities, decisions = prediction.probabilities or {}, prediction.decisions or {}
    width = max(map(len, probabilities))  # so that the columns of all groups align
    for group, attributes in groups.items():
        likely_first = sorted(attributes, key=lambda name: probabilities[name], reverse=True)
        cells = [_cell(name.ljust(width), probabilities[name], decisions[name]) for name in likely_first]
        table.add_row(Text(group), Columns(cells, padding=(0, 2)))
    return table


def marks(thresholds: Iterable[float], min_confidence: float) -> str:
    """Returns a heading that explains the marks: "* 50% or more", "* at the attribute's threshold; ? unsure"."""
    values = set(thresholds)
    star = f"* {values.pop():.0%} or more" if len(values) == 1 else "* at or above the attribute's own threshold"
    return f"{star}; ? confidence below {min_confidence:.0%}" if min_confidence > 0.5 else star


def _cell(name: str, probability: float, decision: bool | None) -> Text:
    return Text(f"{_MARKS[decision]}{probability:>4.0%} {name}", style="bold" if decision else "dim", no_wrap=True)


def print_json(predictions: Iterable["Prediction | Answer"]) -> None:
    """Prints a list of results.

    A result is `{"photo": ..., "attributes": {name: probability}, "positive": [name, ...], "unsure": [name, ...]}` or
    `{"photo": ..., "error": ...}`.
    """
    entries: list[dict] = []
    for p in predictions:
        rounded = {name: round(value, 6) for name, value in (p.probabilities or {}).items()}
        found = {"attributes": rounded, "positive": p.positive, "unsure": p.unsure}
        entries.append({"photo": p.photo} | ({"error": p.error} if p.error else found))
    text = json.dumps(entries, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # fall back to the escapes of JSON
        text = json.dumps(entries, indent=2)
    print(text)
