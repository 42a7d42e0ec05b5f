"""Checks that the workers of a run have the same settings, versions and data, and share the work on the data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from farkeras.config import Config
from farkeras.data.pipeline import check_undecodable, find_undecodable
from farkeras.errors import FarkerasError
from farkeras.files import write_text, writing
from farkeras.flagfiles import published
from farkeras.models.model_file import current_versions
from farkeras.training.building import Data
from farkeras.training.identity import DIFFERENCES, grouping_text
from farkeras.training.workers import Workers

UNDECODABLE_FILE = "undecodable.json"

_OF_EACH_WORKER = {"source", "data_dir", "keypoints_dir", "grouping", "data_service", "worker_timeout"}
"""Settings that may differ: where a worker finds its data. Their content is compared instead."""


def agree_on_settings(workers: Workers, config: Config, devices: int) -> None:
    """Checks that all workers have the same settings, versions and number of devices.

    Args:
        workers: The workers.
        config: The settings of this worker.
        devices: The number of GPUs of this worker.

    Raises:
        FarkerasError: Two workers differ. The message names the setting or package, and both values.
    """
    settings = {name: value for name, value in published(config.to_dict()).items() if name not in _OF_EACH_WORKER}
    facts = {f"`{name}`": value for name, value in settings.items()}
    facts |= {f"the version of {name}": version for name, version in current_versions().items()}
    facts["the number of GPUs"] = devices
    _check_same(workers, facts, "Start every worker with the same settings on machines of the same kind.")


def agree_on_data(workers: Workers, data: Data, identity: dict[str, Any]) -> None:
    """Checks that all workers have the same groups and data.

    Args:
        workers: The workers.
        data: The data of this worker.
        identity: See `farkeras.training.identity.identity_of`.

    Raises:
        FarkerasError: Two workers differ. The message names what differs.
    """
    facts = {"the groups of `grouping`": grouping_text(data.grouping)}
    facts |= {DIFFERENCES[name]: value for name, value in identity["data"].items()}
    _check_same(workers, facts, "Give every worker the same data and groups.", shown=False)


def _check_same(workers: Workers, facts: dict[str, Any], remedy: str, shown: bool = True) -> None:
    facts = json.loads(json.dumps(facts))  # as the other workers receive them
    everyone = [message["facts"] for message in workers.gather({"facts": facts})]
    for number, theirs in enumerate(everyone):
        for what in sorted({*everyone[0], *theirs}):
            one, other = everyone[0].get(what), theirs.get(what)
            if one != other:
                values = f": {workers.name(0)} has {one}, {workers.name(number)} has {other}"
                between = f" between {workers.name(0)} and {workers.name(number)}"
                raise FarkerasError(f"The workers differ in {what}{values if shown else between}. {remedy}")


def in_turn(workers: Workers, work: Callable[[], Any]) -> Any:
    """Does the work on the chief, then on the others, because opening data may unpack archives on a shared disk."""
    if workers.chief:
        done = work()
        workers.gather({})
        return done
    workers.gather({})
    return work()


def undecodable_examples(workers: Workers, workdir: Path, data: Data) -> np.ndarray:
    """Returns the undecodable training examples, int64 in ascending order, the same on every worker.

    The workers decode the training images once, each a share of them. The chief stores the result in the workdir, so
    that a continued run need not repeat this.

    Raises:
        FarkerasError: Too many images are undecodable, or the file is damaged.
    """
    path, number = workdir / UNDECODABLE_FILE, len(data.train)
    stored = workers.from_chief({"rows": _read(path) if workers.chief else None})["rows"]
    if stored is None:
        mine = np.arange(workers.number, number, workers.count)
        share = data.train.take(mine)
        damaged = set(find_undecodable(share, data.preprocessing)) if len(mine) else set()
        rows = mine[[str(path) in damaged for path in share.paths]] if damaged else mine[:0]
        parts = workers.gather({"rows": rows})
        stored = sorted(int(row) for part in parts for row in part["rows"])
        check_undecodable([str(data.train.paths[row]) for row in stored], number)
        if workers.chief:
            with writing(path, instead="workdir"):
                write_text(path, json.dumps({"train": stored}) + "\n")
    return np.array(stored, np.int64)


def _read(path: Path) -> list[int] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["train"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError):
        raise FarkerasError(f"{path} is damaged. Remove it, and start the same command again.") from None
