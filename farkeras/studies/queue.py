"""The queue of a study: which trials are done, which is next, and how long the others take."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.files import as_path
from farkeras.studies.locks import WAIT, claimed, is_claimed
from farkeras.studies.plan import Plan, Trial
from farkeras.studies.results import Result, check_results, read_results, write_result

DONE, RUNNING, READY, WAITING = "done", "running", "ready", "waiting"

CHOOSES_BY = "mean_balanced_accuracy"
"""The validation metric by which the search chooses a learning rate."""


@dataclass(frozen=True)
class Entry:
    """A trial of the queue.

    Attributes:
        trial: The trial.
        state: `done`; `running`, in this or another process; `ready`; or `waiting`, for its learning rate's search.
        seconds: Estimated or, if done, measured seconds of training; None if nothing like it has been measured.
    """

    trial: Trial
    state: str
    seconds: float | None


def chosen_rate(plan: Plan, results: Mapping[str, Result], arm: str) -> float | None:
    """Returns the learning rate with the best mean validation metric over the seeds of the search.

    Args:
        plan: The plan, with a search.
        results: The results so far.
        arm: An arm without `like`.

    Returns:
        The rate, the smaller one of equals; None as long as a trial of the search has no result.
    """
    trials = plan.search_trials(arm)
    if any(trial.name not in results for trial in trials):
        return None
    means = {
        rate: np.mean([results[t.name].validation.get(CHOOSES_BY, -1.0) for t in trials if t.learning_rate == rate])
        for rate in plan.search.learning_rates
    }
    return max(sorted(means), key=lambda rate: means[rate])


def trials_of(plan: Plan, recipe: Config, results: Mapping[str, Result]) -> list[Trial]:
    """Returns all trials in the order in which they are run, each once; an arm's search comes before its trials."""
    found: dict[Trial, None] = {}
    for stage, _, arm, condition, seed in plan:
        searched, root = plan.searched(arm, condition), plan.root(arm)
        if searched:
            found |= dict.fromkeys(plan.search_trials(root))
        trial = trial_of(plan, recipe, results, stage, arm, condition, seed, root if searched else "")
        if trial.learning_rate is not None or not _in_search(plan, trial):  # the search has the trial with each rate
            found[trial] = None
    return list(found)


def _in_search(plan: Plan, trial: Trial) -> bool:
    search = plan.search
    own = not plan.arms[trial.arm].like and trial.seed in search.seeds
    return own and (trial.stage, trial.condition) == (search.stage, search.condition)


def trial_of(
    plan: Plan,
    recipe: Config,
    results: Mapping[str, Result],
    stage: str,
    arm: str,
    condition: str,
    seed: int,
    root: str | None = None,
) -> Trial:
    """Returns the trial of an arm, with the learning rate that the search chose or that the settings have.

    Args:
        root: Arm whose search decides, "" for none; by default the plan is asked.
    """
    if root is None:
        root = plan.root(arm) if plan.searched(arm, condition) else ""
    if root:
        return Trial(stage, arm, condition, seed, chosen_rate(plan, results, root))
    settled = {**plan.arm_settings(arm), **plan.conditions[condition].settings}
    return Trial(stage, arm, condition, seed, settled.get("learning_rate", recipe.learning_rate))


def entries(
    plan: Plan, recipe: Config, results: Mapping[str, Result], folder: str | Path, epoch_seconds: float = 0.0
) -> list[Entry]:
    """Returns the queue in the order in which it is worked through.

    Args:
        plan: The plan.
        recipe: The settings that all trials share.
        results: The results so far.
        folder: Folder of the results, where the locks are.
        epoch_seconds: Seconds of an epoch, for the estimates before a trial is measured; 0: no estimate.
    """
    listed = []
    for trial in trials_of(plan, recipe, results):
        if trial.name in results:
            listed.append(Entry(trial, DONE, results[trial.name].seconds))
            continue
        state = READY
        if trial.learning_rate is None:
            state = WAITING
        elif is_claimed(lock_of(folder, trial)):
            state = RUNNING
        listed.append(Entry(trial, state, _estimate(plan, recipe, results, trial, epoch_seconds)))
    return listed


def _estimate(
    plan: Plan, recipe: Config, results: Mapping[str, Result], trial: Trial, epoch_seconds: float
) -> float | None:
    """Estimates seconds from the measured seconds per epoch of all faces of the trials that are most like this one.

    Most alike are those of the same stage, arm and condition, then those of the same stage and arm, the same stage, and
    any. Without a result, `epoch_seconds` counts.
    """
    epochs = _epochs(plan.config(recipe, trial).to_dict())

    def per_epoch(of: Callable[[Trial], bool]) -> list[float]:
        alike = [result for result in results.values() if of(result.trial) and not result.failed]
        return [result.seconds / max(_epochs(result.settings), 1e-9) for result in alike]

    likenesses: tuple[Callable[[Trial], bool], ...] = (
        lambda t: (t.stage, t.arm, t.condition) == (trial.stage, trial.arm, trial.condition),
        lambda t: (t.stage, t.arm) == (trial.stage, trial.arm),
        lambda t: t.stage == trial.stage,
        lambda t: True,
    )
    for of in likenesses:
        if measured := per_epoch(of):
            return epochs * float(np.mean(measured))
    return epochs * epoch_seconds or None


def _epochs(settings: Mapping[str, Any]) -> float:
    """Returns the epochs that train a model, in epochs of all faces."""
    whole = {**Config().to_dict(), **settings}
    return whole["train_fraction"] * (whole["epochs"] + whole["frozen_epochs"] + whole["mask_epochs"])


def lock_of(folder: str | Path, trial: Trial) -> Path:
    """Returns the path of a trial's lock, next to its result."""
    return as_path(folder) / f"{trial.name}.lock"


def matches(trial: Trial, patterns: Sequence[str]) -> bool:
    """Returns whether a trial's name matches one of the patterns, such as `screen/far_amtn-*`; none match all."""
    return not patterns or any(fnmatch(trial.name, pattern) for pattern in patterns)


def work(
    plan: Plan,
    recipe: Config,
    folder: str | Path,
    run: Callable[[Trial, Callable[[], None]], Result],
    only: Sequence[str] = (),
    max_runs: int = 0,
) -> Iterator[Result]:
    """Runs the trials that are ready, one after the other, and writes their results.

    Several processes may work on one folder of results; a lock gives each trial to one of them. The queue is read again
    before each trial, because results may have come from elsewhere. While another process runs the search of a learning
    rate, the function waits for the trials that need it.

    Args:
        plan: The plan.
        recipe: The settings that all trials share.
        folder: Folder of the results.
        run: Function that runs a trial. Its second argument is a function to call now and then as a sign of life.
        only: Patterns of the names of trials to run.
        max_runs: Largest number of trials to run; 0: all.

    Yields:
        Each result, after it was written.

    Raises:
        FarkerasError: No trial matches `only`, or from `run`, `read_results` and `check_results`.
    """
    results = read_results(folder)
    if not any(matches(trial, only) for trial in trials_of(plan, recipe, results)):
        raise FarkerasError(f"`only` must match at least one trial of {plan.path}. Received: {', '.join(only)}.")
    count = 0
    while not max_runs or count < max_runs:
        results = read_results(folder)
        check_results(plan, recipe, results, folder)
        listed = [entry for entry in entries(plan, recipe, results, folder) if matches(entry.trial, only)]
        for trial in (entry.trial for entry in listed if entry.state == READY):
            with claimed(lock_of(folder, trial)) as sign_of_life:
                done = (as_path(folder) / f"{trial.name}.json").exists()  # by another process, a moment ago
                if sign_of_life is None or done:
                    continue
                result = run(trial, sign_of_life)
                write_result(result, folder)
            count += 1
            yield result
            break
        else:
            states = {entry.state for entry in listed}
            if not {RUNNING, WAITING} <= states:
                return
            time.sleep(WAIT)  # another process runs the search that the trials here wait for
