"""Writes the page of a study, its pictures and its summary in another page."""

import os
from collections.abc import Sequence
from pathlib import Path

from farkeras.files import as_path, write_text, writing
from farkeras.studies.page import BEGIN, END, Study, generated, overview, page_with, section
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


def write_summary(study: Study, page: str | os.PathLike) -> None:
    """Writes the first question of the plan, at the last stage that has results, between the marks of a page.

    Raises:
        FarkerasError: The page does not exist or lacks a mark, or cannot be written.
    """
    page = as_path(page)
    with writing(page, instead="summary"):
        before = page.read_text(encoding="utf-8")
        write_text(page, page_with(before, summary(study), SUMMARY_BEGIN, SUMMARY_END, page))


def summary(study: Study) -> str:
    """Returns what the summary says: how the study was measured, and the tables of its first question."""
    question = next(iter(study.plan.questions.values()))
    stages = [stage for stage in study.plan.stages.values() if question.name in stage.questions]
    with_results = [s for s in stages if any(study.runs(s, a, c) for a in question.arms for c in question.conditions)]
    stage = (with_results or stages)[-1]
    text = f"{question.title} `{study.command}` measured this. {overview(study)}"
    return "\n\n".join([text, *section(study, question, stage)])
