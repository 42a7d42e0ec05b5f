"""Draws the report's charts of calibration and abstaining."""

from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.axes import Axes

from farkeras.report.plots import INK, color_of, percent_ticks, svg_chart
from farkeras.report.summary import percent, readable
from farkeras.report.training_charts import Chart

WORST = 5
SQUARE = (4.0, 3.5)
_NAMES = {"before": "Before calibration", "after": "After calibration"}
_PLACES = {"at_50": "At 50 %", "at_thresholds": "At the thresholds"}


def reliability_charts(calibration: Mapping) -> list[Chart]:
    """Draws the reliability of all attributes together, and of the attributes with the largest errors.

    Args:
        calibration: The entry `calibration` of an evaluation.
    """
    shown = {name: calibration[name] for name in _NAMES if name in calibration}
    last = list(shown.values())[-1]
    errors = {
        name: values["expected_calibration_error"]
        for name, values in last["attributes"].items()
        if values["expected_calibration_error"] is not None
    }
    if not errors:
        return []
    legend = [(_NAMES[name], color_of(number), False) for number, name in enumerate(shown)]
    note = "The labels of all attributes together. On the diagonal, probabilities equal frequencies."
    curves = {name: values["curve"] for name, values in shown.items()}
    charts = [Chart("Reliability", note, _reliability(curves, "Reliability"), legend)]
    for attribute in sorted(errors, key=lambda name: -errors[name])[:WORST]:
        title = readable(attribute)
        found = [values["attributes"][attribute] for values in shown.values()]
        note = "Calibration error " + " before, ".join(percent(f["expected_calibration_error"]) for f in found)
        note += " after calibration." if len(found) > 1 else "."
        curves = {name: values["curve"] for name, values in zip(shown, found, strict=True)}
        charts.append(Chart(title, note, _reliability(curves, f"Reliability of {title}"), legend))
    return charts


def _reliability(curves: Mapping[str, Mapping], description: str) -> Markup:
    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=1, linestyle=":")
        for number, curve in enumerate(curves.values()):
            axes.plot(
                curve["predicted"],
                curve["observed"],
                color=color_of(number),
                marker="o",
                markersize=3.5,
                linewidth=1.2,
                alpha=0.9,
            )
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set_xlabel("predicted probability, percent")
        axes.set_ylabel("positive labels, percent")
        axes.xaxis.set_major_formatter(percent_ticks())
        axes.yaxis.set_major_formatter(percent_ticks())

    return svg_chart(draw, description, SQUARE)


def risk_coverage_chart(curves: Mapping[str, Mapping | None]) -> Chart | None:
    """Draws the accuracy by the share of answers that are kept; None without labels.

    Args:
        curves: The entry `risk_coverage` of an evaluation.
    """
    known = {name: curve for name in _PLACES if (curve := curves.get(name))}
    if not known:
        return None

    def draw(axes: Axes) -> None:
        for number, curve in enumerate(known.values()):
            axes.plot(curve["coverage"], curve["accuracy"], color=color_of(number))
        axes.set_xlabel("answers kept, percent")
        axes.set_ylabel("accuracy, percent")
        axes.xaxis.set_major_formatter(percent_ticks())
        axes.yaxis.set_major_formatter(percent_ticks())

    title = "Accuracy of the answers kept"
    note = "All attributes together; at the right end, every answer is kept."
    legend = [(_PLACES[name], color_of(number), False) for number, name in enumerate(known)]
    return Chart(title, note, svg_chart(draw, title), legend)
