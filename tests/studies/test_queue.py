"""The queue: its order, its states, its locks, and how the search of the learning rate decides."""

import json
import os
import platform
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import pytest

from farkeras.errors import FarkerasError
from farkeras.studies import locks, queue
from farkeras.studies.locks import claimed, is_claimed
from farkeras.studies.plan import Trial
from farkeras.studies.queue import chosen_rate, entries, lock_of, trials_of, work
from farkeras.studies.results import Result, check_results, read_results, write_result
from tests.studies.small_study import PLAN, RECIPE, made_up, small_plan


@pytest.fixture
def plan(tmp_path):
    return small_plan(tmp_path)


def names(plan, results=()):
    return [trial.name for trial in trials_of(plan, RECIPE, dict(results))]


def searched(plan, arm, *values):
    """Results of the search of an arm."""
    return {t.name: made_up(plan, t, v) for t, v in zip(plan.search_trials(arm), values, strict=True)}


def test_the_order_before_the_first_result(plan):
    assert names(plan) == [
        "screen/trunk-standard-lr0.001-seed0",  # the search has the trials of seed 0
        "screen/trunk-standard-lr0.002-seed0",
        "screen/far-standard-lr0.001-seed0",
        "screen/far-standard-lr0.002-seed0",
        "screen/trunk-standard-lr?-seed1",
        "screen/far-standard-lr?-seed1",
        "screen/trunk-slow-lr0.0001-seed0",  # the condition has a rate of its own
        "screen/far-slow-lr0.0001-seed0",
        "screen/trunk-slow-lr0.0001-seed1",
        "screen/far-slow-lr0.0001-seed1",
        "screen/far_dws-standard-lr?-seed0",
        "screen/far_dws-standard-lr?-seed1",
        "confirm/trunk-standard-lr?-seed7",
        "confirm/far-standard-lr?-seed7",
        "confirm/trunk-slow-lr0.0001-seed7",
        "confirm/far-slow-lr0.0001-seed7",
    ]


def test_the_search_decides_for_an_arm_and_those_like_it(plan):
    results = searched(plan, "far", 0.8, 0.7)
    assert chosen_rate(plan, results, "far") == 1e-3
    assert chosen_rate(plan, results, "trunk") is None
    found = names(plan, results)
    assert "screen/far_dws-standard-lr0.001-seed1" in found
    assert "confirm/far-standard-lr0.001-seed7" in found
    assert "screen/trunk-standard-lr?-seed1" in found
    assert chosen_rate(plan, searched(plan, "far", 0.7, 0.8), "far") == 2e-3


def test_the_rate_of_a_failed_run_is_not_chosen(plan):
    results = searched(plan, "far", 0.8, 0.7)
    best = plan.search_trials("far")[0].name
    results[best] = replace(results[best], validation={}, failed="The loss is not finite.")
    assert chosen_rate(plan, results, "far") == 2e-3


def test_states_and_times(plan, tmp_path):
    results = searched(plan, "far", 0.8, 0.7)  # 60 s for 2 epochs each
    trial = Trial("screen", "trunk", "standard", 0, 1e-3)
    with claimed(lock_of(tmp_path, trial)):
        listed = {e.trial.name: (e.state, e.seconds) for e in entries(plan, RECIPE, results, tmp_path)}
    assert listed["screen/far-standard-lr0.001-seed0"] == ("done", 60)
    assert listed["screen/trunk-standard-lr0.001-seed0"] == ("running", 60)
    assert listed["screen/far-standard-lr0.001-seed1"] == ("ready", 60)
    assert listed["screen/trunk-standard-lr?-seed1"] == ("waiting", 60)
    assert listed["confirm/far-standard-lr0.001-seed7"] == ("ready", 120)  # 4 epochs


def test_a_part_of_the_faces_takes_a_part_of_the_time(tmp_path):
    plan = small_plan(
        tmp_path, PLAN.replace("{ learning_rate = 1e-4 }", "{ learning_rate = 1e-4, train_fraction = 0.1 }")
    )
    results = searched(plan, "far", 0.8, 0.7)  # 60 s for 2 epochs of all faces
    listed = {e.trial.name: e.seconds for e in entries(plan, RECIPE, results, tmp_path)}
    assert listed["screen/far-slow-lr0.0001-seed0"] == pytest.approx(0.1 * 60)


def test_times_before_a_trial_is_measured(plan, tmp_path):
    first = entries(plan, RECIPE, {}, tmp_path)[0]
    assert first.seconds is None
    first = entries(plan, RECIPE, {}, tmp_path, epoch_seconds=16.0)[0]
    assert first.seconds == 2 * 16


def worker(plan, log):
    """A function that runs a trial, for `work`."""

    def run(trial, sign_of_life):
        sign_of_life()
        log.append(trial.name)
        return made_up(plan, trial, 0.8 if trial.arm == "far" else 0.75)

    return run


def test_the_queue_ends_when_all_is_done_and_goes_on_where_it_was(plan, tmp_path):
    folder, log = tmp_path / "results", []
    assert len(list(work(plan, RECIPE, folder, worker(plan, log), max_runs=3))) == 3
    assert len(read_results(folder)) == 3
    rest = list(work(plan, RECIPE, folder, worker(plan, log)))
    assert len(log) == len(set(log)) == 16
    assert [result.trial.name for result in rest] == log[3:]
    assert not list(work(plan, RECIPE, folder, worker(plan, log)))
    assert not list(folder.rglob("*.lock"))


def test_some_trials_only(plan, tmp_path):
    log = []
    list(work(plan, RECIPE, tmp_path / "results", worker(plan, log), only=["*/far-slow-*", "screen/trunk-slow-*"]))
    assert len(log) == 5
    with pytest.raises(FarkerasError, match=r"`only` must match at least one trial of .*plan\.toml\. Received: x\*\."):
        list(work(plan, RECIPE, tmp_path / "results", worker(plan, log), only=["x*"]))


def test_two_at_once_never_run_the_same_trial(plan, tmp_path):
    folder, log = tmp_path / "results", []
    inner = worker(plan, log)

    def run(trial, sign_of_life):
        if len(log) == 0:  # while this trial runs, another process takes the next one
            (result,) = work(plan, RECIPE, folder, inner, max_runs=1)
            assert result.trial.name != trial.name
        return inner(trial, sign_of_life)

    list(work(plan, RECIPE, folder, run))
    assert len(log) == len(set(log)) == 16


def test_a_process_waits_for_the_search_that_another_one_runs(plan, tmp_path, monkeypatch):
    folder, log = tmp_path / "results", []
    elsewhere = plan.search_trials("trunk")[0]

    def end_of_the_other(seconds):
        write_result(made_up(plan, elsewhere, 0.8), folder)
        other.close()

    # Not `time.sleep` itself, which threads of other tests may call.
    monkeypatch.setattr(queue, "time", SimpleNamespace(sleep=end_of_the_other))
    with ExitStack() as other:
        other.enter_context(claimed(lock_of(folder, elsewhere)))
        list(work(plan, RECIPE, folder, worker(plan, log)))
    assert len(log) == len(set(log)) == 15
    assert elsewhere.name not in log
    assert "screen/trunk-standard-lr0.001-seed1" in log[-6:]


def test_a_trial_that_fails_leaves_no_lock(plan, tmp_path):
    def run(trial, sign_of_life):
        raise FarkerasError("no data")

    with pytest.raises(FarkerasError, match="no data"):
        list(work(plan, RECIPE, tmp_path / "results", run))
    assert not [path for path in (tmp_path / "results").rglob("*") if path.is_file()]


def test_a_lock_has_one_holder(tmp_path):
    path = tmp_path / "trial.lock"
    with claimed(path) as first:
        assert first
        assert json.loads(path.read_text()) == {"host": platform.node(), "pid": os.getpid()}
        with claimed(path) as second:
            assert second is None
        assert is_claimed(path)
    assert not is_claimed(path)
    assert not list(tmp_path.iterdir())


def test_a_lock_of_a_dead_process_is_taken_over(tmp_path):
    path = tmp_path / "trial.lock"
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    path.write_text(json.dumps({"host": platform.node(), "pid": int(done.stdout)}))
    with claimed(path) as held:
        assert held


def test_a_lock_of_another_machine_is_taken_over_after_half_an_hour_without_a_sign_of_life(tmp_path):
    path = tmp_path / "trial.lock"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    assert is_claimed(path)
    silent = path.stat().st_mtime - locks.STALE - 60
    os.utime(path, (silent, silent))
    assert not is_claimed(path)


def test_a_sign_of_life(tmp_path):
    path = tmp_path / "trial.lock"
    with claimed(path) as sign_of_life:
        os.utime(path, (0, 0))
        sign_of_life()
        assert path.stat().st_mtime > 1e9


def test_a_result_reads_back(plan, tmp_path):
    result = made_up(plan, Trial("screen", "far", "standard", 0, 1e-3), 0.8)
    path = write_result(result, tmp_path)
    assert path == tmp_path / "screen/far-standard-lr0.001-seed0.json"
    assert read_results(tmp_path) == {result.trial.name: result}
    assert Result.from_json(result.to_json()) == result
    assert len(path.read_text().splitlines()) < 25


def test_files_that_are_no_results(plan, tmp_path):
    path = write_result(made_up(plan, Trial("screen", "far", "standard", 0, 1e-3), 0.8), tmp_path)
    other = path.with_name("far-standard-lr0.001-seed1.json")
    other.write_text(path.read_text())
    with pytest.raises(FarkerasError, match=r"seed1\.json holds the result of 'screen/far-standard-lr0\.001-seed0'"):
        read_results(tmp_path)
    other.write_text('{"format_version": 9}')
    with pytest.raises(FarkerasError, match=r"is not the result of a trial \(expected format version 1\)"):
        read_results(tmp_path)


def test_a_file_has_six_digits_of_a_setting(tmp_path):
    plan = small_plan(tmp_path, PLAN.replace("epochs_share = 0.5", "epochs_share = 0.3333"))
    recipe = replace(RECIPE, epochs=60.0)
    trial = Trial("screen", "far", "standard", 0, 1e-3)
    assert plan.config(recipe, trial).epochs == 19.997999999999998
    result = made_up(plan, trial, 0.8)
    write_result(replace(result, settings=result.settings | {"epochs": 19.997999999999998}), tmp_path)
    check_results(plan, recipe, read_results(tmp_path), tmp_path)


def test_a_result_with_other_settings_is_an_error(plan, tmp_path):
    result = made_up(plan, Trial("screen", "far", "standard", 0, 1e-3), 0.8)
    results = {result.trial.name: result}
    check_results(plan, RECIPE, results, tmp_path)
    older = {name: value for name, value in result.settings.items() if name != "loss_factors"}
    check_results(plan, RECIPE, {result.trial.name: replace(result, settings=older)}, tmp_path)
    changed = small_plan(tmp_path, PLAN.replace("batch_size = 16", "batch_size = 8"))
    with pytest.raises(
        FarkerasError, match=r"lr0\.001-seed0\.json was measured with `batch_size=16`, and the plan now g"
    ):
        check_results(changed, RECIPE, results, tmp_path)
