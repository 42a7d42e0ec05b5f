"""OpenVINO models: the Keras model's numbers, what they say of themselves, and what stays in float."""

import json
import logging
import subprocess
import sys

import keras
import numpy as np
import pytest

from farkeras.clients.openvino import OpenVINORecognizer, has_bfloat16, import_openvino
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.exporters import openvino as exporter
from farkeras.exporters.crop_graph import write_graph
from farkeras.exporters.openvino import PRECISIONS, convert, write_openvino
from farkeras.exporters.openvino_quantization import Quantization, float_nodes
from farkeras.exporters.parity import Limits, ParityError
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.run import export_run
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, load_model
from tests.bad_images import smooth_image
from tests.exporters.conftest import GROUPING

pytestmark = pytest.mark.core
openvino = import_openvino()


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.stack([np.roll(smooth_image(), 40 * i, axis=1) for i in range(3)])


@pytest.fixture(scope="module")
def probabilities(workdir, crops):
    """What the Keras model says of the crops."""
    model, metadata = load_model(workdir)
    return model.probabilities(metadata.preprocessing.resize(crops)).numpy()


def xml(model):
    return openvino.Core().read_model(model.path / "model.xml")


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_the_models_numbers_at_any_batch(openvino_models, crops, probabilities, batch_size):
    recognizer = OpenVINORecognizer(openvino_models["float32"].path / "model.xml", batch_size=batch_size)
    np.testing.assert_allclose(recognizer.probabilities(list(crops)), probabilities, atol=5e-5)


def test_int8_and_bfloat16_are_near(openvino_models, crops, probabilities):
    received = {"int8": OpenVINORecognizer(openvino_models["int8"].path / "model.xml").probabilities(crops)}
    if has_bfloat16():
        file = openvino_models["float32"].path / "model.xml"
        received["bfloat16"] = OpenVINORecognizer(file, None, "bfloat16").probabilities(crops)
    for precision, rows in received.items():
        difference = np.abs(rows - probabilities).max()
        assert 5e-5 < difference < 0.06, precision  # neither is float32 under another name


def test_inputs_and_outputs(openvino_models):
    for model in openvino_models.values():
        described = [
            (value.any_name, value.element_type.get_type_name(), str(value.partial_shape))
            for value in (*xml(model).inputs, *xml(model).outputs)
        ]
        assert described == [("images", "u8", "[?,218,178,3]"), ("probabilities", "f32", "[?,7]")]


def test_names_and_settings_lie_in_the_file_and_beside_it(openvino_models, as_passed_on):
    for precision, (folder, report) in openvino_models.items():
        values = json.loads(xml(openvino_models[precision]).get_rt_info(["farkeras", "metadata"]).astype(str))
        assert ModelMetadata.from_dict(values) == as_passed_on(folder)
        assert values == json.loads((folder / "farkeras.json").read_text(encoding="utf-8"))
        assert (folder / "labels.txt").read_text(encoding="utf-8").splitlines() == list(GROUPING.attributes)
        export = values["export"]
        assert (export["kind"], export["precision"], export["input_size"]) == ("openvino", precision, [218, 178])
        assert export["versions"]["openvino"]
        assert ("nncf" in export["versions"]) == (precision == "int8")
        assert json.loads((folder / "parity.json").read_text()) == report
        assert report["exceeded"] == []
        assert report["data"]["images"] == 24
    assert values["export"]["calibration_images"] == 8
    assert values["export"]["float_parts"] == ["ends", "early"]


def convolutions(model):
    return [operation for operation in model.get_ordered_ops() if operation.get_type_name() == "Convolution"]


def quantized(operation) -> bool:
    """Whether its weights are in 8 bits, so that something turns them back into numbers."""
    return operation.input(1).get_source_output().get_node().get_type_name() != "Constant"


def test_int8_quantises_the_late_convolutions_and_weights_stay_32_bits_elsewhere(openvino_models):
    found = {(operation.output(0).partial_shape[2].get_length() >= 16, quantized(operation))
             for operation in convolutions(xml(openvino_models["int8"]))}  # fmt: skip
    assert found == {(True, False), (False, True)}  # 16 of 64 rows
    assert not any(quantized(operation) for operation in convolutions(xml(openvino_models["float32"])))
    float16 = [op for op in xml(openvino_models["float32"]).get_ops() if op.get_element_type().get_type_name() == "f16"]
    assert not float16  # OpenVINO's default would be to round the weights


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), set()),
        (("ends",), {"scale", "dense"}),
        (("early",), {"first"}),
        (("ends", "early"), {"scale", "dense", "first"}),
    ],
)
def test_which_operations_stay_float(parts, expected):
    """Of x / 255, a convolution to a quarter of the height, one to an eighth, and a product: those that are named."""
    opset, f32 = openvino.opset15, np.float32
    images = opset.parameter([-1, 16, 16, 1], f32)
    scaled = opset.multiply(images, opset.constant(1 / 255, f32), name="scale")
    turned = opset.transpose(scaled, opset.constant([0, 3, 1, 2]))
    kernel = opset.constant(np.ones((1, 1, 2, 2), f32))
    first = opset.convolution(turned, kernel, [4, 4], [0, 0], [0, 0], [1, 1], name="first")
    second = opset.convolution(first, kernel, [2, 2], [0, 0], [0, 0], [1, 1], name="second")
    dense = opset.matmul(second, opset.constant(np.ones((2, 3), f32)), False, False, name="dense")
    nodes = set(float_nodes(openvino.Model([dense], [images]), Quantization([], 16, parts)))
    assert nodes & {"scale", "first", "second", "dense"} == expected


def test_all_in_8_bits(any_workdir, tmp_path, capfd):
    (int8,) = write_openvino(any_workdir, tmp_path, ParityImages(0), ["int8"], calibration_images=2, float_parts=())
    assert int8.report is None
    assert not (int8.path / "parity.json").exists()
    assert all(quantized(operation) for operation in convolutions(xml(int8)))
    assert capfd.readouterr().out == ""  # NNCF's progress bars
    assert not logging.getLogger("nncf").disabled


def test_crops_of_another_size(any_workdir, tmp_path):
    (export,) = write_openvino(any_workdir, tmp_path, ParityImages(0), ["float32"], input_size=(250, 240))
    assert OpenVINORecognizer(export.path / "model.xml").input_size == (250, 240)
    with pytest.raises(FarkerasError, match=r"An image for the comparison is uint8 \[218, 178, 3\]; the model takes"):
        next(write_openvino(any_workdir, tmp_path / "other", ParityImages(4), ["float32"], input_size=(250, 240)))
    assert not list((tmp_path / "other").iterdir())


def test_past_a_limit(any_workdir, tmp_path, monkeypatch):
    monkeypatch.setitem(PRECISIONS, "int8", Limits(max_difference=0.0))
    exports = write_openvino(any_workdir, tmp_path, ParityImages(4), calibration_images=2)
    assert next(exports).path == tmp_path / "float32"
    with pytest.raises(ParityError, match=r"OpenVINO int8: max_difference .*int8\.rejected"):
        next(exports)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["float32", "int8.rejected"]
    assert (tmp_path / "int8.rejected" / "parity.json").is_file()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"precisions": ["float16"]}, r"Unknown precision 'float16'\. Known: float32, int8\."),
        ({"float_parts": ["hard_swish"]}, r"Unknown part 'hard_swish' in `float_parts`\. Known: ends, early\."),
    ],
)
def test_unknown_choices(any_workdir, tmp_path, options, error):
    with pytest.raises(FarkerasError, match=error):
        next(write_openvino(any_workdir, tmp_path / "export", ParityImages(0), **options))
    assert not (tmp_path / "export").exists()


def test_a_target_that_exists_is_found_before_any_work(any_workdir, tmp_path, monkeypatch):
    (tmp_path / "int8").mkdir()
    monkeypatch.setattr(exporter, "load_model", None)
    with pytest.raises(FarkerasError, match=r"int8 already exists and is not overwritten"):
        next(write_openvino(any_workdir, tmp_path, ParityImages(0)))


def test_a_full_disk(any_workdir, tmp_path, monkeypatch, file_size_limit):
    save_model = openvino.save_model

    def save_then_fill_the_disk(*arguments, **options):
        save_model(*arguments, **options)
        file_size_limit(50_000)

    monkeypatch.setattr(openvino, "save_model", save_then_fill_the_disk)
    with pytest.raises(FarkerasError, match=r"Cannot write the export .*float32 \(File too large\)\. Nothing was left"):
        next(write_openvino(any_workdir, tmp_path, ParityImages(0), ["float32"]))
    assert not list(tmp_path.iterdir())


def test_what_openvino_cannot_run(tmp_path):
    images = keras.Input((8, 8, 3))
    model = LogitsModel(images, {"logits": keras.ops.sum(keras.ops.erfinv(images), (1, 2))})
    write_graph(model, Preprocessing((8, 8)), (None, 8, 8), str(tmp_path / "graph"))
    with pytest.raises(FarkerasError, match=r"^OpenVINO cannot convert this model: No conversion rule .*: Erfinv\.$"):
        convert(str(tmp_path / "graph"))


@pytest.mark.parametrize(
    ("missing", "error"),
    [
        ("openvino", r"^OpenVINO needs openvino: pip install 'farkeras\[openvino\]'$"),
        ("nncf", r"^The int8 export needs nncf: pip install 'farkeras\[openvino\]'$"),
    ],
)
def test_without_the_packages(any_workdir, tmp_path, monkeypatch, missing, error):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(exporter, "load_model", None)
    with pytest.raises(FarkerasError, match=error):
        export_run(any_workdir, ["openvino"], tmp_path / "export")


def test_no_usage_data_is_sent():
    """Of NNCF, too, whose own switch is that pytest is loaded."""
    code = """
import socket, sys
def refuse(*arguments):
    raise AssertionError(arguments)
socket.socket.connect = socket.getaddrinfo = refuse
from farkeras.exporters.openvino_quantization import import_nncf
from unittest.mock import MagicMock
telemetry = import_nncf().telemetry.telemetry
import openvino.tools.ovc.telemetry_utils as openvino_telemetry
print(isinstance(telemetry, MagicMock), openvino_telemetry.tm.__name__, "openvino_telemetry.main" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "openvino.tools.ovc.telemetry_stub", "False"], done.stderr
