"""Reading what a training run has written, also when it was killed or resumed."""

import pytest

from farkeras.errors import FarkerasError
from farkeras.metrics.history import read_history, training_lines, validation_lines


def test_lines_come_back_and_split(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2, "loss": 1}\n{"step": 2, "validation": {}}\n{"step": 1, "loss": 3}\n')
    history = read_history(path)
    assert [line["step"] for line in history] == [2, 2, 1]
    assert training_lines(history) == [{"step": 1, "loss": 3}, {"step": 2, "loss": 1}]
    assert validation_lines(history) == [{"step": 2, "validation": {}}]


def test_no_file_is_no_history(tmp_path):
    assert read_history(tmp_path / "metrics.jsonl") == []


def test_the_torn_last_line_of_a_killed_run_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 3}\n{"step": 2, "lo')
    assert read_history(path) == [{"step": 1, "loss": 3}]


@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"loss": 1}'])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
    with pytest.raises(FarkerasError, match=r"metrics\.jsonl, line 2"):
        read_history(path)
