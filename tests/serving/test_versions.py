"""Versions, labels, status, metadata and hot swap, as TF Serving has them."""

import shutil
import threading

import numpy as np
import pytest

from farkeras.files import written_aside
from farkeras.wire.protos import serving_pb2 as pb
from tests.serving.models import LABELS, WARM_UPS, publish, write_warm_up
from tests.serving.target import code_of, eventually

X = np.ones((1, 3), np.float32)


def version_of(target, model, **spec):
    """The version that answers: as it says, and as its numbers show."""
    answer = target.predict(model, {"x": X}, **spec)
    assert list(answer.outputs["y"].float_val) == [answer.model_spec.version.value] * 3
    return answer.model_spec.version.value


def test_by_default_the_latest_version_only(serving_target):
    assert version_of(serving_target, "latest") == version_of(serving_target, "latest", version=3) == 3
    assert code_of(lambda: version_of(serving_target, "latest", version=2)) == "NOT_FOUND"
    assert serving_target.states("latest") == {3: "AVAILABLE"}


def test_all_versions(serving_target):
    assert [version_of(serving_target, "all", version=version) for version in (1, 2, 3)] == [1, 2, 3]
    assert version_of(serving_target, "all") == 3


def test_labels(serving_target):
    for label, version in LABELS.items():
        assert version_of(serving_target, "labelled", label=label) == version
    assert version_of(serving_target, "labelled") == 2
    assert code_of(lambda: version_of(serving_target, "labelled", version=3)) == "NOT_FOUND"


def test_status(serving_target):
    statuses = serving_target.statuses("all")
    assert [status.version for status in statuses] == [3, 2, 1], "the highest first"
    assert {(status.state, status.status.error_code) for status in statuses} == {
        (pb.ModelVersionStatus.AVAILABLE, pb.OK)
    }
    assert serving_target.states("all", version=2) == {2: "AVAILABLE"}
    assert code_of(lambda: serving_target.states("missing")) == "NOT_FOUND"
    assert code_of(lambda: serving_target.states("all", version=9)) == "NOT_FOUND"


def test_metadata(serving_target):
    metadata = serving_target.metadata("faces")
    assert (metadata.model_spec.name, metadata.model_spec.version.value) == ("faces", 1)
    assert list(metadata.metadata) == ["signature_def"]
    content = metadata.metadata["signature_def"]
    assert content.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = pb.SignatureDefMap.FromString(content.value).signature_def
    assert {"serving_default", "images", "tensors"} <= signatures.keys()
    default = signatures["serving_default"]
    assert default.method_name == "tensorflow/serving/predict"
    assert {name: (info.dtype, len(info.tensor_shape.dim)) for name, info in default.inputs.items()} == {
        "bytes": (pb.DT_STRING, 1)
    }
    assert [dim.size for dim in default.outputs["probabilities"].tensor_shape.dim] == [-1, 3]


@pytest.mark.parametrize(
    ("code", "model", "options"),
    [
        ("NOT_FOUND", "missing", {}),
        ("NOT_FOUND", "all", {"version": 9}),
        ("INVALID_ARGUMENT", "all", {"fields": ()}),
        ("INVALID_ARGUMENT", "all", {"fields": ("weights",)}),
    ],
)
def test_metadata_that_is_not_there(serving_target, code, model, options):
    assert code_of(lambda: serving_target.metadata(model, **options)) == code


def test_warm_up_requests_have_run(serving_target):
    answer = serving_target.values("warm", {"x": np.ones(1, np.float32)}, signature="count")
    assert answer["runs"] > WARM_UPS


def test_hot_swap(serving_target):
    """While requests keep coming, each has an answer, and the right one of its version."""
    old = version_of(serving_target, "swapped")
    seen, errors, stop = [], [], threading.Event()

    def ask():
        try:
            while not stop.is_set():
                seen.append(version_of(serving_target, "swapped"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for new in (old + 1, old + 2):
            publish(serving_target.models / "swapped", new)
            eventually(lambda new=new: new in seen[-20:] or bool(errors))
            eventually(lambda new=new: serving_target.states("swapped")[new - 1] == "END")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors
    assert set(seen) == {old, old + 1, old + 2}
    assert code_of(lambda: version_of(serving_target, "swapped", version=old)) == "NOT_FOUND"


def test_a_version_that_does_not_load_leaves_the_old_one(serving_target):
    base = serving_target.models / "broken"
    new = 1 + max(int(path.name) for path in base.iterdir())
    with written_aside(base / str(new)) as aside:
        shutil.copytree(base / "1", aside)
        write_warm_up(aside, "surplus")
    eventually(lambda: serving_target.states("broken").get(new) not in (None, "START"))
    assert version_of(serving_target, "broken") == 1
    assert serving_target.states("broken")[new] != "AVAILABLE"
    assert code_of(lambda: version_of(serving_target, "broken", version=new)) == "NOT_FOUND"
