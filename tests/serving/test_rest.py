"""Predict, status and metadata over REST, as TF Serving answers them."""

import base64
import math

import numpy as np
import pytest

FILE = {"b64": base64.b64encode(b"\xff\x00").decode()}


def test_rows_of_one_input(serving_target):
    body = {"instances": [[1, 2, 3], [4, 5.5, 6]]}
    assert serving_target.rest("/v1/models/latest:predict", body) == (
        200,
        {"predictions": [[3, 6, 9], [12, 16.5, 18]]},
    )


def test_rows_of_one_named_input(serving_target):
    body = {"instances": [{"x": [1, 2, 3]}]}
    assert serving_target.rest("/v1/models/latest:predict", body) == (200, {"predictions": [[3, 6, 9]]})


def test_rows_of_several_inputs_and_outputs(serving_target):
    body = {"signature_name": "two", "instances": [{"number": 1, "text": "é"}, {"number": 2, "text": "b"}]}
    assert serving_target.rest("/v1/models/latest:predict", body) == (
        200,
        {
            "predictions": [
                {"product": 3, "twice": "éé", "raw_bytes": {"b64": base64.b64encode("é".encode()).decode()}},
                {"product": 6, "twice": "bb", "raw_bytes": {"b64": "Yg=="}},
            ]
        },
    )


def test_columns(serving_target):
    unnamed, named = {"inputs": [[1, 2, 3]]}, {"inputs": {"x": [[1, 2, 3]]}}
    for body in (unnamed, named):
        assert serving_target.rest("/v1/models/latest:predict", body) == (200, {"outputs": [[3, 6, 9]]})
    body = {"signature_name": "two", "inputs": {"number": [1], "text": [FILE]}}
    status, answer = serving_target.rest("/v1/models/latest:predict", body)
    assert (status, answer["outputs"]["product"], answer["outputs"]["raw_bytes"]) == (200, [3], [FILE])


def test_a_scalar_and_an_answer_without_rows(serving_target):
    body = {"signature_name": "zeros", "inputs": 3}
    assert serving_target.rest("/v1/models/latest:predict", body) == (200, {"outputs": [0, 0, 0]})


def test_every_type(serving_target):
    inputs = {
        "float64": [0.1, math.nan],
        "int32": [-(2**31), 7],
        "int64": [-(2**63), 2**63 - 1],
        "uint8": [0, 255],
        "bool": [True, False],
    }
    status, answer = serving_target.rest(
        "/v1/models/latest:predict", {"signature_name": "types", "inputs": {**inputs, "half": [0.5, -2]}}
    )
    if status == 501:
        pytest.skip("this server's JSON has no half precision, nor has TF Serving's")
    assert status == 200
    assert math.isnan(answer["outputs"]["float64"].pop()), "NaN is written as such"
    inputs["float64"].pop()
    assert {name: answer["outputs"][name] for name in inputs} == inputs


def test_image_files(serving_target):
    photo = base64.b64encode((serving_target.models / "faces" / "face.jpg").read_bytes()).decode()
    expected = serving_target.values(
        "faces", {"bytes": np.array([(serving_target.models / "faces" / "face.jpg").read_bytes()], object)}
    )["probabilities"]
    for body, key in (({"instances": [{"b64": photo}]}, "predictions"), ({"inputs": [{"b64": photo}]}, "outputs")):
        status, answer = serving_target.rest("/v1/models/faces:predict", body)
        rows = answer[key]
        if isinstance(rows, dict):  # by columns, named where there are several outputs
            rows = rows["probabilities"]
        elif isinstance(rows[0], dict):
            rows = [row["probabilities"] for row in rows]
        assert status == 200
        np.testing.assert_allclose(rows, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "version"),
    [("all/versions/1", 1), ("all/versions/3", 3), ("labelled/labels/stable", 1), ("labelled/labels/canary", 2)],
)
def test_versions_and_labels(serving_target, path, version):
    body = {"instances": [[1, 1, 1]]}
    assert serving_target.rest(f"/v1/models/{path}:predict", body) == (200, {"predictions": [[version] * 3]})


GOOD = {"instances": [[1, 2, 3]]}


@pytest.mark.parametrize(
    ("status", "path", "body"),
    [
        (404, "missing:predict", GOOD),
        (404, "latest/versions/99:predict", GOOD),
        (400, "labelled/labels/missing:predict", GOOD),
        (400, "latest:paint", GOOD),
        (400, "latest:predict", {**GOOD, "signature_name": "missing"}),
        (400, "latest:predict", {**GOOD, "signature_name": 1}),
        (400, "latest:predict", b""),
        (400, "latest:predict", b"{"),
        (400, "latest:predict", b"\xff\xfe"),
        (400, "latest:predict", b"[" * 10**5),
        (400, "latest:predict", []),
        (400, "latest:predict", {}),
        (400, "latest:predict", {"instances": []}),
        (400, "latest:predict", {"instances": 1}),
        (400, "latest:predict", {"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}),
        (400, "latest:predict", {"instances": [[1, 2, 3], [1, 2]]}),
        (400, "latest:predict", {"instances": [[1, 2, "a"]]}),
        (400, "latest:predict", {"instances": [[1, 2, None]]}),
        (400, "latest:predict", {"instances": [[1, 2]]}),
        (400, "latest:predict", {"instances": [{"z": [1, 2, 3]}]}),
        (400, "latest:predict", {"instances": [{"x": [1, 2, 3]}, [1, 2, 3]]}),
        (400, "latest:predict", {"inputs": {"z": [[1, 2, 3]]}}),
        (400, "latest:predict", {"inputs": {"x": [[1, 2, 3]], "z": 1}}),
        (400, "latest:predict", {"signature_name": "two", "instances": [1]}),
        (400, "latest:predict", {"signature_name": "two", "inputs": [1]}),
        (400, "latest:predict", {"signature_name": "two", "inputs": {"number": [1]}}),
        (400, "latest:predict", {"signature_name": "two", "inputs": {"number": [1], "text": [["a"], ["b", "c"]]}}),
        (400, "latest:predict", {"signature_name": "zeros", "inputs": 1.5}),
        (400, "latest:predict", {"signature_name": "zeros", "inputs": 2**31}),
        (400, "faces:predict", {"instances": [{"b64": "not base64!"}]}),
        (400, "faces:predict", {"instances": [1]}),
        (400, "faces:predict", {"instances": [{"b64": "bm8gaW1hZ2U="}]}),
    ],
)
def test_errors(serving_target, status, path, body):
    code, answer = serving_target.rest(f"/v1/models/{path}", body)
    assert (code, list(answer)) == (status, ["error"])
    assert isinstance(answer["error"], str)
    assert serving_target.rest("/v1/models/latest:predict", GOOD)[0] == 200


def test_rows_need_outputs_with_rows(serving_target):
    body = {"signature_name": "zeros", "inputs": 3}
    assert serving_target.rest("/v1/models/latest:predict", body)[0] == 200
    status, _ = serving_target.rest("/v1/models/latest:predict", {"signature_name": "zeros", "instances": [3]})
    assert status == 400


def test_status(serving_target):
    status, answer = serving_target.rest("/v1/models/all")
    expected = [
        {"version": version, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        for version in ("3", "2", "1")
    ]
    assert (status, answer) == (200, {"model_version_status": expected})
    assert serving_target.rest("/v1/models/all/versions/2") == (200, {"model_version_status": expected[1:2]})
    assert serving_target.rest("/v1/models/missing")[0] == 404
    assert serving_target.rest("/v1/models/all/versions/9")[0] == 404


def test_metadata(serving_target):
    status, answer = serving_target.rest("/v1/models/faces/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "faces", "signature_name": "", "version": "1"}
    default = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert default["inputs"]["bytes"]["dtype"] == "DT_STRING"
    assert default["inputs"]["bytes"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
    assert default["method_name"] == "tensorflow/serving/predict"
    assert serving_target.rest("/v1/models/missing/metadata")[0] == 404
