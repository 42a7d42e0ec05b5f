"""The place of a process among the workers of a run, by `TF_CONFIG` and by the variables of `srun`."""

import json
import os

import pytest

from farkeras.errors import FarkerasError
from farkeras.training.cluster import Place, find_place, first_host
from farkeras.training.devices import make_strategy

TWO = ("m0:1000", "m1:1000")


def tf_config(cluster, **task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, None),
        ({"TF_CONFIG": "{}"}, None),
        (tf_config({"worker": ["m0:1000"]}, type="worker", index=0), None),
        (tf_config({"worker": TWO}, type="worker", index=1), Place(1, TWO, "TF_CONFIG")),
        (tf_config({"chief": TWO[:1], "worker": TWO[1:]}, type="chief", index=0), Place(0, TWO, "TF_CONFIG")),
        (tf_config({"chief": TWO[:1], "worker": TWO[1:]}, type="worker", index=0), Place(1, TWO, "TF_CONFIG")),
    ],
)
def test_tf_config(environment, place):
    assert find_place(environment) == place


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "worker"}, r"^TF_CONFIG must be JSON such as \{.*\}\. Received: worker\.$"),
        (tf_config({"worker": TWO}, type="evaluator", index=0), "Received: evaluator. Remove it"),
        (
            tf_config({"worker": TWO, "ps": ["m2:1"]}, type="worker", index=0),
            "every process of a run trains. Received: ps",
        ),
        (tf_config({"worker": TWO}, type="worker", index=2), "one of the 2 addresses of the job `worker`.*: index 2"),
        (tf_config({"worker": ["m0", "m1"]}, type="worker", index=0), "each worker as host:port. Received: m0"),
        (
            {"SLURM_STEP_NUM_TASKS": "2"},
            "2, but SLURM_JOB_ID is not set. Start the command with srun, or set `cluster=",
        ),
    ],
)
def test_what_is_invalid(environment, message):
    with pytest.raises(FarkerasError, match=message):
        find_place(environment)


def srun(task, node, nodes, tasks=2):
    """The variables that srun sets for a task, as a job of two machines without padded numbers shows them."""
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "3",
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_NUM_NODES": "2",
        "SLURM_STEP_NUM_TASKS": str(tasks),
        "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
        "SLURM_PROCID": str(task),
        "SLURMD_NODENAME": node,
    }


def test_srun():
    """The order of n[9-10] is that of the tasks; as text, n10 would come first."""
    assert find_place(srun(0, "n9", "n[9-10]")) == Place(0, ("n9:14714", ""), "srun")
    assert find_place(srun(1, "n10", "n[9-10]")) == Place(1, ("n9:14714", "n10:0"), "srun")
    assert find_place(srun(0, "n9", "n9", tasks=1)) is None


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("n1", "n1"),
        ("n07,n12", "n07"),
        ("n[07-12,15],m3", "n07"),
        ("gpu-[3,5]", "gpu-3"),
        ("rack[0-1]node[4-7]", "rack0node4"),
        ("n[1-2]-ib", "n1-ib"),
    ],
)
def test_the_first_host(nodes, host):
    assert first_host(nodes) == host


@pytest.mark.parametrize("text", ["", "worker"])
def test_a_strategy_on_one_machine_does_not_read_tf_config(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    assert make_strategy().num_replicas_in_sync >= 1
    assert os.environ["TF_CONFIG"] == text
