"""A small plan of a study, and results of its trials that are made up."""

from farkeras.config import Config
from farkeras.studies.plan_file import read_plan
from farkeras.studies.results import Result, settings_of

PLAN = """
[search]
stage = "screen"
condition = "standard"
seeds = [0]
learning_rates = [1e-3, 2e-3]

[data.faces]
split = "test"

[conditions.standard]
data = "faces"

[conditions.slow]
label = "at a low rate"
data = "faces"
settings = { learning_rate = 1e-4 }

[arms.trunk]
label = "the trunk"
settings = { model = "shared_trunk" }

[arms.far]
label = "FAR"
settings = { model = "far_amtn", weighting = "uniform" }

[arms.far_dws]
like = "far"
settings = { weighting = "dws" }

[questions.models]
title = "Which model?"
about = "Two models."
pairs = ["far - trunk"]
conditions = ["standard", "slow"]

[questions.weights]
title = "Which weights?"
about = "DWS."
pairs = ["far_dws - far"]
conditions = ["standard"]
reference = "far"

[stages.screen]
title = "Screen"
seeds = [0, 1]
epochs_share = 0.5
reads = "validation"
settings = { batch_size = 16 }
questions = ["models", "weights"]

[stages.confirm]
seeds = [7]
reads = "test"
questions = ["models"]
"""

RECIPE = Config(epochs=4.0, data_dir="data/faces")


def small_plan(folder, text=PLAN):
    """Writes and reads a plan."""
    path = folder / "plan.toml"
    path.write_text(text)
    return read_plan(path, RECIPE)


def made_up(plan, trial, balanced, test=None, losses=(1.0, 0.6, 0.2, 0.2), seconds=60.0):
    """Returns a result of a trial with these balanced accuracies; the group Hair loses `losses`, Eyes half of that."""

    def metrics(value):
        means = {"mean_balanced_accuracy": value, "mean_accuracy": value, "mean_roc_auc": None}
        return {**means, "groups": {}, "attributes": {"Bald": round(value - 0.1, 6), "Bangs": round(value - 0.2, 6)}}

    steps = [20 * (number + 1) for number in range(len(losses))]
    curves = {"step": steps, "group_loss": {"Hair": list(losses), "Eyes": [loss / 2 for loss in losses]}}
    made = {
        "date": "2026-01-02 03:04",
        "commit": "abc",
        "versions": {"keras": "3.15.1"},
        "machine": {"device": "2 CPU cores", "system": "Linux x86_64", "load": "2.5"},
    }
    tested_on = {"data": "faces", "split": "test", "images": 600}
    return Result(
        trial,
        settings_of(plan.config(RECIPE, trial)),
        metrics(balanced),
        metrics(balanced if test is None else test),
        tested_on,
        curves,
        2000,
        1000,
        None if trial.arm == "trunk" else {"groups": ["Hair", "Eyes"], "matrix": [[0.5, 0.25], [-0.125, 0.5]]},
        1.25,
        seconds,
        100.0,
        made,
    )
