"""Writes an evaluation as text: the format of its numbers, its headline and its Markdown tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farkeras.report.consistency import CONTRADICTION_COLUMNS, consistency_notes, contradiction_rows

UNDEFINED = "–"
PROCEDURAL = "Procedural faces: these metrics say nothing about CelebA or LFWA"

COLUMNS = {
    "accuracy": "Accuracy",
    "majority_accuracy": "Majority",
    "balanced_accuracy": "Balanced",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "average_precision": "Avg. precision",
    "expected_calibration_error": "Calib. error",
}
"""Metrics of `farkeras.metrics.attribute_metrics` -> headings of the tables, in the order of the columns."""


def percent(fraction: float | None, digits: int = 2) -> str:
    """Formats a fraction in percent: 0.9123 -> "91.23"; None -> an en dash."""
    return UNDEFINED if fraction is None else f"{100 * fraction:.{digits}f}"


def readable(name: str) -> str:
    """Returns an attribute's or a group's name as it is shown: "Lower_Face" -> "Lower Face"."""
    return name.replace("_", " ")


def interval(bounds: Sequence[float] | None, digits: int = 2) -> str:
    """Formats an interval of fractions in percent: [0.9, 0.925] -> "90.00 to 92.50"; None -> an en dash."""
    return UNDEFINED if bounds is None else " to ".join(percent(b, digits) for b in bounds)


def metric_cells(values: Mapping[str, Any]) -> list[str]:
    """Returns the metrics of `COLUMNS` in percent, from an attribute's or a group's entry in an evaluation."""
    return [percent(values[name]) for name in COLUMNS]


def headline(evaluation: dict) -> list[tuple[str, str, str]]:
    """Returns the metrics to read first, as (name, value in percent, remark); with masks, also their IoU."""
    total = len(evaluation["attributes"])
    undefined = total - evaluation["num_defined"]["balanced_accuracy"]
    chance = "chance is 50"
    balanced = f"{chance}; undefined for {undefined} of {total} attributes" if undefined else chance
    calibration = "predicted probability against observed frequency; 0 is best"
    error = evaluation["mean_expected_calibration_error"]
    if after := evaluation.get("calibration", {}).get("after"):
        calibration = f"after calibration; {percent(error)} before; 0 is best"
        error = after["expected_calibration_error"]
    rows = [
        ("Mean accuracy", "mean_accuracy", f"95 % confidence interval {interval(evaluation['mean_accuracy_ci95'])}"),
        ("Majority baseline", "majority_accuracy", "always predicts the more frequent label"),
        ("Balanced accuracy", "mean_balanced_accuracy", balanced),
        ("Mean F1", "mean_f1", "F1 score of the positive class"),
        ("Mean ROC AUC", "mean_roc_auc", chance),
    ]
    shown = [(name, percent(evaluation[key]), remark) for name, key, remark in rows]
    shown.append(("Calibration error", percent(error), calibration))
    if "mask_iou" in evaluation:
        iou = percent(evaluation["mean_mask_iou"])
        shown.append(("Mean mask IoU", iou, "mean over the facial regions; 100 is best"))
    return shown


def mask_iou_note(evaluation: dict) -> str:
    """Returns a sentence that explains the values of `mask_iou_rows`."""
    return (
        "Intersection over union (IoU), in percent, of the model's masks at threshold 0.5 and the masks made from "
        f"MediaPipe's landmarks, over all pixels of the {evaluation['mask_images']:,} images with keypoints."
    )


def mask_iou_rows(evaluation: dict) -> list[tuple[str, str]]:
    """Returns (region, IoU in percent) for each region and the mean; an empty list for an evaluation without masks."""
    if "mask_iou" not in evaluation:
        return []
    regions = [(readable(region), percent(iou)) for region, iou in evaluation["mask_iou"].items()]
    return [*regions, ("Mean", percent(evaluation["mean_mask_iou"]))]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table; the first column holds text, the other columns hold numbers, aligned to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    named = ((re.sub(r"[\\|*`<\[]", r"\\\g<0>", name), *cells) for name, *cells in rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *named))


def markdown_report(evaluation: dict, sections: Sequence[str] = ()) -> str:
    """Renders an evaluation as Markdown: headline, groups, attributes, and contradictions and mask IoU if it has them.

    Undefined values are en dashes.

    Args:
        evaluation: The result of `evaluate_attributes`, with the entry `run` described in
            `farkeras.report.page.write_report`.
        sections: Further headings, paragraphs and tables.
    """
    run, masks = evaluation["run"], mask_iou_rows(evaluation)
    groups = [
        (name, str(len(values["attributes"])), *metric_cells(values)) for name, values in evaluation["groups"].items()
    ]
    attributes = [
        (name, *metric_cells(values), percent(values["positive_rate"], 1))
        for name, values in evaluation["attributes"].items()
    ]
    left_out = f"{', '.join(run['left_out'])} are left out. " if run.get("left_out") else ""
    parts = [
        f"# Evaluation of `{run['model']}`",
        f"> **{PROCEDURAL}.**" if run["procedural"] else "",
        f"{evaluation['num_images']:,} images, split `{run['split']}` of `{Path(run['data_dir']).name}` "
        f"({run['source']}). {left_out}All metrics are in percent; {UNDEFINED} marks a metric that the labels do not "
        "define.",
        markdown_table(("Metric", "Percent", "Remark"), headline(evaluation)),
        "## Groups",
        markdown_table(("Group", "Attributes", *COLUMNS.values()), groups),
        "## Attributes",
        markdown_table(("Attribute", *COLUMNS.values(), "Positive"), attributes),
    ]
    if notes := consistency_notes(evaluation):
        rows = contradiction_rows(evaluation)
        parts += ["## Contradictions", " ".join(notes), markdown_table(CONTRADICTION_COLUMNS, rows) if rows else ""]
    if masks:
        parts += ["## Mask IoU", mask_iou_note(evaluation), markdown_table(("Region", "IoU"), masks)]
    parts += sections
    return "\n\n".join(part for part in parts if part) + "\n"
