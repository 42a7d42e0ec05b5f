"""An evaluation as text: how all its numbers are written, and its Markdown tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

UNDEFINED = "–"
PROCEDURAL = "Procedural drawings: these figures say nothing about CelebA or LFWA"

COLUMNS = {
    "accuracy": "Accuracy",
    "majority_accuracy": "Majority",
    "balanced_accuracy": "Balanced",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "average_precision": "Avg. precision",
    "expected_calibration_error": "Calib. error",
}
"""Figures of `farkeras.metrics.attribute_metrics` -> headings of the tables, in order."""


def percent(fraction: float | None, digits: int = 2) -> str:
    """0.9123 -> "91.23"; None -> an en dash."""
    return UNDEFINED if fraction is None else f"{100 * fraction:.{digits}f}"


def readable(name: str) -> str:
    """An attribute's or a group's name for people: "Lower_Face" -> "Lower Face"."""
    return name.replace("_", " ")


def interval(bounds: Sequence[float] | None, digits: int = 2) -> str:
    """[0.9, 0.925] -> "90.00 to 92.50"; None -> an en dash."""
    return UNDEFINED if bounds is None else " to ".join(percent(b, digits) for b in bounds)


def figures(values: Mapping[str, Any]) -> list[str]:
    """The figures of `COLUMNS` in percent, from an attribute's or a group's entry in an evaluation."""
    return [percent(values[name]) for name in COLUMNS]


def headline(evaluation: dict) -> list[tuple[str, str, str]]:
    """The figures to read first: (name, value in percent, remark). For a model with masks also theirs."""
    undefined = len(evaluation["attributes"]) - evaluation["num_defined"]["balanced_accuracy"]
    balanced = f"50 is chance; undefined for {undefined}" if undefined else "50 is chance"
    calibration = "probability against frequency, 0 is best"
    rows = [
        ("Mean accuracy", "mean_accuracy", f"95 % interval {interval(evaluation['mean_accuracy_ci95'])}"),
        ("Majority baseline", "majority_accuracy", "always the more frequent answer"),
        ("Balanced accuracy", "mean_balanced_accuracy", balanced),
        ("Mean F1", "mean_f1", "of the positive answer"),
        ("Mean ROC AUC", "mean_roc_auc", "50 is chance"),
        ("Calibration error", "mean_expected_calibration_error", calibration),
    ]
    if "mask_iou" in evaluation:
        rows.append(("Mean mask IoU", "mean_mask_iou", "over the regions of the face, 100 is best"))
    return [(name, percent(evaluation[key]), remark) for name, key, remark in rows]


def mask_iou_note(evaluation: dict) -> str:
    """What the figures of `mask_iou_rows` are."""
    return (
        "Intersection over union (IoU) of the model's masks at threshold 0.5 and the masks made from MediaPipe's "
        f"points, in percent; all pixels together of the {evaluation['mask_images']:,} images with points."
    )


def mask_iou_rows(evaluation: dict) -> list[tuple[str, str]]:
    """(region, IoU in percent) of each region, and the mean; none for an evaluation without masks."""
    if "mask_iou" not in evaluation:
        return []
    regions = [(readable(region), percent(iou)) for region, iou in evaluation["mask_iou"].items()]
    return [*regions, ("Mean", percent(evaluation["mean_mask_iou"]))]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers, aligned to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    named = ((re.sub(r"[\\|*`<\[]", r"\\\g<0>", name), *figures) for name, *figures in rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *named))


def markdown_report(evaluation: dict) -> str:
    """The evaluation as Markdown: headline, groups, attributes, masks if any. Undefined values are en dashes.

    Args:
        evaluation: The result of `evaluate_attributes`, with the entry `run` described in
            `farkeras.report.page.write_report`.
    """
    run, masks = evaluation["run"], mask_iou_rows(evaluation)
    groups = [(name, str(len(values["attributes"])), *figures(values)) for name, values in evaluation["groups"].items()]
    attributes = [
        (name, *figures(values), percent(values["positive_rate"], 1))
        for name, values in evaluation["attributes"].items()
    ]
    parts = [
        f"# Evaluation of `{run['model']}`",
        f"> **{PROCEDURAL}.**" if run["procedural"] else "",
        f"{evaluation['num_images']:,} images, split `{run['split']}` of `{Path(run['data_dir']).name}` "
        f"({run['source']}). All figures in percent; {UNDEFINED} where the labels define none.",
        markdown_table(("Figure", "Percent", "Remark"), headline(evaluation)),
        "## Groups",
        markdown_table(("Group", "Attributes", *COLUMNS.values()), groups),
        "## Attributes",
        markdown_table(("Attribute", *COLUMNS.values(), "Positive"), attributes),
    ]
    if masks:
        parts += ["## Mask IoU", mask_iou_note(evaluation), markdown_table(("Region", "IoU"), masks)]
    return "\n\n".join(part for part in parts if part) + "\n"
