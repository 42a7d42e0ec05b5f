"""Writes the subgroups of an evaluation as text: the gaps to look at, their sentences and their tables."""

from farkeras.report.summary import interval, markdown_table, percent, readable

RATE_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "false_positive_rate": "false positives",
    "false_negative_rate": "false negatives",
}
"""Rates of `farkeras.metrics.subgroups` -> their names in sentences and tables."""

_LARGEST, _MOST = 12, 40


def subgroup_note(subgroups: dict) -> str:
    """Returns sentences that say what was compared and how many gaps are more than chance.

    Args:
        subgroups: The entry `subgroups` of an evaluation, see `farkeras.metrics.subgroups.evaluate_subgroups`.
    """
    names, total, clear = ", ".join(map(readable, subgroups["names"])), subgroups["num_gaps"], subgroups["num_clear"]
    if not total:
        return (
            f"Subgroups by {names}. No rate has at least {subgroups['small']} labels in two subgroups, so there is no "
            "gap to measure."
        )
    units = f"{subgroups['num_people']:,} people" if subgroups["resampled"] == "people" else "the images"
    own = set(subgroups["thresholds"].values()) != {0.5}
    answers = "the attributes' own thresholds" if own else "50 %"
    return (
        f"Subgroups by {names}, with the answers at {answers}. A gap is the largest rate of the subgroups minus the "
        f"smallest, in percentage points, with its 95 % interval by bootstrap over {units}. The largest of {total:,} "
        "gaps are large by chance alone. A gap is clear if its interval excludes 0 even when it is widened to "
        f"{subgroups['factor']:.2f} standard errors so that all intervals hold at the same time: {clear:,} of "
        f"{total:,} gaps {'is' if clear == 1 else 'are'} clear."
    )


def subgroup_headline(subgroups: dict) -> str:
    """Returns the short form of `subgroup_note` for the console, which `gap_lines` follow."""
    names, total, clear = ", ".join(map(readable, subgroups["names"])), subgroups["num_gaps"], subgroups["num_clear"]
    if not total:
        return f"Subgroups by {names}: too few labels in each to measure a gap."
    largest = "The largest clear gaps" if clear else "The largest gaps, each of which may be chance"
    return f"Subgroups by {names}: {clear:,} of {total:,} gaps are clear, the others may be chance. {largest}:"


def small_note(subgroups: dict) -> str:
    """Returns a sentence that explains the mark in `rate_rows`."""
    return (
        f"* marks a rate over fewer than {subgroups['small']} labels, from which no gap is computed. The attribute "
        "that defines the subgroups is left out."
    )


def shown_gaps(subgroups: dict) -> list[dict]:
    """Returns the gaps to show, the largest first: the largest ones, and those that are clear."""
    return [gap for i, gap in enumerate(subgroups["gaps"]) if i < _LARGEST or gap["clear"]][:_MOST]


def gap_cells(gap: dict) -> list[str]:
    """Returns attribute, rate, subgroups, gap, interval and mark of a gap."""
    return [
        gap["attribute"],
        RATE_NAMES[gap["rate"]],
        f"{_named(gap['subgroups'], gap['highest'])} above {gap['lowest']}",
        percent(gap["gap"], 1),
        interval(gap["ci95"], 1),
        "yes" if gap["clear"] else "may be chance",
    ]


def gap_lines(subgroups: dict) -> list[str]:
    """Returns a sentence for each of the largest clear gaps, or the largest gaps if none is clear; at most five."""
    clear = [gap for gap in subgroups["gaps"] if gap["clear"]]
    return [
        f"{readable(gap['attribute'])}, {RATE_NAMES[gap['rate']]}: {percent(gap['gap'], 1)} points more for "
        f"{_named(gap['subgroups'], gap['highest'])} than for {gap['lowest']} "
        f"(95 % interval {interval(gap['ci95'], 1)})"
        for gap in (clear[:5] or subgroups["gaps"][:3])
    ]


def mean_rows(subgroups: dict) -> list[list[str]]:
    """Returns a row for each name and rate: the mean of each subgroup, and the gap of the means with its interval."""
    rows = []
    for name, division in subgroups["names"].items():
        for rate, gap in division["mean_gaps"].items():
            if gap:
                means = ", ".join(f"{value} {percent(mean)}" for value, mean in gap["means"].items())
                cells = [f"{RATE_NAMES[rate]}", means, str(gap["num_attributes"])]
                rows.append([name, *cells, percent(gap["gap"]), interval(gap["ci95"])])
    return rows


MEAN_HEADER = ("Subgroups", "Rate", "Mean over attributes", "Attributes", "Gap", "95 % interval")
GAP_HEADER = ("Attribute", "Rate", "Subgroups", "Gap", "95 % interval", "Clear")


def rate_rows(division: dict) -> list[list[str]]:
    """Returns a row for each attribute and subgroup of one name: counts and rates, see `small_note`."""
    rows = []
    attributes = dict.fromkeys(name for group in division["subgroups"].values() for name in group["attributes"])
    for attribute in attributes:
        for value, group in division["subgroups"].items():
            cell = group["attributes"][attribute]
            small = {rate for rate in cell["small"] if cell[rate] is not None}
            rates = [percent(cell[rate]) + ("*" if rate in small else "") for rate in RATE_NAMES]
            rows.append([attribute, value, f"{cell['num_known']:,}", f"{cell['positives']:,}", *rates])
    return rows


def markdown_subgroups(evaluation: dict) -> list[str]:
    """Returns the section on subgroups in Markdown, by paragraph and table; [] for an evaluation without subgroups."""
    if not (subgroups := evaluation.get("subgroups")):
        return []
    images = [
        [_named(name, value), f"{group['num_images']:,}"]
        for name, division in subgroups["names"].items()
        for value, group in division["subgroups"].items()
    ]
    parts = ["## Subgroups", subgroup_note(subgroups), markdown_table(("Subgroup", "Images"), images)]
    if means := mean_rows(subgroups):
        parts.append(markdown_table(MEAN_HEADER, means))
    if gaps := shown_gaps(subgroups):
        parts += ["The largest gaps, and those that are clear:", markdown_table(GAP_HEADER, map(gap_cells, gaps))]
    return parts


def _named(name: str, value: str) -> str:
    """Returns a subgroup, after the name of its kind unless it has that already: "skin: dark", "not Male"."""
    return value if value in (name, f"not {name}") else f"{name}: {value}"
