"""Writes the page of a study, its pictures and its summary in another page."""

import os
from collections.abc import Sequence
from pathlib import Path

from farkeras.files import as_path, write_text, writing
from farkeras.report.summary import UNDEFINED, markdown_table
from farkeras.studies.differences import spread
from farkeras.studies.page import (
    BEGIN,
    COMPARED,
    END,
    NOT_MEASURED,
    Study,
    generated,
    heading,
    overview,
    page_with,
    points,
    shown,
)
from farkeras.studies.pictures import picture

SUMMARY_BEGIN, SUMMARY_END = "<!-- study: start -->", "<!-- study: end -->"


def write_page(study: Study, page: str | os.PathLike, tables: Sequence[str] = ()) -> list[Path]:
    """Writes the page of a study and, in the folder `pictures` next to it, a picture for each measured question.

    If the page exists, only its part between the marks `BEGIN` and `END` is replaced.

    Args:
        study: The plan and its results.
        page: The Markdown file.
        tables: More parts of the page, see `farkeras.studies.paper_tables`.

    Returns:
        The files.

    Raises:
        FarkerasError: The page exists and lacks a mark, or a file cannot be written.
    """
    page = as_path(page)
    before = page.read_text(encoding="utf-8") if page.exists() else f"# Study\n\n{BEGIN}\n{END}\n"
    files, shown = [], {}
    with writing(page, instead="page"):
        for question in study.plan.questions.values():
            drawn, name = picture(study, question), f"pictures/study_{question.name}.svg"
            if drawn:
                write_text(page.parent / name, drawn)
                files.append(page.parent / name)
                shown[question.name] = name
        write_text(page, page_with(before, generated(study, shown, tables), where=page))
    return [page, *files]


def write_summary(study: Study, page: str | os.PathLike, details: str | os.PathLike = "") -> None:
    """Writes the first question of the plan, at the last stage that has results, between the marks of a page.

    Args:
        study: The plan and its results.
        page: The Markdown file.
        details: The page of the study, to link to; "" for none.

    Raises:
        FarkerasError: The page does not exist or lacks a mark, or cannot be written.
    """
    page = as_path(page)
    link = Path(os.path.relpath(as_path(details), page.parent)).as_posix() if details else ""
    with writing(page, instead="summary"):
        before = page.read_text(encoding="utf-8")
        write_text(page, page_with(before, summary(study, link), SUMMARY_BEGIN, SUMMARY_END, page))


def summary(study: Study, link: str = "") -> str:
    """Returns the arms of the first question beside its first arm, the baseline, and how they were measured."""
    question = next(iter(study.plan.questions.values()))
    stages, condition = [s for s in study.plan.stages.values() if question.name in s.questions], question.conditions[0]
    with_results = [s for s in stages if any(study.runs(s, arm, condition) for arm in question.arms)]
    stage, baseline = (with_results or stages)[-1], question.arms[0]
    rows = []
    for arm in question.arms:
        values, accuracy = (
            shown(spread(list(study.metric(stage, arm, condition, each).values()))) for each in COMPARED
        )
        difference, interval = points(study.difference(stage, (arm, baseline), condition, COMPARED[0]))
        runs = list(study.runs(stage, arm, condition).values())
        parameters = f"{runs[0].parameters:,}" if runs else NOT_MEASURED
        compared = UNDEFINED if arm == baseline else f"{difference} ({interval})"
        rows.append((study.label(arm), values, compared, accuracy, parameters))
    header = ("Arm", "Balanced accuracy", f"Difference to {study.label(baseline)}", "Accuracy", "Parameters")
    more = f" The page [Study]({link}) has the other parts of the papers." if link else ""
    return "\n\n".join(
        [
            f"{question.title} {heading(study, stage, [condition])}",
            markdown_table(header, rows),
            "Metrics are in percent, mean ± standard deviation over the seeds; the difference is paired, in points, "
            f"with its 95 % interval. `{study.command}` measures them. {overview(study)}{more}",
        ]
    )
