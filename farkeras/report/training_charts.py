"""The charts of a training run for the report: losses, validation, group weights, convergence."""

from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from farkeras.metrics.convergence import FRACTION, WINDOW, convergence_steps, running_mean
from farkeras.metrics.history import training_lines, validation_lines
from farkeras.report.plots import Line, color_of, dot_chart, is_dashed, line_chart
from farkeras.report.summary import readable


def training_charts(history: list[dict]) -> str:
    """A figure for each thing the history has lines about, as HTML; empty when it has none."""
    training, validation = training_lines(history), validation_lines(history)
    groups = [line["group_weight"] for line in training if line.get("group_weight")]
    weighted = any(weight != 1 for weights in groups for weight in weights.values())
    return "".join(
        [
            _per_group(
                training,
                lambda line: line.get("group_loss"),
                "Training loss per group",
                f"Mean cross-entropy; running mean over {WINDOW} lines of the log, raw values faint.",
                smooth=True,
                from_zero=True,
            ),
            _losses(training, validation),
            _accuracies(validation),
            _per_group(
                validation,
                lambda line: line["validation"].get("group_balanced_accuracy"),
                "Balanced accuracy per group",
                "Percent, on the validation split.",
                percent=True,
            ),
            _per_group(
                training,
                lambda line: line.get("group_weight"),
                "Weight of each group in the loss",
                "1 is the same weight for all.",
                from_zero=True,
            )
            if weighted
            else "",
            _per_group(
                validation,
                lambda line: line["validation"].get("mask_iou"),
                "Mask IoU per region",
                "Percent, on the validation split, against the masks from MediaPipe's points.",
                percent=True,
                from_zero=True,
            ),
            _convergence(history),
        ]
    )


def _figure(title: str, note: str, svg: str, names: Sequence[str] = ()) -> str:
    legend = "".join(
        f"<span><i class='{'dashed' if is_dashed(number) else ''}' "
        f"style='color:{color_of(number)}'></i>{escape(readable(name))}</span>"
        for number, name in enumerate(names)
    )
    return (
        f"<figure class='card'><h3>{title}</h3><figcaption>{note}</figcaption>{svg}"
        f"<div class='legend'>{legend}</div></figure>"
    )


def _values(lines: Sequence[dict], read: Callable[[dict], float | None]) -> np.ndarray:
    """One number per line, NaN where there is none."""
    return np.array([read(line) for line in lines], dtype=np.float64)


def _per_group(
    lines: list[dict],
    read: Callable[[dict], dict | None],
    title: str,
    note: str,
    smooth: bool = False,
    **options,
) -> str:
    """A line per group of `read(line)`, which is group -> value or None."""
    lines = [line for line in lines if read(line)]
    if not lines:
        return ""
    steps, groups = [line["step"] for line in lines], list(read(lines[0]))
    curves = []
    for group in groups:
        values = _values(lines, lambda line, group=group: read(line).get(group))
        curves.append(Line(steps, running_mean(values), values) if smooth else Line(steps, values))
    return _figure(title, note, line_chart(curves, title, **options), groups)


def _losses(training: list[dict], validation: list[dict]) -> str:
    validation = [line for line in validation if line["validation"].get("loss") is not None]
    if not training:
        return ""
    raw = _values(training, lambda line: line["loss"])
    curves = [Line([line["step"] for line in training], running_mean(raw), raw)]
    if validation:
        values = _values(validation, lambda line: line["validation"]["loss"])
        curves.append(Line([line["step"] for line in validation], values))
    title, note = "Loss", "All groups together. Validation rising while training falls: overfitting."
    names = ("Training", "Validation")[: len(curves)]
    return _figure(title, note, line_chart(curves, title, from_zero=True), names)


def _accuracies(validation: list[dict]) -> str:
    names = {"mean_accuracy": "Mean accuracy", "mean_balanced_accuracy": "Mean balanced accuracy"}
    names = {key: name for key, name in names.items() if any(key in line["validation"] for line in validation)}
    if not names:
        return ""
    steps = [line["step"] for line in validation]
    curves = [Line(steps, _values(validation, lambda line, key=key: line["validation"].get(key))) for key in names]
    title, note = "Validation accuracy", "Percent, mean over attributes."
    return _figure(title, note, line_chart(curves, title, percent=True), list(names.values()))


def _convergence(history: list[dict]) -> str:
    result = convergence_steps(history)
    if result["spread"] is None:
        return ""
    title = "When each group has converged"
    note = (
        f"First step at which a group's training loss has come down by {FRACTION:.0%} of what it "
        f"comes down in the end. Spread over groups: <b>{result['spread']:,} steps</b>."
    )
    return _figure(title, note, dot_chart({readable(group): step for group, step in result["steps"].items()}, title))
