"""Reads the plan of a study, a TOML file, and checks it."""

import tomllib
from pathlib import Path
from typing import Any

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.files import as_path
from farkeras.flagfiles import SHIPPED
from farkeras.studies.plan import Arm, Condition, DataSet, Part, Plan, Question, Search, Stage
from farkeras.synthetic.generate import FaceSettings

SPLITS = ("train", "validation", "test")


def find_plan(name: str | Path) -> Path:
    """Finds a plan: the path `name` if it exists, else the package's plan of this name, else the path."""
    path = as_path(name)
    shipped = SHIPPED / path.name
    by_name = str(path.parent) in (".", "configs")  # as for a flagfile
    return shipped if by_name and not path.exists() and shipped.exists() else path


def read_plan(path: str | Path, recipe: Config) -> Plan:
    """Reads and checks a plan.

    Args:
        path: The TOML file, or the name of one in the package, such as `study.toml`.
        recipe: The settings that all runs share.

    Raises:
        FarkerasError: The file is unreadable or not TOML, a part is unknown, names something that is not in the plan,
            or has an invalid value or setting. The message names the part.
    """
    path = find_plan(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FarkerasError(f"{path}: cannot be read ({error.strerror}); expected the plan of a study.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FarkerasError(f"{path}: is not TOML ({error}); correct it. configs/study.toml is an example.") from None
    kinds: dict[str, type[Part]] = {
        "arms": Arm,
        "data": DataSet,
        "conditions": Condition,
        "stages": Stage,
        "questions": Question,
    }
    if unknown := sorted(set(values) - set(kinds) - {"search"}):
        raise FarkerasError(f"{path} has the unknown part '{unknown[0]}'. Known parts: {', '.join(kinds)}, search.")
    parts: dict[str, Any] = {}
    for kind, of in kinds.items():
        if not isinstance(values.get(kind), dict) or not values[kind]:
            raise FarkerasError(f"{path} must have at least one table [{kind}.NAME]. Add it.")
        parts[kind] = {name: of.read(f"{path}, [{kind}.{name}]", name, each) for name, each in values[kind].items()}
    plan = Plan(path, **parts, search=Search.read(f"{path}, [search]", "search", values.get("search", {})))
    _check_names(plan)
    _check_values(plan, recipe)
    return plan


def _check_names(plan: Plan) -> None:
    """Raises `FarkerasError` if a part names something that is not in the plan, or if `like` leads in a circle."""
    for question in plan.questions.values():
        if not question.pairs or not question.conditions:
            where = f"{plan.path}, [questions.{question.name}]"
            raise FarkerasError(f"{where} must have at least one pair and one condition. Add them.")
        for pair in (*question.pairs, *question.links):
            if pair.count(" - ") != 1:
                raise FarkerasError(
                    f"{plan.path}, [questions.{question.name}]: a pair must be 'one - other'. Received: '{pair}'."
                )
    named = [(f"arms.{arm.name}", arm.like, "arms") for arm in plan.arms.values() if arm.like]
    for condition in plan.conditions.values():
        wanted = [condition.data, *filter(None, (condition.test, condition.fresh))]
        named += [(f"conditions.{condition.name}", each, "data") for each in wanted]
        if condition.gains_of:
            named.append((f"conditions.{condition.name}", condition.gains_of, "conditions"))
    for question in plan.questions.values():
        named += [(f"questions.{question.name}", arm, "arms") for arm in question.arms]
        named += [(f"questions.{question.name}", each, "conditions") for each in question.conditions]
    for stage in plan.stages.values():
        named += [(f"stages.{stage.name}", each, "questions") for each in stage.questions]
    if plan.search.stage:
        named += [("search", plan.search.stage, "stages"), ("search", plan.search.condition, "conditions")]
    for where, name, kind in named:
        known = getattr(plan, kind)
        if name not in known:
            raise FarkerasError(
                f"{plan.path}, [{where}] names '{name}', which is not among the {kind}: {', '.join(known)}."
            )
    for arm in plan.arms.values():
        seen, at = {arm.name}, arm.like
        while at:
            if at in seen:
                raise FarkerasError(f"{plan.path}, [arms.{arm.name}]: `like` leads back to '{at}'. Remove one `like`.")
            seen.add(at)
            at = plan.arms[at].like


def _check_values(plan: Plan, recipe: Config) -> None:
    """Raises `FarkerasError` if a value is outside its range, or if settings of an arm or condition are invalid."""
    for stage in plan.stages.values():
        where = f"{plan.path}, [stages.{stage.name}]"
        if not stage.seeds or len(set(stage.seeds)) < len(stage.seeds):
            raise FarkerasError(f"{where}: `seeds` must be a list of different numbers. Received: {list(stage.seeds)}.")
        if stage.reads not in ("validation", "test"):
            raise FarkerasError(f"{where}: `reads` must be validation or test. Received: '{stage.reads}'.")
        _valid(where, recipe, stage.settings)
    if plan.search.stage and not (plan.search.seeds and plan.search.learning_rates):
        raise FarkerasError(f"{plan.path}, [search] must have `seeds` and `learning_rates`. Add them.")
    for data in plan.data.values():
        where = f"{plan.path}, [data.{data.name}]"
        if data.split not in SPLITS:
            raise FarkerasError(f"{where}: `split` must be one of {', '.join(SPLITS)}. Received: '{data.split}'.")
        try:
            if data.faces:
                FaceSettings(**data.faces)
        except (FarkerasError, TypeError) as error:
            raise FarkerasError(f"{where}: `faces` must be arguments of farkeras.FaceSettings. {error}") from None
        if data.faces and not data.data_dir:
            raise FarkerasError(f"{where}: `faces` need a `data_dir`, the folder to draw them into. Add it.")
    for name, arm in plan.arms.items():
        _valid(f"{plan.path}, [arms.{name}]", recipe, plan.arm_settings(arm.name))
    for name, condition in plan.conditions.items():
        _valid(f"{plan.path}, [conditions.{name}]", recipe, condition.settings)


def _valid(where: str, recipe: Config, settings: dict[str, Any]) -> None:
    try:
        Config.from_dict(recipe.to_dict() | settings)
    except FarkerasError as error:
        raise FarkerasError(f"{where}: {error}") from None
