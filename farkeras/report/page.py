"""An evaluation as one HTML page that needs nothing but itself: style, charts and tables inside."""

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from farkeras.attributes import REGIONS
from farkeras.files import write_text
from farkeras.report.attribute_bars import attribute_bars
from farkeras.report.report_style import CSS
from farkeras.report.summary import (
    COLUMNS,
    PROCEDURAL,
    UNDEFINED,
    headline,
    interval,
    mask_iou_note,
    mask_iou_rows,
    percent,
    readable,
)
from farkeras.report.training_charts import training_charts


def write_report(
    evaluation: dict,
    history: list[dict],
    path: str | Path,
    settings: dict | None = None,
    overlays: bytes | None = None,
) -> None:
    """Writes the report; a file of that name is replaced only once the new one is whole.

    Args:
        evaluation: The result of `evaluate_attributes`, with an entry `run`: `{"model": path,
            "source": name, "data_dir": path, "split": name, "procedural": whether the images are
            drawings by farkeras, "undecodable": number of images left out}`. Of a model with masks also
            `mask_iou`, region -> IoU in 0..1 or None, and `mean_mask_iou`.
        history: The lines of `metrics.jsonl`; without any the page has no curves.
        path: The HTML file.
        settings: The settings of the training run, name -> value as in JSON.
        overlays: The picture of `farkeras.report.overlay.overlay_strip`, of a model with masks.
    """
    write_text(path, html_report(evaluation, history, settings or {}, overlays))


def html_report(evaluation: dict, history: list[dict], settings: dict, overlays: bytes | None = None) -> str:
    """The page as text; see `write_report`."""
    run = evaluation["run"]
    charts = training_charts(history)
    masks = mask_iou_rows(evaluation)
    left_out = f", {run['undecodable']:,} undecodable left out" if run["undecodable"] else ""
    parts = [
        f"<h1>{escape(run['model'])}</h1>",
        f"<p class='soft'>{evaluation['num_images']:,} images{left_out} · split "
        f"<b>{escape(run['split'])}</b> of {escape(run['data_dir'])} ({escape(run['source'])}) · "
        f"{len(evaluation['attributes'])} attributes in {len(evaluation['groups'])} groups · "
        f"figures in percent, {UNDEFINED} where the labels define none</p>",
        f"<p class='banner'>{PROCEDURAL}.</p>" if run["procedural"] else "",
        f"<div class='grid cards'>{''.join(map(_headline_card, headline(evaluation)))}</div>",
        "<h2>Accuracy against the majority baseline</h2>",
        attribute_bars(evaluation),
        "<h2>Groups</h2>",
        _table(
            ("Group", "Attributes", *COLUMNS.values()),
            (
                (readable(name), str(len(values["attributes"])), *(percent(values[key]) for key in COLUMNS))
                for name, values in evaluation["groups"].items()
            ),
        ),
        "<h2>Attributes</h2>",
        "<p class='soft'>Positive: share of known labels that are positive. Known: images with a "
        "label for the attribute.</p>",
        _table(
            ("Attribute", *COLUMNS.values(), "95 % interval", "Positive", "Known"),
            (
                (
                    readable(name),
                    *(percent(values[key]) for key in COLUMNS),
                    interval(values["accuracy_ci95"]),
                    percent(values["positive_rate"], 1),
                    f"{values['num_known']:,}",
                )
                for name, values in evaluation["attributes"].items()
            ),
        ),
        f"<h2>Mask IoU</h2><p class='soft'>{escape(mask_iou_note(evaluation))}</p>" if masks else "",
        _table(("Region", *(region for region, _ in masks)), [("IoU", *(iou for _, iou in masks))]) if masks else "",
        _overlays(overlays) if overlays else "",
        f"<h2>Training</h2><div class='grid'>{charts}</div>" if charts else "",
        f"<h2>Settings</h2><dl>{_settings(settings)}</dl>" if settings else "",
    ]
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>farkeras: {escape(run['model'])}</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _headline_card(figure: tuple[str, str, str]) -> str:
    name, value, remark = map(escape, figure)
    return (
        f"<div class='card'><span class='name'>{name}</span><strong>{value}</strong>"
        f"<span class='remark'>{remark}</span></div>"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr><th scope='row'>{escape(row[0])}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    return f"<div class='card scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _overlays(png: bytes) -> str:
    regions = ", ".join(map(readable, REGIONS))
    return (
        "<h2>Regions</h2><figure class='card'><div class='picture'>"
        f"<img alt='Faces with the outlines of {regions}' src='data:image/png;base64,{base64.b64encode(png).decode()}'>"
        "</div><figcaption>Where the model sees the regions of the face: outlines of its masks at threshold 0.5. "
        "Object is all of the face.</figcaption></figure>"
    )


def _settings(settings: dict) -> str:
    def text(value) -> str:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text(value))}</dd></div>" for name, value in settings.items()
    )
