"""Draws charts as inline SVG; they take their colours and font from the surrounding page, light or dark."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from farkeras.report.summary import readable

INK, GRID = "#010203", "#040506"
"""Placeholder colours, which the finished SVG replaces by the page's CSS variables."""

COLORS = ("#3b82f6", "#d97706", "#059669", "#db2777", "#8b5cf6", "#0891b2", "#dc2626", "#65a30d")
STYLE: dict = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a name with two $ is not a formula
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
MAX_POINTS = 300
SIZE = (4.4, 2.7)
"""Width and height in inches; charts are narrow, so that their labels stay legible on a phone."""


def percent_ticks() -> FuncFormatter:
    """Returns a formatter of ticks that are fractions: in percent."""
    return FuncFormatter(lambda value, _: f"{100 * value:g}")


def color_of(number: int) -> str:
    """Returns the colour of the curve with this number."""
    return COLORS[number % len(COLORS)]


def is_dashed(number: int) -> bool:
    """Returns whether the curve with this number is dashed, because all colours are used already."""
    return (number // len(COLORS)) % 2 == 1


@dataclass
class Line:
    """A curve, thinned to `MAX_POINTS` evenly spread points, which keeps the page small.

    Attributes:
        steps: Training steps, `[n]`.
        values: Values at these steps, `[n]`.
        raw: Values before smoothing, `[n]`, drawn faintly behind the curve; None without smoothing.
    """

    steps: Sequence[float] | np.ndarray
    values: Sequence[float] | np.ndarray
    raw: Sequence[float] | np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.steps)
        kept = np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(int)
        for name, values in list(vars(self).items()):
            setattr(self, name, None if values is None else np.asarray(values, dtype=np.float64)[kept])


def line_chart(lines: Sequence[Line], description: str, percent: bool = False, from_zero: bool = False) -> Markup:
    """Draws curves over training steps.

    Args:
        lines: The curves; their order decides their colours. A NaN value leaves a gap.
        description: Text for screen readers.
        percent: Whether to label the values, which are fractions, in percent.
        from_zero: Whether the vertical axis starts at 0.

    Returns:
        An `<svg>` element.
    """

    def draw(axes: Axes) -> None:
        for number, line in enumerate(lines):
            color = color_of(number)
            if line.raw is not None:
                axes.plot(line.steps, line.raw, color=color, alpha=0.25, linewidth=0.8)
            axes.plot(
                line.steps,
                line.values,
                color=color,
                linestyle="--" if is_dashed(number) else "-",
                marker="o" if len(line.steps) <= 12 else None,
                markersize=3.5,
            )
        if from_zero:
            axes.set_ylim(bottom=0)
        if percent:
            axes.yaxis.set_major_formatter(percent_ticks())

    return _step_chart(draw, description)


def dot_chart(steps: Mapping[str, float | None], description: str) -> Markup:
    """Draws a dot for each name at its training step.

    Args:
        steps: Name -> step, or None for a name without a dot.
        description: Text for screen readers.

    Returns:
        An `<svg>` element.
    """

    def draw(axes: Axes) -> None:
        for number, step in enumerate(steps.values()):
            if step is not None:
                axes.plot([0, step], [number, number], color=color_of(number), linewidth=1.2)
                axes.plot(step, number, "o", color=color_of(number), markersize=7)
        axes.set_yticks(range(len(steps)), [readable(name) for name in steps])
        axes.set_ylim(len(steps) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)

    return _step_chart(draw, description)


def _step_chart(draw: Callable[[Axes], None], description: str) -> Markup:
    """Returns the `<svg>` element of a chart over training steps; `draw` draws its content."""

    def draw_over_steps(axes: Axes) -> None:
        draw(axes)
        axes.set_xlabel("training step")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))

    return svg_chart(draw_over_steps, description)


def svg_chart(draw: Callable[[Axes], None], description: str, size: tuple[float, float] = SIZE) -> Markup:
    """Draws a chart as inline SVG.

    Args:
        draw: Draws the chart's content and labels.
        description: Text for screen readers, different for each chart of a page.
        size: Width and height in inches.

    Returns:
        An `<svg>` element.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(dict(STYLE, **{"svg.hashsalt": description})):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<(metadata|style).*?</\1>", "", svg, flags=re.DOTALL)
    # Inline SVG in HTML needs no namespaces; without them the page contains no address at all.
    svg = re.sub(r' (xmlns(:xlink)?|version)="[^"]*"', "", svg).replace("xlink:href", "href")
    # Matplotlib gives the groups of every figure the same ids; references use only the hashed ids.
    svg = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", svg)
    svg = re.sub(r'width="[^"]*pt" height="[^"]*pt" ', "", svg, count=1)
    svg = svg.replace(INK, "var(--ink)").replace(GRID, "var(--line)")
    svg = svg.replace("'DejaVu Sans'", "inherit")
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1))
