"""Renders an evaluation as one HTML page that needs no other file: it contains its style, charts and tables."""

import base64
import functools
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from farkeras.attributes import REGIONS
from farkeras.files import write_text
from farkeras.flagfiles import published
from farkeras.metrics.history import ended_early
from farkeras.report import decisions
from farkeras.report.card_sections import Section
from farkeras.report.consistency import CONTRADICTION_COLUMNS, consistency_notes, contradiction_rows
from farkeras.report.decision_charts import reliability_charts, risk_coverage_chart
from farkeras.report.subgroups import (
    MEAN_HEADER,
    RATE_NAMES,
    gap_cells,
    mean_rows,
    rate_rows,
    shown_gaps,
    small_note,
    subgroup_note,
)
from farkeras.report.summary import (
    COLUMNS,
    PROCEDURAL,
    UNDEFINED,
    headline,
    interval,
    mask_iou_note,
    mask_iou_rows,
    metric_cells,
    percent,
    readable,
)
from farkeras.report.training_charts import training_charts


def _with_code(text: str) -> Markup:
    """Returns a sentence as HTML, with what stands in backticks as code."""
    return Markup(re.sub("`(.*?)`", r"<code>\1</code>", escape(text)))


_TEMPLATES = Environment(
    loader=PackageLoader("farkeras.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.globals |= {"COLUMNS": list(COLUMNS.values()), "CONTRADICTION_COLUMNS": CONTRADICTION_COLUMNS}
_TEMPLATES.globals |= {"PROCEDURAL": PROCEDURAL, "UNDEFINED": UNDEFINED}
_TEMPLATES.globals |= {
    "CALIBRATION_HEADER": decisions.CALIBRATION_HEADER,
    "COVERAGE_HEADER": decisions.COVERAGE_HEADER,
    "THRESHOLD_HEADER": decisions.THRESHOLD_HEADER,
}
_TEMPLATES.globals |= {"MEAN_HEADER": MEAN_HEADER, "RATE_NAMES": [name.capitalize() for name in RATE_NAMES.values()]}
_TEMPLATES.filters |= {
    "calibration_notes": decisions.calibration_notes,
    "calibration_rows": decisions.calibration_rows,
    "coverage_note": decisions.coverage_note,
    "coverage_rows": decisions.coverage_rows,
    "reliability_charts": reliability_charts,
    "risk_coverage_chart": risk_coverage_chart,
    "threshold_note": decisions.threshold_note,
    "threshold_rows": decisions.threshold_rows,
    "interval": interval,
    "json": functools.partial(json.dumps, ensure_ascii=False),
    "mask_iou_note": mask_iou_note,
    "metric_cells": metric_cells,
    "percent": percent,
    "readable": readable,
    "thousands": "{:,}".format,
    "with_code": _with_code,
}
_TEMPLATES.filters |= {
    each.__name__: each for each in (gap_cells, mean_rows, rate_rows, shown_gaps, small_note, subgroup_note)
}


def render(template: str, **values: Any) -> str:
    """Fills in a template of the package; its values are escaped."""
    return _TEMPLATES.get_template(template).render(**values)


def write_report(
    evaluation: dict,
    history: list[dict],
    path: str | Path,
    settings: dict | None = None,
    overlays: bytes | None = None,
    card: Sequence[Section] = (),
) -> None:
    """Writes the report page; an existing file is replaced once the new one is complete.

    Args:
        evaluation: The results of `evaluate_attributes` and, unless the evaluation is of an earlier version,
            `evaluate_decisions`, with an entry `run`: `{"model": path, "source": name, "data_dir": path, "split": name,
            "procedural": whether the images are procedural faces, "undecodable": number of undecodable images left out,
            "calibrate": "auto" or "none"}`. For a model with masks also `mask_iou`, region -> IoU in 0..1 or
            None, `mean_mask_iou`, and `mask_images`, the number of images with keypoints.
        history: The lines of `metrics.jsonl`; if the list is empty, the page has no charts.
        path: The HTML file to write.
        settings: Settings of the training run, name -> JSON value.
        overlays: The picture of `farkeras.report.overlay.overlay_strip`, for a model with masks.
        card: The sections of the model card, see `farkeras.report.model_card.card_sections`; () for none.
    """
    write_text(path, html_report(evaluation, history, settings or {}, overlays, card))


def html_report(
    evaluation: dict,
    history: list[dict],
    settings: dict,
    overlays: bytes | None = None,
    card: Sequence[Section] = (),
) -> str:
    """Returns the report page as text; see `write_report` for the arguments."""
    known = [values for values in evaluation["attributes"].values() if values["num_known"]]
    lowest = min((min(values["accuracy_ci95"][0], values["majority_accuracy"]) for values in known), default=0.0)
    return render(
        "page.html",
        evaluation=evaluation,
        run=evaluation["run"],
        headline=headline(evaluation),
        axis_start=math.floor(10 * lowest) / 10,
        num_known=len(known),
        num_clear=sum(values["accuracy_ci95"][0] > values["majority_accuracy"] for values in known),
        contradiction_notes=consistency_notes(evaluation),
        contradictions=contradiction_rows(evaluation),
        masks=mask_iou_rows(evaluation),
        overlays=base64.b64encode(overlays).decode() if overlays else "",
        regions=", ".join(map(readable, REGIONS)),
        charts=training_charts(history),
        ended_early=ended_early(history),
        data=Path(evaluation["run"]["data_dir"]).name,
        settings=published(settings),
        card=card,
    )
