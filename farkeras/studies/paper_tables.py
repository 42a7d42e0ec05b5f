"""The paper tables of a study's page: parameters at paper size, and published results beside our own."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farkeras.errors import FarkerasError
from farkeras.files import as_path
from farkeras.report.summary import UNDEFINED, markdown_table
from farkeras.studies.differences import spread
from farkeras.studies.page import NOT_MEASURED
from farkeras.studies.results import read_results

PUBLISHED_BEGIN, PUBLISHED_END = "<!-- published: start -->", "<!-- published: end -->"
"""Marks around the table of published results, by which another page includes it."""


def read_table(path: str | os.PathLike, key: str) -> dict[str, Any]:
    """Reads the JSON file of a paper table.

    Args:
        path: The file.
        key: A key that the file must have.

    Raises:
        FarkerasError: The file is unreadable, or not such a file.
    """
    path = as_path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FarkerasError(f"{path} cannot be read ({error}); expected a JSON file for the study's page.") from None
    if not isinstance(values, dict) or key not in values:
        raise FarkerasError(f"{path} must have the key '{key}'. Restore the file, or name another.")
    return values


def sizes_section(path: str | os.PathLike) -> list[str]:
    """Returns the tables of parameters at paper size, from the file of benchmarks/paper_sizes.py."""
    parts = [
        "## Parameters at paper size",
        "Trainable parameters of each model with 40 attributes in K groups, in millions, counted by building the "
        "models (`python benchmarks/paper_sizes.py`). The backbone alone has the number in parentheses. MGMTN includes "
        "its mask network, and has the same parameters for every K. The forward time is relative to the backbone's.",
    ]
    for backbone, counts in read_table(path, "ResNet50").items():
        groups = list(next(iter(counts["models"].values())))
        times = counts.get("forward_times")
        rows = [
            (
                name,
                *(f"{by_groups[number] / 1e6:,.2f}" for number in groups),
                *([f"{times[name]:.2f}" if name in times else NOT_MEASURED] if times else []),
            )
            for name, by_groups in counts["models"].items()
        ]
        bare = f"{counts['backbone'] / 1e6:,.2f}"
        extra = {
            name: {number: count - counts["models"]["shared trunk"][number] for number, count in by_groups.items()}
            for name, by_groups in counts["models"].items()
        }
        shares = ", ".join(
            f"{extra['FAR-AMTN'][number] / extra['private blocks'][number]:.0%} for K = {number}" for number in groups
        )
        header = [f"{backbone} ({bare})", *(f"K = {number}" for number in groups)]
        parts.append(markdown_table([*header, *(["Forward time, K = 8"] if times else [])], rows))
        parts.append(f"What FAR-AMTN adds to the shared trunk, as a share of what private blocks add: {shares}.")
    return parts


def published_section(path: str | os.PathLike) -> list[str]:
    """Returns the table of published results, with a row for each of our arms that is measured."""
    path = as_path(path)
    values = read_table(path, "methods")

    def cell(number: float | None) -> str:
        return UNDEFINED if number is None else f"{number:.2f}"

    rows = [(each["method"], cell(each["celeba"]), cell(each["lfwa"]), each["source"]) for each in values["methods"]]
    rows += _our_rows({kind: path.parent / folder for kind, folder in values["measured"].items()})
    return [
        "## Published results of the field",
        "Mean accuracy in percent on the official test splits, as published unless the source says otherwise.",
        f"{PUBLISHED_BEGIN}\n\n{markdown_table(('Method', 'CelebA', 'LFWA', 'Source'), rows)}\n\n{PUBLISHED_END}",
    ]


def _our_rows(folders: Mapping[str, Path]) -> list[tuple[str, str, str, str]]:
    """Returns a row for each arm with results, or one row that says that nothing is measured."""
    measured: dict[str, dict[str, list[float]]] = {}
    for kind, folder in folders.items():
        for result in read_results(folder).values():
            measured.setdefault(result.trial.arm, {}).setdefault(kind, []).append(result.test["mean_accuracy"])
    if not measured:
        return [("farkeras", f"**{NOT_MEASURED}**", f"**{NOT_MEASURED}**", "this repository")]
    rows = []
    for arm, by_kind in measured.items():
        cells = []
        for kind in ("celeba", "lfwa"):
            found = spread(by_kind.get(kind, []))
            deviation = "" if found is None or found.std is None else f" ± {100 * found.std:.2f}"
            cells.append(NOT_MEASURED if found is None else f"{100 * found.mean:.2f}{deviation}")
        rows.append((f"farkeras, {arm}", cells[0], cells[1], "this repository"))
    return rows
