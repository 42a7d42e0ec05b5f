"""Every file in serving/ says what TF Serving, Compose and Kubernetes read, and they agree with each other."""

import os
import re
import subprocess
from importlib import import_module
from pathlib import Path

import jsonschema
import pytest
import yaml
from google.protobuf import text_format

from farkeras.clients import Settings
from farkeras.wire.protos import config_pb2
from tests.clients.fake_server import FakeModel, serve

SERVING = Path(__file__).parents[1] / "serving"
CONFIGS = {
    "models.config": config_pb2.ModelServerConfig,
    "batching.config": config_pb2.BatchingParameters,
    "monitoring.config": config_pb2.MonitoringConfig,
}
MODEL = "farkeras"
FLAGS = {
    "--model_config_file=/config/models.config",
    "--model_config_file_poll_wait_seconds=30",
    "--allow_version_labels_for_unavailable_models",
    "--enable_batching",
    "--batching_parameters_file=/config/batching.config",
    "--monitoring_config_file=/config/monitoring.config",
}


def parse(name, message=None):
    return text_format.Parse((SERVING / name).read_text(), message or CONFIGS[name]())


def load(name):
    return list(yaml.safe_load_all((SERVING / name).read_text()))


def test_nothing_is_left_out():
    assert {path.name for path in SERVING.iterdir() if path.suffix == ".config"} == set(CONFIGS)
    assert {path.name for path in SERVING.iterdir() if path.suffix in (".yaml", ".yml")} == {
        "compose.yaml",
        "kubernetes.yaml",
    }


def test_models_as_tf_serving_reads_them():
    pytest.importorskip("tensorflow_serving.config", reason="tensorflow-serving-api is not installed")
    official = import_module("tensorflow_serving.config.model_server_config_pb2")
    theirs = parse("models.config", official.ModelServerConfig())
    assert text_format.MessageToString(theirs) == text_format.MessageToString(parse("models.config"))


def test_models():
    (model,) = parse("models.config").model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == (MODEL, f"/models/{MODEL}", "tensorflow")
    assert model.name == Settings().model
    assert model.model_version_policy.latest.num_versions == 2, "one for each label"
    assert dict(model.version_labels) == {"stable": 1, "canary": 1}, "an export's first version serves at once"


def test_batching():
    batching = parse("batching.config")
    sizes = list(batching.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == batching.max_batch_size.value >= Settings().max_images
    assert batching.num_batch_threads.value >= 1
    assert batching.max_enqueued_batches.value >= 1


def test_monitoring():
    assert parse("monitoring.config").prometheus_config.enable


# What Compose and Kubernetes know of what is used here; both refuse other names.


def record(required=(), **properties):
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def listed(items):
    return {"type": "array", "items": items, "minItems": 1}


TEXT, NUMBER, YES_OR_NO = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
QUANTITY = {"type": "string", "pattern": r"^\d+(\.\d+)?(m|Ki|Mi|Gi)?$"}

COMPOSE = record(
    ["services"],
    **{"x-serving": {"type": "object"}},
    name=TEXT,
    services={
        "type": "object",
        "additionalProperties": record(
            ["image", "command", "ports", "volumes", "healthcheck", "profiles"],
            image=TEXT,
            command=listed(TEXT),
            profiles=listed(TEXT),
            ports=listed({"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}),
            volumes=listed({"type": "string", "pattern": ":ro$"}),
            environment=TEXTS,
            restart={"enum": ["no", "always", "on-failure", "unless-stopped"]},
            stop_grace_period=DURATION,
            healthcheck=record(
                ["test"], test=listed(TEXT), interval=DURATION, timeout=DURATION, start_period=DURATION, retries=NUMBER
            ),
            deploy=record(
                resources=record(
                    limits=record(cpus=TEXT, memory={"type": "string", "pattern": r"^\d+[bkmg]$"}),
                    reservations=record(
                        devices=listed(
                            record(["capabilities"], driver=TEXT, count=NUMBER, capabilities=listed({"const": "gpu"}))
                        )
                    ),
                )
            ),
        ),
    },
)

METADATA = record(["name"], name=TEXT, labels=TEXTS)
PORT = {"anyOf": [TEXT, NUMBER]}
PROBE = record(
    httpGet=record(["path", "port"], path=TEXT, port=PORT),
    tcpSocket=record(["port"], port=PORT),
    periodSeconds=NUMBER,
    failureThreshold=NUMBER,
)
CONTAINER = record(
    ["name", "image", "resources", "readinessProbe"],
    name=TEXT,
    image=TEXT,
    args=listed(TEXT),
    ports=listed(record(["containerPort"], name=TEXT, containerPort=NUMBER)),
    resources=record(
        ["requests", "limits"],
        requests=record(["cpu", "memory"], cpu=QUANTITY, memory=QUANTITY),
        limits=record(["memory"], cpu=QUANTITY, memory=QUANTITY),
    ),
    startupProbe=PROBE,
    readinessProbe=PROBE,
    livenessProbe=PROBE,
    volumeMounts=listed(record(["name", "mountPath"], name=TEXT, mountPath=TEXT, readOnly=YES_OR_NO)),
)
DEPLOYMENT = record(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "apps/v1"},
    kind={"const": "Deployment"},
    metadata=METADATA,
    spec=record(
        ["selector", "template"],
        replicas=NUMBER,
        selector=record(["matchLabels"], matchLabels=TEXTS),
        template=record(
            ["metadata", "spec"],
            metadata=record(["labels"], labels=TEXTS, annotations=TEXTS),
            spec=record(
                ["containers"],
                automountServiceAccountToken=YES_OR_NO,
                terminationGracePeriodSeconds=NUMBER,
                containers=listed(CONTAINER),
                volumes=listed(
                    record(
                        ["name"],
                        name=TEXT,
                        persistentVolumeClaim=record(["claimName"], claimName=TEXT, readOnly=YES_OR_NO),
                        configMap=record(["name"], name=TEXT),
                    )
                ),
            ),
        ),
    ),
)
SERVICE = record(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "v1"},
    kind={"const": "Service"},
    metadata=METADATA,
    spec=record(
        ["selector", "ports"],
        clusterIP=TEXT,
        selector=TEXTS,
        ports=listed(record(["port"], name=TEXT, port=NUMBER, targetPort=PORT)),
    ),
)


@pytest.fixture
def compose():
    (compose,) = load("compose.yaml")
    return compose


@pytest.fixture
def kubernetes():
    """The deployment and the service."""
    return load("kubernetes.yaml")


def test_compose_schema(compose):
    jsonschema.validate(compose, COMPOSE)


def test_kubernetes_schema(kubernetes):
    for manifest, schema in zip(kubernetes, (DEPLOYMENT, SERVICE), strict=True):
        jsonschema.validate(manifest, schema)


def test_compose_serves_the_demo(compose):
    services = compose["services"]
    assert {name: (s["profiles"], s["image"]) for name, s in services.items()} == {
        "serving": (["cpu"], "tensorflow/serving:2.19.1"),
        "serving-gpu": (["gpu"], "tensorflow/serving:2.19.1-gpu"),
    }
    for service in services.values():
        assert set(service["command"]) == FLAGS
        export, *configs = service["volumes"]
        assert export == "${FARKERAS_EXPORT:-../runs/demo/export/saved_model}:/models/farkeras:ro"
        assert configs == [f"./{name}:/config/{name}:ro" for name in CONFIGS]


def test_kubernetes_serves_the_same(compose, kubernetes):
    deployment, service = kubernetes
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == compose["services"]["serving"]["image"]
    assert set(container["args"]) == FLAGS
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {v["name"] for v in pod["spec"]["volumes"]}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert (
        ports == {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == {"grpc": 8500, "rest": 8501}
    )
    assert pod["metadata"]["annotations"]["prometheus.io/path"] == parse("monitoring.config").prometheus_config.path
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": f"/v1/models/{MODEL}", "port": "rest"}


def test_kubernetes_comments_name_every_config():
    comments = (SERVING / "kubernetes.yaml").read_text()
    assert set(re.findall(r"--from-file=serving/(\S+)", comments)) == set(CONFIGS)


@pytest.mark.parametrize(("state", "healthy"), [("AVAILABLE", True), ("LOADING", False)])
def test_the_health_check(compose, state, healthy):
    model = FakeModel()
    # In the container it speaks to port 8501.
    model.states = [{1: (state, "")}]
    _, shell, option, script = compose["services"]["serving"]["healthcheck"]["test"]
    with serve("rest", model) as address:
        script = script.replace("8501", address.rpartition(":")[2])
        done = subprocess.run([shell, option, script], env={"PATH": os.environ["PATH"]}, timeout=10, check=False)
    assert (done.returncode == 0) == healthy
