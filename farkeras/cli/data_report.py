"""Shows the report of a data set's check as tables and lines of text, or writes it as JSON."""

import json
import os
from collections.abc import Callable

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from farkeras.data.check import Report
from farkeras.errors import FarkerasError
from farkeras.files import write_text

_SHOWN = 5  # images that are printed for each finding


def split_table(report: Report) -> Table:
    """Returns a table of the images of each split, and how many of them are missing or undecodable."""
    table = Table("split", *(Column(title, justify="right") for title in ("images", "missing", "undecodable")))
    for name, split in report.splits.items():
        table.add_row(name, f"{split.num_images:,}", f"{split.missing:,}", f"{split.undecodable:,}")
    return table


def attribute_table(report: Report) -> Table:
    """Returns a table of the share of positive labels by attribute and split.

    Where some labels are unknown, the share also gives the number of known labels.
    """
    table = Table("positive labels", *(Column(name, justify="right") for name in report.splits))
    for attribute in report.attributes:
        cells = []
        for split in report.splits.values():
            known, positive = split.known[attribute], split.positive[attribute]
            share = f"{positive / known:.1%}" if known else "-"
            cells.append(share if known == split.num_images else f"{share} of {known:,}")
        table.add_row(attribute, *cells)
    return table


def print_findings(console: Console, report: Report, as_flags: Callable[[str], str] = str) -> None:
    """Prints a line for each finding and a line for each of its first images.

    Args:
        console: The console.
        report: The report of a data set.
        as_flags: Function that turns the settings in a text into flags.
    """
    for finding in report.findings:
        mark = Text("training fails", "red") if finding.training_fails else Text("warning", "yellow")
        console.print(Text.assemble(mark, f", {finding.kind}: {as_flags(finding.summary)}"))
        for place in finding.images[:_SHOWN]:
            detail = f": {place.detail}" if place.detail else ""
            console.print(f"  {place.path} ({place.split}){detail}")
        if len(finding.images) > _SHOWN:
            console.print(f"  ... and {len(finding.images) - _SHOWN:,} more; --json=FILE lists all.")


def write_json(path: str | os.PathLike, source: str, data_dir: str, report: Report) -> None:
    """Writes `Report.to_dict()` with the source and `data_dir` as a JSON file. The file appears complete or not at all.

    Raises:
        FarkerasError: The file cannot be written.
    """
    content = {"source": source, "data_dir": data_dir} | report.to_dict()
    try:
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise FarkerasError(
            f"Cannot write {path} ({error.strerror}); choose another place for the JSON file."
        ) from None
