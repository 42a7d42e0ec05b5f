"""The machines of a run, as `TF_CONFIG` or the variables of SLURM's `srun` name them.

TensorFlow's `SlurmClusterResolver` is not used: it sorts the hosts as text, so that task 0 of `n[9-10]` gets the
address of n10; it assumes a block distribution of the tasks; and it fails on machines without NVIDIA's tools.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from farkeras.errors import FarkerasError

_EXAMPLE = '{"cluster": {"worker": ["machine0:12345", "machine1:12345"]}, "task": {"type": "worker", "index": 0}}'


class Place(NamedTuple):
    """The place of this process among the workers of a run.

    Attributes:
        number: Number of this worker; 0 is the chief.
        addresses: `host:port` of each worker, "" where only the worker itself knows it.
        found_by: What named the workers: `TF_CONFIG` or `srun`.
    """

    number: int
    addresses: tuple[str, ...]
    found_by: str


def find_place(environment: Mapping[str, str]) -> Place | None:
    """Finds this process among the workers of a run.

    Args:
        environment: The environment variables, `os.environ`.

    Returns:
        The place by `TF_CONFIG`, else that in a job step of SLURM; None for a process on its own.

    Raises:
        FarkerasError: A variable is invalid.
    """
    if text := environment.get("TF_CONFIG", ""):
        return _by_tf_config(text)
    if int(environment.get("SLURM_STEP_NUM_TASKS") or 1) > 1:
        return _by_slurm(environment)
    return None


def _by_tf_config(text: str) -> Place | None:
    try:
        given = json.loads(text)
        cluster, task = given.get("cluster") or {}, given.get("task") or {}
        workers = [str(address) for job in ("chief", "worker") for address in cluster.get(job, [])]
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
        chiefs = len(cluster.get("chief", []))
    except (ValueError, TypeError, AttributeError):
        raise FarkerasError(f"TF_CONFIG must be JSON such as {_EXAMPLE}. Received: {text}.") from None
    if others := sorted({*cluster, kind} - {"chief", "worker"}):
        raise FarkerasError(
            f"TF_CONFIG may name the jobs `chief` and `worker`, because every process of a run trains. Received: "
            f"{', '.join(others)}. Remove it, and start no process for it."
        )
    if len(workers) < 2:
        return None
    number = index + (chiefs if kind == "worker" else 0)
    if not 0 <= index < len(cluster.get(kind, [])):
        raise FarkerasError(
            f"The task in TF_CONFIG must be one of the {len(cluster.get(kind, []))} addresses of the job `{kind}`, "
            f"counted from 0. Received: index {index}."
        )
    for address in workers:
        if not re.fullmatch(r".+:\d+", address):
            raise FarkerasError(f"TF_CONFIG must give each worker as host:port. Received: {address}.")
    return Place(number, tuple(workers), "TF_CONFIG")


def _by_slurm(environment: Mapping[str, str]) -> Place:
    needed = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_STEP_NODELIST", "SLURMD_NODENAME")
    if missing := [name for name in needed if not environment.get(name)]:
        raise FarkerasError(
            f"SLURM_STEP_NUM_TASKS is {environment['SLURM_STEP_NUM_TASKS']}, but {missing[0]} is not set. Start the "
            "command with srun, or set `cluster=none` for a run of its own."
        )
    number, count = int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"])
    # Job steps may share a machine. The ports lie below those that systems give to outgoing connections.
    port = 10_000 + (int(environment["SLURM_JOB_ID"]) + int(environment["SLURM_STEP_ID"])) % 20_000
    addresses = ["" for _ in range(count)]
    # Task 0 is on the first machine of the list, in every distribution of tasks but `arbitrary`.
    addresses[0] = f"{first_host(environment['SLURM_STEP_NODELIST'])}:{port}"
    if number:
        addresses[number] = f"{environment['SLURMD_NODENAME']}:0"  # any free port
    return Place(number, tuple(addresses), "srun")


def first_host(nodes: str) -> str:
    """Returns the first host of a list in SLURM's notation: `n07` for `n[07-12,15],m3`."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])+", nodes)
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", first[0] if first else nodes)
