"""The record of a training run, `<workdir>/metrics.jsonl`: training and validation lines, JSON."""

import json
from collections.abc import Iterable
from pathlib import Path

from farkeras.errors import FarkerasError
from farkeras.files import as_path


def read_history(path: str | Path) -> list[dict]:
    """The lines of a `metrics.jsonl` in file order; an empty list when there is no such file.

    A last line without its end is what a killed run leaves behind, and is dropped.

    Raises:
        FarkerasError: Another line is not a JSON object with a step.
    """
    path, history = as_path(path), []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            if not line.endswith("\n"):
                break
            entry = None
        if not isinstance(entry, dict) or "step" not in entry:
            raise FarkerasError(f'{path}, line {number}: expected a JSON object with a "step"; remove the line.')
        history.append(entry)
    return history


def training_lines(history: Iterable[dict]) -> list[dict]:
    """The lines with the training loss, by step; the later one of a step that a resumed run trained again."""
    return _by_step(history, "loss")


def validation_lines(history: Iterable[dict]) -> list[dict]:
    """The lines with validation figures, by step; the later one of a step that a resumed run trained again."""
    return _by_step(history, "validation")


def _by_step(history: Iterable[dict], key: str) -> list[dict]:
    lines = {line["step"]: line for line in history if key in line}
    return [lines[step] for step in sorted(lines)]
