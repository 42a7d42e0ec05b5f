"""The page of a study, made from its results alone: `python -m farkeras.study --report`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.flagfiles import join_list
from farkeras.report.summary import PROCEDURAL, markdown_table, percent
from farkeras.studies.differences import Difference, Spread, mean_gains, paired, spread, steps_to_gains
from farkeras.studies.plan import Plan, Question, Stage
from farkeras.studies.queue import chosen_rate, trial_of, trials_of
from farkeras.studies.results import METRICS, Result

BEGIN, END = "<!-- made by farkeras study: begin -->", "<!-- made by farkeras study: end -->"
NOT_MEASURED = "not measured"
_OF_ATTRIBUTES = "Balanced accuracy of linked attributes"
SHOWN = ("mean_balanced_accuracy", "mean_accuracy", "mean_roc_auc")
COMPARED = ("mean_balanced_accuracy", "mean_accuracy")

Attributes = tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """A plan with its results.

    Attributes:
        plan: The plan.
        recipe: The settings that all trials share.
        results: Name of a trial -> its result.
        command: The command that measures the study, for the page.
    """

    plan: Plan
    recipe: Config
    results: Mapping[str, Result]
    command: str = ""

    def runs(self, stage: Stage, arm: str, condition: str) -> dict[int, Result]:
        """Returns seed -> result of an arm in a condition, for the seeds that are measured and have not failed."""
        found = {}
        for seed in stage.seeds:
            trial = trial_of(self.plan, self.recipe, self.results, stage.name, arm, condition, seed)
            if trial.name in self.results and not self.results[trial.name].failed:
                found[seed] = self.results[trial.name]
        return found

    def metric(self, stage: Stage, arm: str, condition: str, name: str | Attributes) -> dict[int, float | None]:
        """Returns seed -> metric, on the split that the stage reads; of attributes the mean balanced accuracy."""
        found = {seed: run.metrics(stage.reads) for seed, run in self.runs(stage, arm, condition).items()}
        if isinstance(name, str):
            return {seed: metrics.get(name) for seed, metrics in found.items()}
        by_seed = {seed: spread([metrics["attributes"].get(a) for a in name]) for seed, metrics in found.items()}
        return {seed: mean and mean.mean for seed, mean in by_seed.items()}

    def difference(
        self, stage: Stage, pair: tuple[str, str], condition: str, name: str | Attributes
    ) -> Difference | None:
        """Returns the paired difference of a metric."""
        ours, others = (self.metric(stage, arm, condition, name) for arm in pair)
        return paired(ours, others)

    def fusion(self, stage: Stage, question: Question, arm: str, condition: str) -> tuple[float, float] | None:
        """Returns how much a group gets of the group it is linked with, and of another group, on average.

        None if the groups of the arm do not interact, or if nothing is measured.
        """
        linked: list[float] = []
        others: list[float] = []
        for run in self.runs(stage, arm, condition).values():
            if run.fusion is None:
                return None
            for row, group in enumerate(run.fusion["groups"]):
                for column, other in enumerate(run.fusion["groups"]):
                    if row != column:
                        of = linked if (group, other) in question.linked_groups else others
                        of.append(run.fusion["matrix"][row][column])
        return (float(np.mean(linked)), float(np.mean(others))) if linked else None

    def convergence(self, stage: Stage, question: Question, condition: str) -> dict[str, dict[str, float]]:
        """Returns arm -> group -> mean over seeds of the step to 90 % of the reference's gain, for measured arms."""
        of = self.plan.conditions[condition].gains_of or condition
        gains = mean_gains(list(self.runs(stage, question.reference, of).values()))
        found = {}
        for arm in question.arms if gains else ():
            steps = [steps_to_gains(run.curves, gains) for run in self.runs(stage, arm, condition).values()]
            if steps:
                found[arm] = {group: float(np.mean([each[group] for each in steps])) for group in gains}
        return found

    def label(self, arm: str) -> str:
        return self.plan.arms[arm].label or arm

    def condition_label(self, condition: str) -> str:
        return self.plan.conditions[condition].label or condition

    @property
    def procedural(self) -> bool:
        """Whether a data set of the plan is drawn."""
        return any(data.faces for data in self.plan.data.values())


def generated(study: Study, pictures: Mapping[str, str], tables: Sequence[str] = ()) -> str:
    """Returns the part of the page that the results decide.

    Args:
        study: The plan and its results.
        pictures: Name of a question -> path of its picture, relative to the page.
        tables: More parts of the page, see `farkeras.studies.paper_tables`.
    """
    parts = [overview(study)]
    for question in study.plan.questions.values():
        parts += [f"## {question.title}", question.about.strip()]
        if question.name in pictures:
            parts.append(f"![{alt_text(study, question)}]({pictures[question.name]})")
        for stage in study.plan.stages.values():
            if question.name in stage.questions:
                parts += section(study, question, stage)
    if study.plan.search.stage:
        parts += ["## Learning rates", *learning_rates(study)]
    parts += [*tables, "## Runs", *provenance(study)]
    return "\n\n".join(part for part in parts if part)


def overview(study: Study) -> str:
    """Says how far the study is, and what it is measured on."""
    trials = trials_of(study.plan, study.recipe, study.results)
    done = [trial for trial in trials if trial.name in study.results]
    text = f"{len(done)} of {len(trials)} runs are measured."
    return f"{text} {PROCEDURAL}." if study.procedural else text


def heading(study: Study, stage: Stage, conditions: Sequence[str]) -> str:
    """Says how a stage measures conditions."""
    where = "the validation split" if stage.reads == "validation" else "the test data"
    fresh = ", fresh faces that were drawn with another seed" if stage.fresh and study.procedural else ""
    settings = [study.plan.conditions[name].settings for name in conditions]
    epochs = sorted({stage.epochs_share * each.get("epochs", study.recipe.epochs) for each in settings})
    shown_epochs = " to ".join(f"{number:.3g}" for number in dict.fromkeys((epochs[0], epochs[-1])))
    seeds = ", ".join(map(str, stage.seeds))
    changed = {name: join_list(v) if isinstance(v, list) else v for name, v in stage.settings.items()}
    own = "".join(f"; `{name}={value}`" for name, value in changed.items())
    return f"**{stage.title or stage.name}** on {where}{fresh}: seeds {seeds}; {shown_epochs} epochs{own}."


def section(study: Study, question: Question, stage: Stage) -> list[str]:
    """Returns the tables of a question at a stage."""
    title = heading(study, stage, question.conditions)
    if not any(study.runs(stage, arm, condition) for arm in question.arms for condition in question.conditions):
        return [f"{title} This is {NOT_MEASURED} yet."]
    parts = [title]
    parts.append(markdown_table(("Arm", *_headings(question)), _rows(study, question, stage)))
    compared = [f"{METRICS[name]}, points" for name in COMPARED]
    compared += [f"{_OF_ATTRIBUTES}, points"] if question.attributes else []
    header = ["Difference", *(cell for name in compared for cell in (name, "95 % interval")), "Seeds"]
    parts.append(markdown_table(header, _differences(study, question, stage)))
    if question.attributes:
        parts.append(f"The linked attributes are {', '.join(f'`{name}`' for name in question.attributes)}.")
    if question.reference:
        parts += convergence_table(study, question, stage)
    if question.links:
        parts += fusion_table(study, question, stage)
    if study.procedural:
        parts.append("*Procedural faces.*")
    return parts


def _headings(question: Question) -> list[str]:
    own = [_OF_ATTRIBUTES] if question.attributes else []
    return [*(METRICS[name] for name in SHOWN), *own, "Parameters", "Forward time", "Runs"]


def _metrics(names: tuple[str, ...], question: Question) -> list[str | Attributes]:
    """Returns the metrics that a table shows, with the question's attributes as one more."""
    return [*names, *([question.attributes] if question.attributes else [])]


def _rows(study: Study, question: Question, stage: Stage) -> Iterable[tuple[str, ...]]:
    for condition in question.conditions:
        for arm in question.arms:
            runs = study.runs(stage, arm, condition)
            name = _named(study, question, study.label(arm), condition)
            metrics = [
                shown(spread(list(study.metric(stage, arm, condition, each).values())))
                for each in _metrics(SHOWN, question)
            ]
            if not runs:
                yield (name, *metrics, *[NOT_MEASURED] * 2, "0")
                continue
            first = next(iter(runs.values()))
            times = float(np.median([run.forward_time for run in runs.values()]))
            yield (name, *metrics, f"{first.parameters:,}", f"{times:.2f}", str(len(runs)))


def _differences(study: Study, question: Question, stage: Stage) -> Iterable[tuple[str, ...]]:
    for condition in question.conditions:
        for pair in question.differences:
            name = _named(study, question, " − ".join(map(study.label, pair)), condition)
            found = [study.difference(stage, pair, condition, metric) for metric in _metrics(COMPARED, question)]
            cells = [cell for each in found for cell in points(each)]
            yield (name, *cells, str(max((each.n for each in found if each), default=0)))


def _named(study: Study, question: Question, name: str, condition: str) -> str:
    """Returns a row's name, with the condition where the question has several."""
    return name if len(question.conditions) == 1 else f"{name}; {study.condition_label(condition)}"


def convergence_table(study: Study, question: Question, stage: Stage) -> list[str]:
    """Returns the steps to 90 % of the reference's final gain, with a sentence on how they are defined."""
    rows = []
    for condition in question.conditions:
        found = study.convergence(stage, question, condition)
        for arm in question.arms:
            name = _named(study, question, study.label(arm), condition)
            if arm not in found:
                rows.append((name, *[NOT_MEASURED] * 4))
                continue
            steps = list(found[arm].values())
            numbers = (np.mean(steps), max(steps) - min(steps), min(steps), max(steps))
            rows.append((name, *(f"{number:,.0f}" for number in numbers)))
    about = (
        f"The step at which a group's training loss has made 90 % of the mean final gain of "
        f"{study.label(question.reference)}, mean over the seeds; a group that never gets there counts as the whole "
        "run. A gain is a share of the group's loss after the first steps. The spread is the difference between the "
        "last and the first group."
    )
    return [about, markdown_table(("Arm", "Mean over groups", "Spread", "First group", "Last group"), rows)]


def fusion_table(study: Study, question: Question, stage: Stage) -> list[str]:
    """Returns how much a group gets of the one it is linked with and of others, where the groups interact."""
    rows = []
    for condition in question.conditions:
        for arm in question.arms:
            if found := study.fusion(stage, question, arm, condition):
                rows.append((_named(study, question, study.label(arm), condition), *(f"{v:.4f}" for v in found)))
    about = (
        f"How much a group gets of another group's features, mean over images, seeds and pairs. Linked are "
        f"{', '.join(f'{one} with {other}' for one, other in question.linked_groups)}."
    )
    return [about, markdown_table(("Arm", "Linked group", "Another group"), rows)] if rows else []


def learning_rates(study: Study) -> list[str]:
    """Returns the table of the search of the learning rate."""
    plan, search = study.plan, study.plan.search
    used = {plan.root(arm) for _, _, arm, condition, _ in plan if plan.searched(arm, condition)}
    rows = []
    for arm in (each for each in plan.arms if each in used):
        best, cells = chosen_rate(plan, study.results, arm), []
        for rate in search.learning_rates:
            names = [trial.name for trial in plan.search_trials(arm) if trial.learning_rate == rate]
            runs = [study.results[name] for name in names if name in study.results]
            values = spread([run.validation.get("mean_balanced_accuracy") for run in runs])
            failed = any(run.failed for run in runs)
            cells.append("failed" if failed else shown(values) + (" ←" if rate == best else ""))
        rows.append((study.label(arm), *cells))
    about = (
        "Each arm that is not a variant of another one gets the same search; the variants take its rate. Balanced "
        f"accuracy on the validation split, seeds {', '.join(map(str, search.seeds))}; the arrow marks the chosen rate."
    )
    return [about, markdown_table(("Arm", *(f"{rate:g}" for rate in search.learning_rates)), rows)]


def provenance(study: Study) -> list[str]:
    """Says with which command, when and on what the results were measured, and how long that took."""
    results = list(study.results.values())
    if not results:
        return [f"No run has been measured. Command: `{study.command}`." if study.command else NOT_MEASURED]
    stages = []
    for stage in study.plan.stages.values():
        seconds = [result.seconds for result in results if result.trial.stage == stage.name]
        mean = f"{np.mean(seconds) / 60:.1f}" if seconds else NOT_MEASURED
        hours = f"{sum(seconds) / 3600:.2f}" if seconds else NOT_MEASURED
        stages.append((stage.title or stage.name, str(len(seconds)), mean, hours))
    machines = sorted({f"{r.made['machine']['device']}, {r.made['machine']['system']}" for r in results})
    commits = sorted({result.made["commit"] for result in results})
    dates = sorted(result.made["date"] for result in results)
    versions = results[-1].made["versions"]
    text = (
        f"Measured from {dates[0]} to {dates[-1]} UTC by `{study.command}` on {'; '.join(machines)}, at the commits "
        f"{', '.join(commits)}, with {', '.join(f'{name} {version}' for name, version in versions.items())}."
    )
    loads = sorted(float(load) for result in results if (load := result.made["machine"].get("load")))
    if loads:
        text += f" The load average of the machine was {loads[0]:.1f} to {loads[-1]:.1f}; other work makes runs longer."
    failed = [f"- `{result.trial.name}` failed: {result.failed}" for result in results if result.failed]
    table = markdown_table(("Stage", "Runs", "Minutes of training per run", "Hours in all"), stages)
    return [text, table, *(["\n".join(failed)] if failed else [])]


def alt_text(study: Study, question: Question) -> str:
    """Describes the picture of a question."""
    kind = "Procedural faces. " if study.procedural else ""
    return f"{kind}Differences of balanced accuracy with 95 % intervals: {question.title}"


def shown(found: Spread | None) -> str:
    """Formats fractions in percent: "93.12 ± 0.41"."""
    if found is None:
        return NOT_MEASURED
    return percent(found.mean) + ("" if found.std is None else f" ± {percent(found.std)}")


def points(found: Difference | None) -> tuple[str, str]:
    """Formats a difference of fractions in points with its interval: ("+0.42", "-0.10 to +0.94")."""
    if found is None:
        return NOT_MEASURED, NOT_MEASURED
    interval = "needs two seeds" if found.interval is None else " to ".join(f"{100 * b:+.2f}" for b in found.interval)
    return f"{100 * found.mean:+.2f}", interval


def page_with(page: str, text: str, begin: str = BEGIN, end: str = END, where: str | Path = "The page") -> str:
    """Replaces the part of a page between two marks.

    Raises:
        FarkerasError: A mark is missing.
    """
    head, first, rest = page.partition(begin)
    _, last, tail = rest.partition(end)
    if not first or not last:
        raise FarkerasError(
            f"{where} must have the lines '{begin}' and '{end}', between which the results are written. Add them, or "
            "name a page that does not exist yet."
        )
    return f"{head}{begin}\n\n{text}\n\n{end}{tail}"


def measured(study: Study, question: Question) -> Sequence[Stage]:
    """Returns the stages at which a difference of the question is measured in its first condition."""
    return [
        stage
        for stage in study.plan.stages.values()
        if question.name in stage.questions
        and any(
            study.difference(stage, pair, condition, COMPARED[0])
            for pair in question.differences
            for condition in question.conditions
        )
    ]
