"""Draws the report's charts of a training run: losses, validation metrics, group weights and convergence."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from farkeras.metrics.convergence import FRACTION, WINDOW, convergence_steps, running_mean, spread
from farkeras.metrics.history import training_lines, validation_lines
from farkeras.report.plots import Line, color_of, dot_chart, is_dashed, line_chart


class Chart(NamedTuple):
    """A chart of the page.

    Attributes:
        title: Title of the chart.
        note: One or two sentences on what the chart shows.
        svg: The `<svg>` element.
        legend: Name, colour and whether the line is dashed, for each curve.
    """

    title: str
    note: str
    svg: Markup
    legend: Sequence[tuple[str, str, bool]] = ()


def training_charts(history: list[dict]) -> list[Chart]:
    """Draws a chart for each kind of value in the history, the lines of `metrics.jsonl`."""
    training, validation = training_lines(history), validation_lines(history)
    weighted = any(weight != 1 for line in training for weight in (line.get("group_weight") or {}).values())
    charts = [
        _chart(
            "Training loss per group",
            f"Mean cross-entropy. Each curve is a running mean over {WINDOW} log lines; raw values are faint.",
            _curves(training, lambda line: line.get("group_loss"), smooth=True),
            from_zero=True,
        ),
        _chart(
            "Loss",
            "Loss of all groups. If the validation loss rises while the training loss falls, the model overfits.",
            _losses(training, validation),
            from_zero=True,
        ),
        _chart("Validation accuracy", "Mean over the attributes, in percent.", _accuracies(validation), percent=True),
        _chart(
            "Balanced accuracy per group",
            "On the validation split, in percent.",
            _curves(validation, lambda line: line["validation"].get("group_balanced_accuracy")),
            percent=True,
        ),
        _chart(
            "Weight of each group in the loss",
            "With uniform weights, each group has weight 1.",
            _curves(training if weighted else [], lambda line: line.get("group_weight")),
            from_zero=True,
        ),
        _chart(
            "Mask IoU per region",
            "On the validation split, in percent, against the masks made from MediaPipe's landmarks.",
            _curves(validation, lambda line: line["validation"].get("mask_iou")),
            percent=True,
            from_zero=True,
        ),
        _convergence(history),
    ]
    return [chart for chart in charts if chart]


def _curves(
    lines: list[dict], read: Callable[[dict], Mapping[str, float | None] | None], smooth: bool = False
) -> dict[str, Line]:
    """Collects a curve for each name; `read` returns name -> value for a line, where None or NaN leaves a gap."""
    found = [(line["step"], named) for line in lines if (named := read(line))]
    steps, curves = [step for step, _ in found], {}
    for name in found[0][1] if found else ():
        values = np.array([named.get(name) for _, named in found], dtype=np.float64)
        curves[name] = Line(steps, running_mean(values), values) if smooth else Line(steps, values)
    return curves


def _chart(
    title: str, note: str, curves: dict[str, Line], percent: bool = False, from_zero: bool = False
) -> Chart | None:
    if not curves:
        return None
    legend = [(name, color_of(number), is_dashed(number)) for number, name in enumerate(curves)]
    return Chart(title, note, line_chart(list(curves.values()), title, percent, from_zero), legend)


def _losses(training: list[dict], validation: list[dict]) -> dict[str, Line]:
    if not training:
        return {}
    validation = [line for line in validation if line["validation"].get("loss") is not None]
    return _curves(training, lambda line: {"Training": line["loss"]}, smooth=True) | _curves(
        validation, lambda line: {"Validation": line["validation"]["loss"]}
    )


def _accuracies(validation: list[dict]) -> dict[str, Line]:
    names = {"mean_accuracy": "Mean accuracy", "mean_balanced_accuracy": "Mean balanced accuracy"}
    names = {key: name for key, name in names.items() if any(key in line["validation"] for line in validation)}
    return _curves(validation, lambda line: {name: line["validation"].get(key) for key, name in names.items()})


def _convergence(history: list[dict]) -> Chart | None:
    steps = convergence_steps(history)
    if (between := spread(steps)) is None:
        return None
    title = "When each group has converged"
    note = Markup(
        f"A dot marks the first step at which a group's smoothed training loss has made {FRACTION:.0%} of its final "
        f"improvement. The first and the last group are <b>{between:,} steps</b> apart."
    )
    return Chart(title, note, dot_chart(steps, title))
