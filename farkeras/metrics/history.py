"""The record of a training run, `<workdir>/metrics.jsonl`: training and validation lines, JSON."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from farkeras.errors import FarkerasError


def read_history(path: str | Path) -> list[dict]:
    """The lines of a `metrics.jsonl` in file order; an empty list when there is no such file.

    A last line without its end is what a killed run leaves behind, and is dropped.

    Raises:
        FarkerasError: Another line is not a JSON object with a step.
    """
    path = Path(path)
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    complete, rest = lines[:-1], lines[-1]
    history = []
    for number, line in enumerate([*complete, rest], start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            if number > len(complete):
                break
            entry = None
        if not isinstance(entry, dict) or "step" not in entry:
            raise FarkerasError(f'{path}, line {number}: expected a JSON object with a "step"; remove the line.')
        history.append(entry)
    return history


def training_lines(history: Iterable[dict]) -> list[dict]:
    """The lines with the training loss, by step. Of a step trained twice, as a resumed run does,
    the later line counts."""
    return _by_step(history, lambda line: "loss" in line)


def validation_lines(history: Iterable[dict]) -> list[dict]:
    """The lines with validation figures by step, the later one of a step that was trained twice."""
    return _by_step(history, lambda line: "validation" in line)


def _by_step(history: Iterable[dict], wanted: Callable[[dict], bool]) -> list[dict]:
    lines = {line["step"]: line for line in history if wanted(line)}
    return [lines[step] for step in sorted(lines)]
