"""The recipes and the table of docs/machines.md: the files are what Kubernetes, SLURM and TF_CONFIG's readers take."""

import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from benchmarks.scaling import seconds, table
from farkeras.training.cluster import Place, find_place
from tests.test_serving_recipes import NUMBER, TEXT, TEXTS, YES_OR_NO, listed, record

PAGE = (Path(__file__).parents[1] / "docs/machines.md").read_text(encoding="utf-8")


def blocks(section, language):
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


@pytest.mark.parametrize("index", [0, 1])
def test_two_shells(index):
    export, command = blocks("Two shells", "bash")[index].splitlines()
    environment = {"TF_CONFIG": re.fullmatch(r"export TF_CONFIG='(.*)'", export)[1]}
    assert find_place(environment) == Place(index, ("machine0:12345", "machine1:12345"), "TF_CONFIG")
    assert command.startswith("python -m farkeras.train --flagfile=")


def test_slurm():
    (script,) = blocks("SLURM", "bash")
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", script, re.M))
    known = "job-name nodes ntasks-per-node gpus-per-node cpus-per-task time signal requeue open-mode"
    assert options.keys() == set(known.split())
    assert options["signal"] == "TERM@120"
    # With stand-ins for SLURM's commands: a stopped run goes back into the queue, a failed one does not.
    for code, requeued in ((0, False), (1, False), (75, True), (143, True)):
        stand_ins = f"srun() {{ return {code}; }}\nscontrol() {{ echo $1 $2; }}\nSLURM_JOB_ID=7\n"
        done = subprocess.run(["bash"], input=stand_ins + script, text=True, capture_output=True)
        assert (done.returncode, done.stdout) == (code, "requeue 7\n" if requeued else "")


EXIT_CODES = record(["operator", "values"], operator={"enum": ["In", "NotIn"]}, values=listed(NUMBER))
RULE = record(
    ["action"],
    action={"enum": ["Ignore", "FailJob", "FailIndex", "Count"]},
    onExitCodes=EXIT_CODES,
    onPodConditions=listed(record(["type"], type=TEXT, status=TEXT)),
)
CONTAINER = record(
    ["name", "image"],
    name=TEXT,
    image=TEXT,
    command=listed(TEXT),
    args=listed(TEXT),
    ports=listed(record(["containerPort"], containerPort=NUMBER)),
    resources=record(limits={"type": "object"}),
    volumeMounts=listed(record(["name", "mountPath"], name=TEXT, mountPath=TEXT)),
)
POD = record(
    ["containers", "restartPolicy"],
    subdomain=TEXT,
    restartPolicy={"const": "Never"},  # a pod failure policy needs it
    terminationGracePeriodSeconds=NUMBER,
    containers=listed(CONTAINER),
    volumes=listed(record(["name"], name=TEXT, persistentVolumeClaim=record(["claimName"], claimName=TEXT))),
)
JOB = record(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "batch/v1"},
    kind={"const": "Job"},
    metadata=record(["name"], name=TEXT),
    spec=record(
        ["template"],
        completions=NUMBER,
        parallelism=NUMBER,
        completionMode={"enum": ["Indexed", "NonIndexed"]},
        backoffLimit=NUMBER,
        podFailurePolicy=record(["rules"], rules=listed(RULE)),
        template=record(["spec"], spec=POD),
    ),
)
SERVICE = record(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "v1"},
    kind={"const": "Service"},
    metadata=record(["name"], name=TEXT),
    spec=record(
        ["selector", "ports"],
        clusterIP={"const": "None"},
        publishNotReadyAddresses=YES_OR_NO,
        selector=TEXTS,
        ports=listed(record(["port"], name=TEXT, port=NUMBER)),
    ),
)


def test_kubernetes():
    service, job = yaml.safe_load_all(blocks("Kubernetes", "yaml")[0])
    jsonschema.validate(service, SERVICE)
    jsonschema.validate(job, JOB)
    name, spec, pod = job["metadata"]["name"], job["spec"], job["spec"]["template"]["spec"]
    assert service["spec"]["selector"] == {"job-name": name}
    assert service["metadata"]["name"] == pod["subdomain"]
    assert spec["completions"] == spec["parallelism"] == 2
    (container,) = pod["containers"]
    script = container["args"][0]
    assert "exec python -m farkeras.train" in script
    script = script[: script.index("exec")] + 'printf %s "$TF_CONFIG"'
    for index in range(2):
        done = subprocess.run(
            ["sh", "-c", script], env={"JOB_COMPLETION_INDEX": str(index)}, capture_output=True, text=True
        )
        hosts = tuple(f"{name}-{pod}.{service['metadata']['name']}:12345" for pod in range(2))
        assert find_place({"TF_CONFIG": done.stdout}) == Place(index, hosts, "TF_CONFIG")


def test_the_cost():
    """Two machines with 1 Gbit/s send each gradient of 4 bytes once: 25 million parameters are 0.8 Gbit."""
    assert seconds(25_000_000, 2, 1) == pytest.approx(0.8)
    assert seconds(25_000_000, 4, 10) == pytest.approx(0.12)
    assert table() in PAGE
