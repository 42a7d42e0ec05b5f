"""The rows, the file of the results, the page and the picture."""

import json
from dataclasses import replace

import pytest

from farkeras.errors import FarkerasError
from speed import machine, report
from speed.ratios import NOT_MEASURED, Ratio
from speed.results import Results, in_order, read_results, write_results
from speed.rows import ROWS, Beside, Found, find_rows

ROOT = machine.ROOT
KEYS = (
    "far_amtn_forward far_amtn_train far_amtn_memory groups_forward mgmtn_forward mgmtn_train infer_float32_b1 "
    "infer_float32_b32 infer_best_b1 infer_best_b32 train_float32 train_bfloat16 gpu_train train_loop pipeline_demo "
    "pipeline_celeba mobile_int8 import_seconds"
).split()


@pytest.fixture
def results():
    (train, forward, gpu, imports) = (
        find_rows([key])[0] for key in ("train_float32", "far_amtn_forward", "gpu_train", "import_seconds")
    )
    found = [
        Found(train, Ratio(0.9, 0.88, 0.92), (Beside("PyTorch", 13.71, "images/s", (13.5, 14.0)),), "A note."),
        Found(forward, Ratio(1.01, 1.0, 1.02)),
        Found(gpu, note="It needs a GPU."),
        Found(imports, Ratio(0.09, 0.085, 0.11)),
    ]
    computer = {"processor": "Some Processor", "flags": ["avx512f"], "cores": 2, "memory_gib": 24.0, "system": "Linux"}
    load = {"start": [0.1, 0.2, 0.3], "end": [2.0, 1.0, 0.5]}
    versions = {"python": "3.11.7", "farkeras": "0.1.0", "torch": "2.13.0"}
    return Results("2026-01-02 03:04", "abc", computer, versions, 20, 21.5, load, in_order(found))


def test_every_row_of_the_goals_is_there():
    assert [row.key for row in ROWS] == KEYS


def test_an_unknown_row_is_named_with_the_known_ones():
    with pytest.raises(FarkerasError, match=r"Unknown row 'speed'\. Known: far_amtn_forward, "):
        find_rows(["train_loop", "speed"])


def test_rows_are_in_the_order_of_the_table(results):
    assert [found.row.key for found in results.found] == [
        "far_amtn_forward",
        "train_float32",
        "gpu_train",
        "import_seconds",
    ]


def test_the_file_holds_everything_and_reads_back(results, tmp_path):
    write_results(results, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == results
    values = json.loads((tmp_path / "results.json").read_text())
    assert {"date", "commit", "machine", "versions", "load", "rounds", "minutes", "rows"} <= set(values)
    row = values["rows"][1]
    assert (row["key"], row["value"], row["interval"]) == ("train_float32", 0.9, [0.88, 0.92])
    assert (row["goal"], row["direction"], row["verdict"]) == (1.0, "at least", "not met")
    assert row["what"]
    assert row["against"]
    assert row["floor"]
    assert row["unit"] == "ratio of speeds"
    assert values["rows"][2]["value"] is None
    assert values["rows"][2]["verdict"] == NOT_MEASURED
    assert values["machine"]["flags"] == ["avx512f"]


def test_a_file_of_another_version_and_no_file_are_errors(tmp_path):
    with pytest.raises(FarkerasError, match=r"format version 1\. Received: 7\. Run `make bench`\."):
        Results.from_json('{"format_version": 7}')
    with pytest.raises(FarkerasError, match=r"There are no results at .*none\.json"):
        read_results(tmp_path / "none.json")


def test_the_table_by_hand(results):
    lines = report.table(results.found[:2]).splitlines()
    assert lines[3] == (
        "| `train_float32`: FAR-AMTN's training step, 16 images, float32; against the compiled step of ResNet-50 in "
        "PyTorch | 0.90 (0.88 to 0.92) | at least 1 | not met |"
    )
    assert report.beside(results.found[1:3]).splitlines()[0] == (
        "- `train_float32`: PyTorch 13.7 images/s. A note. Floor: About 1.0: both call oneDNN's convolutions."
    )


def test_lines_of_the_terminal(results):
    assert report.line_of(results.found[3]) == (
        "import_seconds: 0.090 (0.085 to 0.110) s, goal at most 0.1 s: undecided."
    )
    assert report.line_of(results.found[2]) == "gpu_train: not measured. It needs a GPU."


def test_right_of_the_line_is_better(results):
    forward, train, *_ = results.found
    assert report.advantage(forward, 1.03) == 1  # at most 1.03
    assert report.advantage(forward, 2.06) == 0.5
    assert report.advantage(train, 1.5) == 1.5  # at least 1


def test_the_picture_has_each_measured_row(results):
    drawn = report.picture(results)
    assert all(found.row.key in drawn for found in results.found if found.ratio)
    assert "gpu_train" not in drawn
    assert "0.90 (0.88 to 0.92), goal at least 1" in drawn
    assert report.digest(results) in drawn
    assert report.digest(replace(results, rounds=21)) not in drawn


def test_a_page_without_marks_is_an_error(results):
    with pytest.raises(FarkerasError, match="The page must hold the lines '<!-- made by"):
        report.page_with("# Speed\n", results)


def test_a_busy_machine_is_said(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    assert machine.busy_message(0.1, "before the measurement") == ""
    assert "The machine is busy: the load average was 1.50 at the end, on 2 cores." in machine.busy_message(
        1.5, "at the end"
    )


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(FarkerasError, match=r"needs a C\+\+ compiler, and there is no 'no-such-compiler'"):
        machine.check_compiler()


def test_the_machine_and_the_versions():
    described = machine.describe_machine()
    assert described["cores"] >= 1
    assert described["processor"]
    assert set(described["flags"]) <= set(machine.FLAGS)
    assert "keras" in machine.versions()


def test_the_results_of_a_gpu_have_a_part_of_their_own(results):
    marks = [report.MARK.format(when) for when in ("begin", "end", "GPU, begin", "GPU, end")]
    page = "# Speed\n" + "\n".join(marks) + "\nEnd\n"
    on_a_gpu = replace(results, machine={**results.machine, "card": "NVIDIA H100"})
    written = report.page_with(page, on_a_gpu)
    assert written.startswith("# Speed\n" + "\n".join(marks[:3]) + "\n\nMeasured on ")
    assert "NVIDIA H100, in a machine with" in written
    assert "pictures/" not in written
    assert written.endswith(f"\n\n{marks[3]}\nEnd\n")


def test_the_page_and_the_picture_are_those_of_the_committed_results():
    committed, on_a_gpu = (read_results(ROOT / "benchmarks" / name) for name in ("results.json", "results_gpu.json"))
    page = report.read_page()
    assert report.page_with(report.page_with(page, committed), on_a_gpu) == page, "Run python benchmarks/speed_page.py"
    assert report.digest(committed) in report.PICTURE.read_text(), "Run python benchmarks/speed_page.py"
    assert {found.row.key for found in committed.found} == set(KEYS)
