"""The command study: its list, its page, what it refuses; and the committed study."""

import json
from pathlib import Path

import pytest

import farkeras
from farkeras import study as command
from farkeras.cli.flags import Flags
from farkeras.cli.run import call
from farkeras.models.presets import PRESETS
from farkeras.studies.page import BEGIN, Study, generated, page_with
from farkeras.studies.pictures import digest, picture
from farkeras.studies.plan_file import read_plan
from farkeras.studies.queue import trials_of
from farkeras.studies.results import check_results, read_results, write_result
from tests.studies.small_study import PLAN, made_up

ROOT = Path(farkeras.__file__).parents[1]


def options_of(*arguments):
    options = Flags()
    command.define(options)
    options.parse(["study", *map(str, arguments)])
    return options


@pytest.fixture
def folder(tmp_path):
    """A plan, its flagfile, and results of two of its trials."""
    (tmp_path / "own.toml").write_text(PLAN)
    flags = ["--plan=own.toml", "--results=results", "--epochs=4", "--data_dir=data/faces", "--page=own.md"]
    (tmp_path / "own.flags").write_text("\n".join(flags))
    plan = read_plan(tmp_path / "own.toml", farkeras.Config(epochs=4.0, data_dir="data/faces"))
    for trial, value in zip(plan.search_trials("trunk"), (0.8, 0.7), strict=True):
        write_result(made_up(plan, trial, value), tmp_path / "results")
    return tmp_path


def test_the_list(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    command.main(options_of("--flagfile=own.flags", "--list"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["trial", "state", "minutes"]
    assert lines[1].split() == ["screen/trunk-standard-lr0.001-seed0", "done", "1.0"]
    assert lines[3].split() == ["screen/far-standard-lr0.001-seed0", "ready", "1.0"]
    assert lines[-1] == "2 of 16 trials are done. The others train for about 0.3 hours, at the measured speed."
    command.main(options_of("--flagfile=own.flags", "--list", "--only=confirm/far-*"))
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 of 2 trials are done.")


def test_the_list_before_a_trial_is_measured(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    command.main(options_of("--flagfile=own.flags", "--results=none", "--list"))
    assert "Their time is unknown before a first trial is measured" in capsys.readouterr().out
    given = ("--images_per_second=100", "--training_images=1600")
    command.main(options_of("--flagfile=own.flags", "--results=none", "--list", *given))
    # 1,600 images: 12 trials of 2 epochs and 4 of 4 epochs, 640 s.
    assert "The others train for about 0.2 hours, at the given speed." in capsys.readouterr().out


def test_the_page(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    command.main(options_of("--flagfile=own.flags", "--report"))
    assert capsys.readouterr().out == "own.md\n"  # no difference is measured yet, so there is no picture
    assert "`python -m farkeras.study --flagfile=own.flags`" in (folder / "own.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "--plan is missing. TOML file with the arms, conditions, stages and questions."),
        (["--plan=own.toml", "--results=results", "--epochs=4"], "--workdir is missing. Name the folder of the runs."),
        (["--plan=own.toml", "mgmtn"], "Unexpected argument 'mgmtn'. Give settings as --name=value."),
    ],
)
def test_errors(arguments, error, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert call(command.define, command.main, ["study", *arguments]) == 1
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.fixture(scope="module")
def committed():
    """The study that the repository contains."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        options = options_of("--flagfile=configs/study.flags")
        recipe = options.config()
        plan, results = read_plan(options.plan, recipe), read_results(options.results)
        check_results(plan, recipe, results, options.results)
        return Study(plan, recipe, results, command.command_of(options.plan)), command.tables_of(options)


def test_the_page_is_that_of_the_committed_results(committed):
    study, tables = committed
    page = (ROOT / "docs/study.md").read_text(encoding="utf-8")
    drawn = {question.name: picture(study, question) for question in study.plan.questions.values()}
    shown = {name: f"pictures/study_{name}.svg" for name, svg in drawn.items() if svg}
    again = "Run python -m farkeras.study --flagfile=configs/study.flags --report"
    assert BEGIN in page
    assert page_with(page, generated(study, shown, tables)) == page, again
    for name, path in shown.items():
        assert digest(study, study.plan.questions[name]) in (ROOT / "docs" / path).read_text(encoding="utf-8"), again


def test_the_committed_study_keeps_its_budget_and_its_data_apart(committed):
    """At most 45 runs of the demo's length; fresh seeds and faces for what confirms."""
    plan, recipe = committed[0].plan, committed[0].recipe
    lengths = 0.0
    for trial in trials_of(plan, recipe, committed[0].results):
        config = plan.config(recipe, trial)
        size = config.image_size[0] * config.image_size[1] / (112 * 96)
        # By the times of the demos, MGMTN takes at most 1.5 times as long as FAR-AMTN, and MobileNetV2 about three
        # times as long as ResNetTiny.
        slower = (1.5 if config.model == "mgmtn" else 1) * (1 if config.backbone == "ResNetTiny" else 3)
        lengths += slower * size * config.train_fraction * config.epochs / recipe.epochs
    assert lengths <= 45
    chosen_on = {seed for stage in plan.stages.values() if stage.reads == "validation" for seed in stage.seeds}
    for stage in plan.stages.values():
        if stage.reads == "test":
            assert stage.fresh
            assert not set(stage.seeds) & chosen_on
    drawn = {data.faces["seed"] for data in plan.data.values() if data.split == "test"}
    for condition in plan.conditions.values():
        fresh = plan.data[condition.fresh]
        assert fresh.faces["seed"] not in drawn


def test_the_committed_sizes_are_those_of_the_presets():
    """The presets' numbers, which tests/models/test_presets.py checks, and docs/papers.md's for private blocks."""
    sizes = json.loads((ROOT / "benchmarks/paper_sizes.json").read_text())
    presets = {preset.name: preset.parameters for preset in PRESETS}
    resnet = sizes["ResNet50"]["models"]
    assert resnet["FAR-AMTN"]["8"] == presets["far_amtn_resnet50"]
    assert sizes["ResNeSt50"]["models"]["MGMTN"]["8"] == presets["mgmtn_resnest50"]
    heads, bare = 40 * 2048 + 40, sizes["ResNet50"]["backbone"]
    assert resnet["shared trunk"]["40"] == bare + heads
    for number in (4, 8, 9, 40):  # a private copy of the last block has 4,465,664 parameters, a gate 526,464
        assert resnet["private blocks"][str(number)] == bare + (number - 1) * 4_465_664 + heads
        assert resnet["FAR-AMTN"][str(number)] == bare + number * 526_464 + 524_289 + heads


@pytest.mark.parametrize(("data", "epochs"), [("celeba", 20), ("lfwa", 30)])
def test_the_plan_at_paper_size(data, epochs, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    arguments = (f"--flagfile=configs/study_{data}.flags", f"--data_dir={data}", "--images_per_second=300")
    options = options_of(*arguments, "--list")
    recipe = options.config()
    plan = read_plan(options.plan, recipe)
    assert not any(of.faces for of in plan.data.values())
    assert (recipe.source, recipe.backbone, recipe.epochs) == (data, "ResNet50", epochs)
    command.main(options)
    hours = 15 * epochs * options.training_images / 300 / 3600
    assert (
        f"0 of 15 trials are done. The others train for about {hours:.1f} hours, at the given "
        in capsys.readouterr().out
    )
