"""The pictures of a study: differences with their intervals, and the steps at which the groups have learned."""

import hashlib
import io
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from farkeras.studies.differences import Difference
from farkeras.studies.page import COMPARED, Study, measured
from farkeras.studies.plan import Question, Stage

# The card of the documentation's other pictures, legible on light and dark pages; the colours differ for all kinds of
# colour vision.
INK, CARD, FRAME = "#1b1f24", "#ffffff", "#d0d7de"
COLORS = ("#57606a", "#0072b2", "#c2570c")
MARKERS = ("D", "o", "s")
LIMIT = 6.0
"""Points that the axis of differences reaches at most; two seeds may have an interval of any width."""


def picture(study: Study, question: Question) -> str | None:
    """Draws the differences of a question at each stage and, with a reference, the steps to 90 % by group.

    The steps are those of the last stage and the question's first condition.

    Returns:
        The SVG file, with `digest` in it; None if nothing is measured.
    """
    stages = measured(study, question)
    if not stages:
        return None
    rows = [(condition, pair) for condition in question.conditions for pair in question.differences]
    found = [
        (row, stage, study.difference(stage, pair, condition, COMPARED[0]))
        for row, (condition, pair) in enumerate(rows)
        for stage in stages
    ]
    names = []
    for condition, pair in rows:
        name = " − ".join(map(study.label, pair))
        names.append(name if len(question.conditions) == 1 else f"{name}\n{study.condition_label(condition)}")
    convergence = study.convergence(stages[-1], question, question.conditions[0]) if question.reference else {}
    style: dict = {"svg.hashsalt": "farkeras", "svg.fonttype": "none", "font.family": "DejaVu Sans", "text.color": INK}
    with matplotlib.rc_context(style):
        heights = [1.1 + 0.5 * len(rows), *([1.1 + 0.42 * len(convergence)] if convergence else [])]
        figure = Figure(figsize=(9, sum(heights)), facecolor=CARD, layout="constrained")
        axes = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        _draw_differences(axes[0], found, names, stages)
        if convergence:
            _draw_steps(axes[1], convergence, [study.label(arm) for arm in convergence])
            if len(question.conditions) > 1:
                axes[1].set_title(study.condition_label(question.conditions[0]), fontsize=11, color=INK)
        if study.procedural:
            figure.suptitle("Procedural faces", fontsize=11, x=0.99, ha="right", color=COLORS[0])
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Description": digest(study, question)})
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


def digest(study: Study, question: Question) -> str:
    """Returns a digest of what the picture of a question shows, which the picture carries.

    Different versions of Matplotlib draw the same picture with other bytes, so a test compares digests.
    """
    lines = [question.title, study.procedural]
    for stage in measured(study, question):
        for condition in question.conditions:
            lines += [
                (stage.name, condition, pair, study.difference(stage, pair, condition, COMPARED[0]))
                for pair in question.differences
            ]
            lines.append(study.convergence(stage, question, condition) if question.reference else {})
    return hashlib.sha256(repr(lines).encode()).hexdigest()[:16]


def _draw_differences(
    axes: Axes, found: Sequence[tuple[int, Stage, Difference | None]], names: Sequence[str], stages: Sequence[Stage]
) -> None:
    bottom, cut_off = len(names) - 1, ""
    for row, stage, difference in found:
        number = stages.index(stage)
        color, height = COLORS[number % len(COLORS)], bottom - row - 0.2 * (number - (len(stages) - 1) / 2)
        if difference is None:
            continue
        if difference.interval:
            low, high = (max(-LIMIT, min(LIMIT, 100 * bound)) for bound in difference.interval)
            if LIMIT in (-low, high):
                cut_off = f", which are cut off at {LIMIT:g} points"
            axes.plot((low, high), (height, height), color=color, linewidth=2.5, solid_capstyle="butt")
        axes.plot(100 * difference.mean, height, MARKERS[number % len(MARKERS)], color=color, markersize=7)
    for number, stage in enumerate(stages):
        axes.plot([], [], MARKERS[number % 3], color=COLORS[number % 3], label=stage.title or stage.name)
    axes.axvline(0, color=INK, linewidth=1.2)
    axes.set_yticks(range(len(names)), list(reversed(names)), fontsize=11)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel(f"difference of balanced accuracy in points,\nwith 95 % intervals{cut_off}", fontsize=11)
    _plain(axes)
    axes.legend(frameon=False, fontsize=11, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)


def _draw_steps(axes: Axes, convergence: dict[str, dict[str, float]], names: Sequence[str]) -> None:
    for row, steps in enumerate(reversed(list(convergence.values()))):
        ordered = sorted(steps.values())
        axes.plot((ordered[0], ordered[-1]), (row, row), color=FRAME, linewidth=4, solid_capstyle="round")
        axes.plot(ordered, [row] * len(ordered), "o", color=COLORS[1], markersize=7, alpha=0.7)
    axes.set_yticks(range(len(names)), list(reversed(names)), fontsize=11)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(left=0)
    axes.set_xlabel("step to 90 % of the reference's final gain;\na dot is a group", fontsize=11)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.set_facecolor(CARD)
    axes.tick_params(length=0, labelsize=11, labelcolor=INK)
    axes.xaxis.label.set_color(INK)
    axes.grid(axis="x", color=FRAME, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
