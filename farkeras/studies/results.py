"""The result of a trial: one small JSON file, so that a study can be committed and goes on on another machine."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.files import as_path, write_text, writing
from farkeras.flagfiles import published
from farkeras.metrics.convergence import running_mean
from farkeras.metrics.history import training_lines
from farkeras.studies.plan import Plan, Trial

FORMAT_VERSION = 1

METRICS = {
    "mean_balanced_accuracy": "Balanced accuracy",
    "mean_accuracy": "Accuracy",
    "mean_roc_auc": "ROC AUC",
    "mean_mask_iou": "Mask IoU",
}
"""The metrics that the tables show -> their headings."""

_DIGITS = 6


@dataclass(frozen=True)
class Result:
    """The result of a trial.

    Attributes:
        trial: The trial.
        settings: All settings that change the results, with the last part of each path. Defaults are listed, too,
            because a later version may change one.
        validation: Metrics of the best model on the validation split; `groups` has those of each group.
        test: The same on the test data.
        tested_on: Folder (its last part), split, and number of images of the test data.
        curves: `step` and `group_loss`, see `learning_curves`.
        parameters: Number of trainable weights.
        backbone_parameters: The same of the bare backbone.
        fusion: `groups` and `matrix`, how much of each group (column) a group (row) gets on average over test images;
            None for a model whose groups do not interact.
        forward_time: Time of a forward pass of 16 images, relative to the bare backbone with pooling.
        seconds: Seconds of training steps.
        images_per_second: Images that the training steps took per second.
        made: Date, commit, versions and machine of the run.
        failed: The message of a run whose loss was not finite; "" for any other. A failed run has no metrics, and the
            search of the learning rate does not choose its rate.
    """

    trial: Trial
    settings: dict[str, Any]
    validation: dict[str, Any]
    test: dict[str, Any]
    tested_on: dict[str, Any]
    curves: dict[str, Any]
    parameters: int
    backbone_parameters: int
    fusion: dict[str, Any] | None
    forward_time: float
    seconds: float
    images_per_second: float
    made: dict[str, Any]
    failed: str = ""

    def metrics(self, reads: str) -> dict[str, Any]:
        """Returns the metrics of `validation` or `test`."""
        return self.validation if reads == "validation" else self.test

    def to_json(self) -> str:
        values = {"format_version": FORMAT_VERSION, **asdict(self.trial), **asdict(self)}
        del values["trial"]
        # One line for each part: a file of indented numbers would have a thousand lines.
        lines = [f" {json.dumps(key)}: {json.dumps(_rounded(value), allow_nan=False)}" for key, value in values.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "Result":
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("format_version", None) != FORMAT_VERSION:
            raise ValueError(f"expected format version {FORMAT_VERSION}")
        trial = Trial(*(values.pop(name) for name in ("stage", "arm", "condition", "seed", "learning_rate")))
        return cls(trial, **values)


def summary(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a result keeps of an evaluation: its means, also by group, and the attributes' balanced accuracy."""

    def numbers(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if value is None or isinstance(value, int | float)}

    groups = {name: numbers(values) for name, values in evaluation["groups"].items()}
    masks = {"mask_iou": evaluation["mask_iou"]} if "mask_iou" in evaluation else {}
    attributes = {name: values["balanced_accuracy"] for name, values in evaluation["attributes"].items()}
    return {**numbers(evaluation), **masks, "groups": groups, "attributes": attributes}


def learning_curves(history: list[dict]) -> dict[str, Any]:
    """Returns the smoothed training loss of each group from the lines of `metrics.jsonl`.

    Returns:
        `step`, the steps of the lines, and `group_loss`, group -> running means of the loss at these steps (see
        `farkeras.metrics.convergence`). Both are empty if the history has no group losses.
    """
    lines = [line for line in training_lines(history) if line.get("group_loss")]
    groups = lines[0]["group_loss"] if lines else {}
    smoothed = {group: running_mean([line["group_loss"][group] for line in lines]).tolist() for group in groups}
    return {"step": [line["step"] for line in lines], "group_loss": smoothed}


def settings_of(config: Config) -> dict[str, Any]:
    """Returns the settings that change the results, JSON-ready, with the last part of each path."""
    values = published(config.to_dict())
    return {field.name: values[field.name] for field in fields(Config) if not field.metadata["free"]}


def read_results(folder: str | Path) -> dict[str, Result]:
    """Reads all results in a folder, by the name of their trial.

    Raises:
        FarkerasError: A file is not a result, or belongs to another trial than its name says.
    """
    folder, results = as_path(folder), {}
    for path in sorted(folder.glob("*/*.json")):
        try:
            result = Result.from_json(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError, KeyError) as error:
            raise FarkerasError(f"{path} is not the result of a trial ({error}). Remove it, or restore it.") from None
        name = path.relative_to(folder).with_suffix("").as_posix()
        if result.trial.name != name:
            raise FarkerasError(f"{path} holds the result of '{result.trial.name}'. Rename or remove the file.")
        results[name] = result
    return results


def check_results(plan: Plan, recipe: Config, results: Mapping[str, Result], folder: str | Path) -> None:
    """Checks that results of the plan's trials were measured with the settings that the plan gives now.

    Raises:
        FarkerasError: A result has other settings; the message names the file and the first setting.
    """
    for name, result in results.items():
        trial = result.trial
        if trial.stage not in plan.stages or trial.arm not in plan.arms or trial.condition not in plan.conditions:
            continue  # an older plan's, which no table shows
        now = _rounded(settings_of(plan.config(recipe, trial)))  # as in the file
        # A setting that is newer than the result had no effect on it.
        differ = [key for key, value in result.settings.items() if now.get(key) != value]
        if differ:
            raise FarkerasError(
                f"{as_path(folder) / name}.json was measured with `{differ[0]}={result.settings[differ[0]]}`, and the "
                f"plan now gives `{differ[0]}={now.get(differ[0])}`. Restore the setting, name another folder with "
                "`results`, or remove the file to measure the trial again."
            )


def write_result(result: Result, folder: str | Path) -> Path:
    """Writes a result; the file appears complete or not at all."""
    path = as_path(folder) / f"{result.trial.name}.json"
    with writing(path, instead="results"):
        write_text(path, result.to_json())
    return path


def _rounded(value: Any) -> Any:
    """Rounds all floats, which keeps the files small; a run is repeatable to far more digits than its spread."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(float(value), _DIGITS) if isinstance(value, float | np.floating) else value


def of_stage(results: Mapping[str, Result], stage: str) -> Iterator[Result]:
    """Yields the results of a stage."""
    return (result for result in results.values() if result.trial.stage == stage)
