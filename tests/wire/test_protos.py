"""Our messages are TF Serving's on the wire: what one side writes the other reads."""

import ast
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import DescriptorProto

from farkeras.wire.protos import config_pb2, serving_pb2

pytestmark = pytest.mark.core

# Ours -> the module and name of the official message.
OFFICIAL = {
    "ModelSpec": ("model_pb2", "ModelSpec"),
    "PredictRequest": ("predict_pb2", "PredictRequest"),
    "PredictResponse": ("predict_pb2", "PredictResponse"),
    "GetModelMetadataRequest": ("get_model_metadata_pb2", "GetModelMetadataRequest"),
    "GetModelMetadataResponse": ("get_model_metadata_pb2", "GetModelMetadataResponse"),
    "SignatureDefMap": ("get_model_metadata_pb2", "SignatureDefMap"),
    "GetModelStatusRequest": ("get_model_status_pb2", "GetModelStatusRequest"),
    "GetModelStatusResponse": ("get_model_status_pb2", "GetModelStatusResponse"),
    "PredictionLog": ("prediction_log_pb2", "PredictionLog"),
}
REQUEST = """
model_spec { name: "faces" version { value: 3 } signature_name: "images" }
output_filter: "probabilities"
inputs { key: "bytes" value { dtype: DT_STRING tensor_shape { dim { size: 2 } } string_val: "\\377" string_val: "" } }
inputs { key: "images" value { dtype: DT_UINT8 tensor_shape { dim { size: 1 } dim { size: -1 } } tensor_content: "x" } }
inputs { key: "numbers" value { dtype: DT_FLOAT tensor_shape { unknown_rank: true } float_val: 0.1 float_val: nan
double_val: 0.2 int_val: -1 int64_val: -2 bool_val: true uint32_val: 3 uint64_val: 4 half_val: 5 version_number: 6 } }
"""
EXAMPLES = {
    "ModelSpec": 'name: "faces" version_label: "stable"',
    "PredictRequest": REQUEST,
    "PredictResponse": 'model_spec { name: "faces" } outputs { key: "valid" value { dtype: DT_BOOL bool_val: true } }',
    "GetModelMetadataRequest": 'model_spec { name: "faces" } metadata_field: "signature_def"',
    "GetModelMetadataResponse": 'metadata { key: "signature_def" value { type_url: "a.b/c" value: "d" } }',
    "SignatureDefMap": 'signature_def { key: "s" value { method_name: "tensorflow/serving/predict" '
    'inputs { key: "i" value { name: "i:0" dtype: DT_STRING tensor_shape { dim { size: -1 } } } } '
    'outputs { key: "o" value { name: "o" } } } }',
    "GetModelStatusRequest": 'model_spec { name: "faces" version { } }',
    "GetModelStatusResponse": 'model_version_status { version: 2 state: AVAILABLE status { error_code: OK } } '
    'model_version_status { version: 1 state: END status { error_code: NOT_FOUND error_message: "no" } }',
    "PredictionLog": f"predict_log {{ request {{ {REQUEST} }} response {{ }} }}",
}  # fmt: skip


@pytest.fixture(scope="module")
def official():
    """`official(name)` -> TF Serving's own message class."""
    pytest.importorskip("tensorflow_serving.apis", reason="tensorflow-serving-api is not installed")
    from importlib import import_module

    return lambda name: getattr(import_module(f"tensorflow_serving.apis.{OFFICIAL[name][0]}"), OFFICIAL[name][1])


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_bytes(name, official):
    ours, theirs = getattr(serving_pb2, name)(), official(name)()
    text_format.Parse(EXAMPLES[name], ours)
    text_format.Parse(EXAMPLES[name], theirs)
    written = ours.SerializeToString(deterministic=True)
    assert written == theirs.SerializeToString(deterministic=True) != b""
    assert text_format.MessageToString(type(ours).FromString(written)) == text_format.MessageToString(ours)


def _fields(ours, theirs, seen):
    """Every field of our message and of those in it, beside the official one of its number."""
    if ours.full_name in seen:
        return
    seen.add(ours.full_name)
    for field in ours.fields:
        other = theirs.fields_by_number.get(field.number)
        yield field, other
        if field.message_type and other and other.message_type:
            yield from _fields(field.message_type, other.message_type, seen)


def _label(field):
    """Whether it is repeated or required: protobuf 7 has no `field.label`, the description of the message has."""
    message = DescriptorProto()
    field.containing_type.CopyToProto(message)
    return {field.number: field.label for field in message.field}[field.number]


def _kind(field):
    return field and (field.name, field.type, _label(field), field.containing_oneof and field.containing_oneof.name)


def _compare(ours, theirs):
    seen = set()
    for field, other in _fields(ours, theirs, seen):
        if field.full_name in (
            "farkeras.serving.TensorInfo.name",
            "farkeras.serving.ModelServerConfig.model_config_list",
        ):
            continue  # the official ones are of a oneof that we know one member of
        assert _kind(field) == _kind(other), field.full_name
        if field.enum_type:
            numbers = {value.name: value.number for value in other.enum_type.values}
            assert {v.name: v.number for v in field.enum_type.values}.items() <= numbers.items(), field.full_name
    assert seen


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_official_fields(name, official):
    _compare(getattr(serving_pb2, name).DESCRIPTOR, official(name).DESCRIPTOR)


def test_the_official_model_config():
    pytest.importorskip("tensorflow_serving.config", reason="tensorflow-serving-api is not installed")
    from tensorflow_serving.config import model_server_config_pb2

    _compare(config_pb2.ModelServerConfig.DESCRIPTOR, model_server_config_pb2.ModelServerConfig.DESCRIPTOR)


def _messages_in(generated: str) -> bytes:
    """The description of the messages that generated code holds."""
    calls = [node for node in ast.walk(ast.parse(generated)) if isinstance(node, ast.Call)]
    (call,) = [call for call in calls if getattr(call.func, "attr", None) == "AddSerializedFile"]
    return ast.literal_eval(call.args[0])


@pytest.mark.parametrize("module", [serving_pb2, config_pb2])
def test_what_is_committed_is_generated(module, tmp_path):
    """To the letter by the version that `make protos` uses; by every other one, the same messages."""
    if find_spec("grpc_tools") is None:
        pytest.skip("grpcio-tools is not installed")
    # In a process of its own: beside TensorFlow, protoc of grpcio-tools 1.85 crashes.
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={tmp_path}", module.DESCRIPTOR.name]
    subprocess.run(protoc, cwd=Path(module.__file__).parents[3], check=True)
    (generated,) = (path.read_text() for path in tmp_path.rglob("*.py"))
    committed = Path(module.__file__).read_text()
    assert _messages_in(generated) == _messages_in(committed), "make protos"
    if version("grpcio-tools") == "1.62.3":
        assert generated == committed, "make protos"


def test_the_generated_code_asks_for_no_version_of_protobuf():
    """Such code refuses to run on an older protobuf, and TensorFlow 2.19 has protobuf 5 at most."""
    for module in (serving_pb2, config_pb2):
        assert "ValidateProtobufRuntimeVersion" not in Path(module.__file__).read_text()
