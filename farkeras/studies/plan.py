"""The plan of a study: its arms, data conditions, stages and questions. `plan_file.py` reads it.

A trial is one run: an arm in a condition, with a seed and a learning rate, at a stage. The settings of a trial are
those of the recipe (the command's flags), replaced by those of the stage, the arm with its learning rate, and the
condition, in this order; the stage's share of the epochs comes last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.settings import as_type_of


@dataclass(frozen=True)
class Part:
    """Base class of the tables of a plan. The name of a table is its key in the file."""

    name: str = ""

    @classmethod
    def read(cls, where: str, name: str, values: Any) -> Self:
        """Makes the part from its table; `where` names the table in error messages.

        Raises:
            FarkerasError: A key is unknown, or a value has the wrong type.
        """
        known = {each.name: each for each in fields(cls) if each.name != "name"}
        if not isinstance(values, dict):
            raise FarkerasError(f"{where} must be a table. Received: {values!r}.")
        if unknown := sorted(set(values) - set(known)):
            raise FarkerasError(f"{where} has the unknown key '{unknown[0]}'. Known keys: {', '.join(known)}.")
        checked = {key: _typed(where, key, known[key], value) for key, value in values.items()}
        return cls(name=name, **checked)


def _typed(where: str, key: str, each: Any, value: Any) -> Any:
    """Checks a value by the default of its field; a list becomes a tuple of items like `metadata["item"]`."""
    item = each.metadata.get("item")
    try:
        if item is not None:
            if not isinstance(value, list):
                raise FarkerasError(f"`{key}` must be a list. Received: {value!r}.")
            return tuple(as_type_of(item, one, key) for one in value)
        default = each.default_factory() if callable(each.default_factory) else each.default
        if isinstance(default, dict):
            if not isinstance(value, dict):
                raise FarkerasError(f"`{key}` must be a table. Received: {value!r}.")
            return value
        return as_type_of(default, value, key)
    except FarkerasError as error:
        raise FarkerasError(f"{where}: {error}") from None


def _list_of(item: Any, default: tuple = ()) -> Any:
    return field(default=default, metadata={"item": item})


@dataclass(frozen=True)
class DataSet(Part):
    """A data set of the study.

    Attributes:
        data_dir: Folder of the data set; "" is the `data_dir` of the recipe.
        faces: Arguments of `FaceSettings`: the study draws these faces into `data_dir`. Empty: the data set exists.
        split: Split on which models are tested. For faces on which no model is trained, any split may be the test set.
    """

    data_dir: str = ""
    faces: dict[str, Any] = field(default_factory=dict)
    split: str = "test"


@dataclass(frozen=True)
class Condition(Part):
    """A data condition.

    Attributes:
        label: Name on the page.
        data: Data set of training and validation.
        test: Data set of the test split; "" is `data`.
        fresh: Data set that tests the models of a stage with `fresh`; "" is `test`.
        gains_of: Condition in which the final gains of a question's `reference` are measured, for the steps to 90 %;
            "" is this one. Name another one where the settings change what the reference itself learns.
        settings: Settings that the condition replaces.
    """

    label: str = ""
    data: str = ""
    test: str = ""
    fresh: str = ""
    gains_of: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Arm(Part):
    """A model with its options.

    Attributes:
        label: Name on the page.
        like: Arm whose settings and learning rate this one takes; "" for an arm with a search of its own.
        settings: Settings that the arm replaces.
    """

    label: str = ""
    like: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage(Part):
    """A stage: how often and how long its questions are measured, and what its tables read.

    Attributes:
        title: Name on the page.
        seeds: One run for each.
        epochs_share: Share of the recipe's epochs.
        reads: `validation` for a stage that chooses among alternatives, `test` for one that confirms. The tables of a
            stage that chooses never show a test metric.
        fresh: Whether the models are tested on the condition's `fresh` data.
        settings: Settings that the stage replaces, before those of arms and conditions.
        questions: Names of the questions that are measured, the most important first.
    """

    title: str = ""
    seeds: tuple[int, ...] = _list_of(0)
    epochs_share: float = 1.0
    reads: str = "validation"
    fresh: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    questions: tuple[str, ...] = _list_of("")


def _split(pairs: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(one.strip(), other.strip()) for one, _, other in (pair.partition(" - ") for pair in pairs)]


@dataclass(frozen=True)
class Question(Part):
    """A question that the study answers with paired differences.

    Attributes:
        title: The question.
        about: What is compared and what is expected, in Markdown.
        pairs: Pairs `arm - arm`: the first is compared with the second.
        conditions: Names of the conditions; the first is the main one.
        reference: Arm whose mean final gain defines the steps to 90 %; "" leaves them out.
        attributes: Attributes whose mean balanced accuracy the tables also compare.
        links: Pairs `group - group`: the first should get more of the second than of others; the tables show whether
            the fusion of the groups finds this.
    """

    title: str = ""
    about: str = ""
    pairs: tuple[str, ...] = _list_of("")
    conditions: tuple[str, ...] = _list_of("")
    reference: str = ""
    attributes: tuple[str, ...] = _list_of("")
    links: tuple[str, ...] = _list_of("")

    @property
    def differences(self) -> list[tuple[str, str]]:
        """The pairs (arm, arm that it is compared with)."""
        return _split(self.pairs)

    @property
    def linked_groups(self) -> list[tuple[str, str]]:
        """The links (group, group of which it should get more)."""
        return _split(self.links)

    @property
    def arms(self) -> list[str]:
        """The arms in the pairs and the reference, each once; those that others are compared with come first."""
        others = [other for _, other in self.differences]
        listed = [*([self.reference] if self.reference else []), *others, *(arm for arm, _ in self.differences)]
        return list(dict.fromkeys(listed))


@dataclass(frozen=True)
class Search(Part):
    """The search of the learning rate, the same for each arm without `like`, on validation.

    Attributes:
        stage: Stage whose epochs and seeds it has; "" for no search.
        condition: Condition in which the rates are compared.
        seeds: Seeds of the stage with which each rate is tried.
        learning_rates: The rates.
    """

    stage: str = ""
    condition: str = ""
    seeds: tuple[int, ...] = _list_of(0)
    learning_rates: tuple[float, ...] = _list_of(0.0)


@dataclass(frozen=True)
class Trial:
    """One run of the study; its name is the path of its result.

    Attributes:
        learning_rate: The peak learning rate; None as long as the search of the arm is not done.
    """

    stage: str
    arm: str
    condition: str
    seed: int
    learning_rate: float | None

    @property
    def name(self) -> str:
        rate = "?" if self.learning_rate is None else f"{self.learning_rate:g}"
        return f"{self.stage}/{self.arm}-{self.condition}-lr{rate}-seed{self.seed}"


@dataclass(frozen=True)
class Plan:
    """The plan of a study. Every part is a dict by name, in the order of the file."""

    path: Path
    arms: Mapping[str, Arm]
    data: Mapping[str, DataSet]
    conditions: Mapping[str, Condition]
    stages: Mapping[str, Stage]
    questions: Mapping[str, Question]
    search: Search

    def root(self, arm: str) -> str:
        """Returns the arm whose search of the learning rate applies: `arm`, or what it is `like`."""
        return self.root(self.arms[arm].like) if self.arms[arm].like else arm

    def arm_settings(self, arm: str) -> dict[str, Any]:
        """Returns the settings of an arm, those of the arm that it is like included."""
        like = self.arms[arm].like
        return {**(self.arm_settings(like) if like else {}), **self.arms[arm].settings}

    def searched(self, arm: str, condition: str) -> bool:
        """Returns whether the search decides the learning rate of an arm in a condition."""
        settled = {**self.arm_settings(arm), **self.conditions[condition].settings}
        return bool(self.search.stage) and "learning_rate" not in settled

    def config(self, recipe: Config, trial: Trial) -> Config:
        """Returns the settings of a trial."""
        condition, stage = self.conditions[trial.condition], self.stages[trial.stage]
        data = self.data[condition.data]
        rate = {} if trial.learning_rate is None else {"learning_rate": trial.learning_rate}
        settings = {**stage.settings, **self.arm_settings(trial.arm), **rate, **condition.settings}
        config = replace(recipe, **settings)
        names = ("epochs", "frozen_epochs", "mask_epochs")
        epochs: dict[str, Any] = {name: getattr(config, name) * stage.epochs_share for name in names}
        # One process trains all runs, and TensorFlow connects a process with others only once.
        own: dict[str, Any] = {
            "seed": trial.seed,
            "data_dir": data.data_dir or config.data_dir,
            "cluster": "none",
        }
        return replace(config, **epochs, **own)

    def test_data(self, trial: Trial) -> DataSet:
        """Returns the data set on which a trial is tested."""
        condition = self.conditions[trial.condition]
        test = condition.test or condition.data
        return self.data[condition.fresh or test if self.stages[trial.stage].fresh else test]

    def search_trials(self, arm: str) -> list[Trial]:
        """Returns the trials of the search of an arm without `like`."""
        search = self.search
        return [
            Trial(search.stage, arm, search.condition, seed, rate)
            for seed in search.seeds
            for rate in search.learning_rates
        ]

    def __iter__(self) -> Iterator[tuple[str, str, str, str, int]]:
        """Yields (stage, question, arm, condition, seed) in the order in which the study measures them."""
        for stage in self.stages.values():
            for question in stage.questions:
                for condition in self.questions[question].conditions:
                    for seed in stage.seeds:
                        for arm in self.questions[question].arms:
                            yield stage.name, question, arm, condition, seed
