"""The record of a training run, `<workdir>/metrics.jsonl`: one JSON object per line, for training or validation."""

import json
from collections.abc import Iterable
from pathlib import Path

from farkeras.errors import FarkerasError
from farkeras.files import as_path


def read_history(path: str | Path) -> list[dict]:
    """Reads the lines of a `metrics.jsonl`.

    An incomplete last line is ignored, because a killed run may leave one behind.

    Args:
        path: The file.

    Returns:
        The lines in the order of the file; an empty list if the file does not exist.

    Raises:
        FarkerasError: A line is not a JSON object with a step.
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
    """Returns the lines with a training loss, ordered by step.

    If a resumed run repeated a step, its later line counts.
    """
    return _by_step(history, "loss")


def validation_lines(history: Iterable[dict]) -> list[dict]:
    """Returns the lines with validation metrics, ordered by step.

    If a resumed run repeated a step, its later line counts.
    """
    return _by_step(history, "validation")


def ended_early(history: Iterable[dict]) -> str:
    """Returns the sentence with which `patience` ended the run, or "" if it did not."""
    return next((line["ended_early"] for line in history if "ended_early" in line), "")


def _by_step(history: Iterable[dict], key: str) -> list[dict]:
    lines = {line["step"]: line for line in history if key in line}
    return [lines[step] for step in sorted(lines)]
