"""The page docs/speed.md, its table and its picture, made from `results.json`: `python benchmarks/speed_page.py`."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from farkeras.errors import FarkerasError
from speed.machine import ROOT, busy_message
from speed.ratios import AT_LEAST, MET, NOT_MEASURED, NOT_MET, UNDECIDED
from speed.results import Results
from speed.rows import SECONDS, Beside, Found

PAGE = ROOT / "docs" / "speed.md"
PICTURE = ROOT / "docs" / "pictures" / "speed.svg"
MARK = "<!-- made by benchmarks/speed_page.py: {} -->"

# The card of the other pictures, legible on light and dark pages; the colours differ for all kinds of colour vision.
INK, CARD, FRAME, FAINT = "#1b1f24", "#ffffff", "#d0d7de", "#57606a"
COLORS = {MET: "#0072b2", UNDECIDED: "#57606a", NOT_MET: "#c2570c"}
TICKS = (0.5, 0.75, 1, 1.5, 2, 3)
MARKERS = {MET: "o", UNDECIDED: "D", NOT_MET: "s"}


def line_of(found: Found) -> str:
    """Returns a row as a line for the terminal."""
    if not found.ratio:
        return f"{found.row.key}: {NOT_MEASURED}. {found.note}"
    beside = "; ".join(f"{figure.name} {shown(figure)}" for figure in found.beside)
    return f"{found.row.key}: {value_of(found)}, goal {goal_of(found)}: {found.verdict}. {beside} {found.note}".strip()


def value_of(found: Found) -> str:
    """Returns the value with its interval: "1.02 (1.01 to 1.03)"."""
    if not found.ratio:
        return ""
    digits = 3 if found.row.unit == SECONDS else 2
    value, low, high = (f"{number:.{digits}f}" for number in found.ratio)
    return f"{value} ({low} to {high})" + (" s" if found.row.unit == SECONDS else "")


def goal_of(found: Found) -> str:
    """Returns the goal: "at most 1.03"."""
    return f"{found.row.direction} {found.row.goal:g}" + (" s" if found.row.unit == SECONDS else "")


def shown(figure: Beside) -> str:
    """Returns a figure beside a row with three digits and its unit."""
    number = f"{figure.value:,.0f}" if abs(figure.value) >= 100 else f"{figure.value:.3g}"
    return f"{number} {figure.unit}"


def table(rows: Sequence[Found]) -> str:
    """Returns the rows as a Markdown table."""
    lines = ["| Row | Value (95 % interval) | Goal | Result |", "|---|---:|---:|---|"]
    for found in rows:
        row = found.row
        what = f"`{row.key}`: {row.what}" + (f"; against {row.against}" if row.against else "")
        lines.append(f"| {what} | {value_of(found)} | {goal_of(found)} | {found.verdict} |")
    return "\n".join(lines)


def beside(rows: Sequence[Found]) -> str:
    """Returns the figures beside the rows, their notes and their floors, as a Markdown list."""
    lines = []
    for found in rows:
        figures = "; ".join(f"{figure.name} {shown(figure)}" for figure in found.beside)
        sentences = [found.note, found.when, f"Floor: {found.row.floor}"]
        lines.append(f"- `{found.row.key}`: {' '.join(filter(None, [figures and figures + '.', *sentences]))}")
    return "\n".join(lines)


def conditions(results: Results) -> str:
    """Says on what, when and with which versions the rows were measured."""
    machine, load = results.machine, results.load
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
    if machine.get("card"):
        where = f"{machine['card']}, in a machine with {where}"
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items() if name != "farkeras")
    text = (
        f"Measured on {results.date} UTC at commit {results.commit}, in {results.minutes} minutes with "
        f"{results.rounds} rounds: {where} ({', '.join(machine['flags'])}); {versions}. The load average was "
        f"{load['start'][0]} at the start and {load['end'][0]} at the end."
    )
    left_out = (
        "" if all(found.ratio or found.note for found in results.found) else "Rows without a value were left out."
    )
    return " ".join(filter(None, (text, left_out, busy_message(load["start"][0], "before the measurement"))))


def generated(results: Results) -> str:
    """Returns the part of the page that the results decide. Results of a GPU have no picture."""
    measured = [f"{found.row.key} {found.verdict}" for found in results.found if found.ratio]
    parts = [conditions(results), table(results.found), beside(results.found)]
    if measured and not results.machine.get("card"):
        alt = "Value of each row relative to its goal: " + ", ".join(measured)
        parts.insert(1, f"![{alt}](pictures/{PICTURE.name})")
    return "\n\n".join(parts)


def page_with(page: str, results: Results) -> str:
    """Replaces the part of a page between the two marks for a processor, or for a GPU if the results name its card.

    Raises:
        FarkerasError: A mark is missing.
    """
    kind = "GPU, " if results.machine.get("card") else ""
    marks = MARK.format(f"{kind}begin"), MARK.format(f"{kind}end")
    head, begin, rest = page.partition(marks[0])
    _, end, tail = rest.partition(marks[1])
    if not begin or not end:
        lines = " and ".join(f"'{mark}'" for mark in marks)
        raise FarkerasError(f"The page must hold the lines {lines}. Write them where the table belongs.")
    return f"{head}{begin}\n\n{generated(results)}\n\n{end}{tail}"


def digest(results: Results) -> str:
    """Returns the digest of the results that the picture carries."""
    return hashlib.sha256(results.to_json().encode()).hexdigest()[:16]


def picture(results: Results) -> str:
    """Draws one line for each measured row: its value relative to the goal, so that to the right is always better.

    Returns:
        The SVG file, with `digest(results)` in it.
    """
    rows = [found for found in results.found if found.ratio]
    style = {"svg.hashsalt": "farkeras", "svg.fonttype": "none", "font.family": "DejaVu Sans", "text.color": INK}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(11, 1.2 + 0.42 * len(rows)), facecolor=CARD, layout="constrained")
        axes = figure.add_subplot(facecolor=CARD)
        for height, found in enumerate(reversed(rows)):
            value, low, high = (min(advantage(found, number), TICKS[-1]) for number in found.ratio or ())
            color, at = COLORS[found.verdict], (min(low, high), max(low, high))
            axes.plot(at, (height, height), color=color, linewidth=3, solid_capstyle="butt")
            marker = ">" if value == TICKS[-1] else MARKERS[found.verdict]  # the value is further to the right
            axes.plot(value, height, marker, color=color, markersize=9, clip_on=False)
            text = f"{value_of(found)}, goal {goal_of(found)}"
            axes.annotate(text, (1, height), (8, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                          va="center", fontsize=13, color=INK, annotation_clip=False)  # fmt: skip
        axes.axvline(1, color=INK, linewidth=1.5)
        axes.set_xscale("log")
        axes.set_yticks(range(len(rows)), [found.row.key for found in reversed(rows)], fontsize=13, color=INK)
        axes.set_xlabel("value relative to the goal: right of the line is better than the goal", fontsize=13)
        axes.xaxis.label.set_color(INK)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.minorticks_off()
        axes.set_xlim(min(TICKS[0], axes.get_xlim()[0]), TICKS[-1])
        axes.set_xticks(TICKS)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.tick_params(length=0, labelsize=13, labelcolor=INK)
        axes.grid(axis="x", color=FRAME, linewidth=0.8)
        axes.set_axisbelow(True)
        for side in axes.spines.values():
            side.set_visible(False)
        handles = [axes.plot([], [], MARKERS[v], color=COLORS[v], label=v, markersize=9)[0] for v in COLORS]
        figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=13)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Description": digest(results)})
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


def advantage(found: Found, number: float) -> float:
    """Returns a value relative to the goal, above 1 where it is better than the goal."""
    return number / found.row.goal if found.row.direction == AT_LEAST else found.row.goal / number


def read_page(path: Path = PAGE) -> str:
    """Reads the page."""
    return path.read_text(encoding="utf-8")
