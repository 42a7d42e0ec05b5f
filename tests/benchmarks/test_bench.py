"""The command, and rows that are measured in small, in this process."""

import importlib
import json

import bench
import numpy as np
import pytest

from farkeras.errors import FarkerasError
from speed import imports, loop, measure, runtimes, worker
from speed.results import Results
from speed.rows import ROWS, Found
from speed.sides import Measured

SMALL = {"backbone": "ResNetTiny", "image_size": [32, 32]}


@pytest.fixture
def in_this_process(monkeypatch):
    """Builds and measures the sides here, one after the other."""

    def take_turns(sides, rounds):
        measured = {}
        for side in sides:
            module, _, name = side.factory.partition(":")
            call = getattr(importlib.import_module(module), name)(**side.arguments)
            turns = [worker.turn(call, side.calls) for _ in range(rounds)]
            measured[side.name] = Measured([t["seconds"] for t in turns], [t["memory"] for t in turns])
        return measured

    monkeypatch.setattr(measure, "take_turns", take_turns)


def test_a_row_from_the_model_to_its_verdict(in_this_process, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "BATCH", 2)
    (found,) = measure.far_amtn_forward(measure.Options(2, tmp_path, changes=SMALL))
    assert found.row.key == "far_amtn_forward"
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    assert [figure.name for figure in found.beside] == ["FAR-AMTN", "bare backbone"]


def test_the_best_form_is_the_fastest_that_loses_little(monkeypatch, tmp_path):
    seconds = {
        "PyTorch float32": 12,
        "PyTorch bfloat16": 6,
        "OpenVINO float32": 10,
        "ONNX Runtime float32": 11,
        "OpenVINO bfloat16": 5,
        "OpenVINO int8 and float32": 4,
        "OpenVINO int8 and bfloat16": 3,
        "OpenVINO int8 with float_parts=ends and float32": 3.5,
        "OpenVINO int8 with float_parts=ends and bfloat16": 2,
    }
    monkeypatch.setattr(measure, "forms", lambda: runtimes.FORMS)
    monkeypatch.setattr(
        measure, "take_turns", lambda sides, rounds: {s.name: Measured([seconds[s.name]] * rounds) for s in sides}
    )
    files = {name: name for name in ("float32", "int8", "ends", "onnx")} | {"image_size": (32, 32)}

    def best(*allowed):
        options = measure.Options(2, tmp_path, allowed)
        float32, best = measure._inference(options, files, 32, 1)
        assert float32.ratio.value == 12 / 10
        assert best.beside[0].name == "OpenVINO int8 with float_parts=ends and bfloat16 against PyTorch bfloat16"
        return best.ratio.value

    assert best("OpenVINO bfloat16", "OpenVINO int8 and float32", "OpenVINO int8 and bfloat16") == 6 / 3
    assert best("OpenVINO bfloat16", "OpenVINO int8 and float32", "LiteRT int8") == 6 / 4
    assert best() == 6 / 10


def test_a_processor_without_bfloat16_measures_the_other_forms(monkeypatch):
    monkeypatch.setattr("farkeras.clients.openvino.has_bfloat16", lambda: False)
    ends = "OpenVINO int8 with float_parts=ends and float32"
    assert list(runtimes.forms()) == ["OpenVINO float32", "OpenVINO int8 and float32", ends]


def test_private_blocks_have_a_block_for_each_group():
    from speed.networks import build

    shared, private = (
        build("celeba", False, groups=40, private=private, backbone="ResNetTiny", image_size=(32, 32))
        for private in (False, True)
    )
    assert private.output["logits"].shape == shared.output["logits"].shape == (None, 40)
    assert private.count_params() > 10 * shared.count_params()


def test_train_is_measured_beside_its_bare_step(faces_dir, monkeypatch):
    monkeypatch.setattr(loop, "STEPS", 2)
    settings = {"image_size": (32, 32), "batch_size": 8, "backbone_alpha": 0.25}
    seconds = loop.train_loop(str(faces_dir), 2, **settings)
    assert [len(seconds["loop"]), len(seconds["bare"])] == [2, 2]
    assert all(np.array(seconds["loop"]) > 0)


def test_every_row_is_measured_here_or_on_a_gpu():
    here = [key for covered, _ in measure.GROUPS for key in covered]
    assert sorted([*here, *measure.ON_A_GPU]) == sorted(row.key for row in ROWS)
    assert [group for _, group in measure.groups_for({"infer_best_b1", "infer_float32_b1"})] == [measure.inference]


def test_the_time_of_an_import():
    assert imports.fresh_seconds("time.sleep(0.05)") >= 0.05  # the timed line has imported time
    with pytest.raises(FarkerasError, match="The code 'import nothing_here' cannot be measured: ModuleNotFoundError"):
        imports.fresh_seconds("import nothing_here")


def test_wrong_options_end_with_a_sentence(capsys):
    with pytest.raises(SystemExit, match=r"error: Unknown row 'train'\. Known: far_amtn_forward"):
        bench.main(["--only", "train"])
    with pytest.raises(SystemExit):
        bench.parse(["--rounds", "0"])
    assert "--rounds must be at least 1. Received: 0." in capsys.readouterr().err


def test_some_rows_are_printed_and_written_only_where_output_says(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(measure, "alternate", lambda codes, rounds: {name: np.full(rounds, 0.05) for name in codes})
    monkeypatch.setattr(measure, "alone", lambda *_, **__: ("model.keras", [32, 32]))
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    bench.main(["--only", "import_seconds", "gpu_train", "--rounds", "4"])
    printed = capsys.readouterr().out
    assert "import_seconds: 0.050 (0.050 to 0.050) s, goal at most 0.1 s: met." in printed
    assert not list(tmp_path.iterdir())
    bench.main(["--only", "import_seconds", "gpu_train", "--output", str(tmp_path / "some.json")])
    rows = {row["key"]: row for row in json.loads((tmp_path / "some.json").read_text())["rows"]}
    assert set(rows) == {row.key for row in ROWS}
    assert rows["import_seconds"]["verdict"] == "met"
    assert rows["gpu_train"]["note"] == "This row needs a GPU; benchmarks/gpu.py measures it."
    assert rows["train_loop"]["verdict"] == "not measured"


def test_rows_that_a_measurement_leaves_out_stay_with_their_date(monkeypatch, tmp_path):
    def measured(keys, rounds, run):
        rows = [
            measure.found(row.key, np.ones(2), np.ones(2))
            if row.key in keys
            else Found(row, note=bench.why_not(row.key))
            for row in ROWS
        ]
        date = f"2026-01-0{len(rounds_seen) + 1} 00:00"
        rounds_seen.append(rounds)
        machine = bench.describe_machine()
        return Results(date, f"c{len(rounds_seen)}", machine, {}, rounds, 1.0, {"start": [0], "end": [0]}, tuple(rows))

    rounds_seen = []
    monkeypatch.setattr(bench, "measure", measured)
    output = tmp_path / "results.json"
    for keys in (["train_loop", "mgmtn_train"], ["train_loop"], ["train_loop"]):
        bench.main(["--only", *keys, "--output", str(output)])
    rows = {row["key"]: row for row in json.loads(output.read_text())["rows"]}
    assert rows["mgmtn_train"]["verdict"] == "met"
    assert rows["mgmtn_train"]["when"] == "Measured on 2026-01-01 00:00 UTC at commit c1, in 20 rounds."
    assert rows["train_loop"]["when"] == ""
    assert rows["gpu_train"]["note"] == "This row needs a GPU; benchmarks/gpu.py measures it."
    assert rows["import_seconds"]["verdict"] == "not measured"

    monkeypatch.setattr(bench, "describe_machine", lambda: {"processor": "Another", "cores": 4})
    with pytest.raises(
        SystemExit, match=r"results of another machine: .* Received: Another with 4 cores\. Name another"
    ):
        bench.main(["--only", "train_loop", "--output", str(output)])
    assert len(rounds_seen) == 3, "it was measured before the file was looked at"


def test_a_row_that_fails_says_why_and_the_others_are_measured(monkeypatch, capsys, tmp_path):
    def fails(options):
        raise FarkerasError("The side 'PyTorch' cannot be measured: no compiler.")

    def works(options):
        yield measure.found("train_float32", np.ones(2), np.ones(2))

    monkeypatch.setattr(measure, "GROUPS", ((("mgmtn_train",), fails), (("train_float32",), works)))
    with pytest.raises(SystemExit, match=r"error: Not measured: mgmtn_train; the reasons are above\."):
        bench.main(["--only", "mgmtn_train", "train_float32", "--output", str(tmp_path / "some.json")])
    assert "mgmtn_train: not measured. The side 'PyTorch' cannot be measured: no compiler." in capsys.readouterr().out
    rows = {row["key"]: row for row in json.loads((tmp_path / "some.json").read_text())["rows"]}
    assert rows["train_float32"]["value"] == 1
