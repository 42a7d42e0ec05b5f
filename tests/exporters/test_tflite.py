"""A TFLite file, read by LiteRT and zipfile alone, gives the model's numbers and names them."""

import json
import sys
import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from farkeras.clients.litert import LiteRTRecognizer
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.exporters import tflite
from farkeras.exporters.parity import Limits, ParityError
from farkeras.exporters.quantization import Quantization
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.run import export_run
from farkeras.exporters.tflite import PRECISIONS, convert, write_graph, write_tflite
from farkeras.flagfiles import read_flagfile
from farkeras.models import FARAMTN, MGMTN, ScoreFusion
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, load_model
from tests.bad_images import smooth_image
from tests.exporters.conftest import GROUPING
from tests.exporters.tflite_files import operations

MODEL = "model.tflite"


def test_without_litert(workdir, monkeypatch):
    monkeypatch.delitem(sys.modules, "farkeras.exporters.tflite")
    monkeypatch.setitem(sys.modules, "farkeras.exporters.quantization", None)  # as if what it imports were missing
    with pytest.raises(FarkerasError, match=r"^The TFLite export needs .*: pip install 'farkeras\[litert\]'"):
        export_run(workdir, ["tflite"])


@pytest.fixture(scope="module")
def exports(workdir, tmp_path_factory):
    """What was exported, by precision."""
    folder = tmp_path_factory.mktemp("export") / "tflite"
    with pytest.MonkeyPatch.context() as patch:
        for precision in ("dynamic", "int8"):  # an untrained model is not sure of its answers
            patch.setitem(PRECISIONS, precision, Limits(equal_decisions=0.9))
        found = list(write_tflite(workdir, folder, ParityImages(24), calibration_images=8))
    assert [export.path for export in found] == [folder / name for name in PRECISIONS]
    return dict(zip(PRECISIONS, found, strict=True))


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.stack([np.roll(smooth_image(), 40 * i, axis=1) for i in range(3)])


@pytest.fixture
def probabilities(workdir, crops):
    """What the Keras model says of the crops."""
    model, metadata = load_model(workdir)
    return model.probabilities(metadata.preprocessing.resize(crops)).numpy()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_several_crops_in_one_call(workdir, crops, probabilities, precision, tmp_path):
    (exported,) = write_tflite(workdir, tmp_path, ParityImages(0), [precision], calibration_images=4, batch_size=2)
    recognizer = LiteRTRecognizer(exported.path / MODEL)
    assert recognizer.batch_size == recognizer.metadata["export"]["batch_size"] == 2
    answers = recognizer(crops)  # three: the second call is filled up
    received = [list(answer.values()) for answer in answers]
    np.testing.assert_allclose(received, probabilities, atol=5e-5 if precision == "float32" else 0.06)
    with pytest.raises(FarkerasError, match=r"`batch_size` must be at least 1\. Received: 0"):
        next(write_tflite(workdir, tmp_path / "none", ParityImages(0), batch_size=0))


@pytest.mark.core
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 5e-5), ("float16", 5e-3), ("dynamic", 0.03), ("int8", 0.06)]
)
def test_the_models_numbers_from_crops(exports, crops, probabilities, precision, tolerance):
    interpreter = Interpreter(str(exports[precision].path / MODEL))
    interpreter.allocate_tensors()
    ((image,), (output,)) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["dtype"], image["shape"].tolist()) == (np.uint8, [1, 218, 178, 3])
    assert (output["dtype"], output["shape"].tolist()) == (np.float32, [1, 7])
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["images"], "outputs": ["probabilities"]}}
    for crop, expected in zip(crops, probabilities, strict=True):
        interpreter.set_tensor(image["index"], crop[None])
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(output["index"])[0], expected, atol=tolerance)


def test_names_and_metadata_lie_in_the_file_and_beside_it(exports, as_passed_on):
    for precision, (folder, _) in exports.items():
        with zipfile.ZipFile(folder / MODEL) as packed:
            labels, metadata = packed.read("labels.txt"), packed.read("farkeras.json")
        assert labels.decode().split() == list(GROUPING.attributes)
        assert (folder / "labels.txt").read_bytes() == labels
        values = json.loads(metadata)
        assert ModelMetadata.from_dict(values) == as_passed_on(folder)
        assert values == json.loads((folder / "farkeras.json").read_text())
        assert "aligned as CelebA's" in values["input"]
        assert values["export"]["precision"] == precision
        assert values["export"]["input_size"] == [218, 178]


def test_googles_schema_reads_the_metadata(exports):
    """The classes that MediaPipe's and TFLite's metadata tools are built on."""
    metadata_schema = pytest.importorskip("mediapipe.tasks.metadata.metadata_schema_py_generated")
    schema = pytest.importorskip("mediapipe.tasks.metadata.schema_py_generated")
    path = exports["int8"].path / MODEL
    with zipfile.ZipFile(path) as packed:
        assert packed.namelist() == ["labels.txt", "farkeras.json"]
    file = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    (entry,) = (entry for entry in file.metadata if entry.name == b"TFLITE_METADATA")
    metadata = metadata_schema.ModelMetadataT.InitFromPackedBuf(bytes(file.buffers[entry.buffer].data))
    (graph,) = metadata.subgraphMetadata
    (image,), (output,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    properties = image.content.contentProperties
    assert properties.colorSpace == metadata_schema.ColorSpaceType.RGB
    assert (properties.defaultSize.width, properties.defaultSize.height) == (178, 218)
    (labels,) = output.associatedFiles
    assert (labels.name, labels.type) == (b"labels.txt", metadata_schema.AssociatedFileType.TENSOR_AXIS_LABELS)


def test_parity_is_written(exports):
    for precision, (folder, report) in exports.items():
        assert json.loads((folder / "parity.json").read_text()) == report
        (row,) = report["runtimes"].values()
        assert row["equal_decisions"] >= 0.9, precision
        assert report["data"]["images"] == 24


def test_builtin_operations_only_and_a_cheap_resize(exports):
    for folder, _ in exports.values():
        kinds = [kind for kind, *_ in operations((folder / MODEL).read_bytes())]
        assert "CUSTOM" not in kinds
        before = kinds[: kinds.index("CONV_2D")]
        assert "RESIZE_BILINEAR" in before
        assert not {"BATCH_MATMUL", "FULLY_CONNECTED"} & set(before)


def test_int8_has_integer_convolutions_between_float_ends(exports):
    found = operations((exports["int8"].path / MODEL).read_bytes())
    convolutions = [(shape, kind) for name, shape, kind in found if name == "CONV_2D"]
    assert {kind for shape, kind in convolutions if shape[1] < 16} == {"INT8"}
    assert {kind for shape, kind in convolutions if shape[1] >= 16} == {"FLOAT32"}  # of 64 rows
    ends = ("BATCH_MATMUL", "FULLY_CONNECTED", "SOFTMAX", "LOGISTIC")
    assert {kind for name, _, kind in found if name in ends} == {"FLOAT32"}
    assert next(kind for name, _, kind in found if name == "RESIZE_BILINEAR") == "FLOAT32"


def test_far_amtns_mobile_setting_in_int8(tmp_path):
    config = read_flagfile("configs/demo_mobile.flags")
    keras.utils.set_random_seed(0)
    model = FARAMTN(config.grouping, config.backbone, config.image_size)
    write_graph(model, Preprocessing(config.image_size), (1, 218, 178), str(tmp_path))
    crops = np.random.default_rng(0).integers(0, 256, (2, 218, 178, 3), np.uint8)
    file = convert(str(tmp_path), "int8", Quantization(crops, config.image_size[0]))
    found = operations(file)
    assert "CUSTOM" not in {kind for kind, *_ in found}
    assert {kind for name, _, kind in found if name == "HARD_SWISH"} == {"FLOAT32"}  # of 8 bits they are slow
    assert len(file) <= 2.5e6


def test_mgmtns_mobile_setting(tmp_path):
    config = read_flagfile("configs/demo_mgmtn_mobile.flags")
    options = {name: getattr(config, name) for name in ("mask_widths", "mask_stride", "fusion_width")}
    model = MGMTN(config.grouping, config.backbone, config.image_size, **options)
    write_graph(model, Preprocessing(config.image_size), (1, 218, 178), str(tmp_path))
    assert "CUSTOM" not in {kind for kind, *_ in operations(convert(str(tmp_path), "float32"))}


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (ScoreFusion, {}),
        (FARAMTN, {"wsgsa_gate": "sigmoid_output", "private_channels": 8, "fusion": "cross_stitch"}),
        (MGMTN, {"mask_widths": (8, 8), "mask_stride": 2, "global_fusion": "global_only"}),
    ],
    ids=["score_fusion", "far_amtn", "mgmtn"],
)
def test_what_the_models_are_compared_with_needs_builtin_operations_only(model, options, tmp_path):
    built = model("mcnn9", "ResNetTiny", (64, 48), 0.25, **options)
    write_graph(built, Preprocessing((64, 48)), (1, 218, 178), str(tmp_path))
    assert "CUSTOM" not in {kind for kind, *_ in operations(convert(str(tmp_path), "float32"))}


def test_all_in_8_bits(any_workdir, crops, tmp_path):
    (int8,) = write_tflite(any_workdir, tmp_path, ParityImages(0), ["int8"], calibration_images=2, float_parts=())
    assert int8.report is None
    found = operations((int8.path / MODEL).read_bytes())
    assert {kind for name, _, kind in found if name in ("CONV_2D", "SOFTMAX", "FULLY_CONNECTED")} == {"INT8"}


def test_crops_of_another_size(any_workdir, tmp_path):
    (export,) = write_tflite(any_workdir, tmp_path, ParityImages(0), ["float32"], input_size=(250, 250))
    interpreter = Interpreter(str(export.path / MODEL))
    assert interpreter.get_input_details()[0]["shape"].tolist() == [1, 250, 250, 3]
    with pytest.raises(FarkerasError, match=r"An image for the comparison is uint8 \[218, 178, 3\]; the model takes"):
        next(write_tflite(any_workdir, tmp_path / "other", ParityImages(4), ["float32"], input_size=(250, 250)))
    assert not list((tmp_path / "other").iterdir())


def test_past_a_limit(any_workdir, tmp_path, monkeypatch):
    monkeypatch.setitem(PRECISIONS, "float16", Limits(max_difference=0.0))
    exports = write_tflite(any_workdir, tmp_path, ParityImages(4), ["float32", "float16"])
    assert next(exports).path == tmp_path / "float32"
    with pytest.raises(ParityError, match=r"LiteRT float16: max_difference .*float16\.rejected"):
        next(exports)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["float16.rejected", "float32"]
    assert (tmp_path / "float16.rejected" / "parity.json").is_file()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"precisions": ["float8"]}, "Unknown precision 'float8'. Known: float32, float16, dynamic, int8."),
        ({"float_parts": ["late"]}, "Unknown part 'late' in `float_parts`. Known: ends, early, hard_swish."),
    ],
)
def test_unknown_choices(any_workdir, tmp_path, options, error):
    with pytest.raises(FarkerasError, match=error.replace(".", r"\.")):
        next(write_tflite(any_workdir, tmp_path / "export", ParityImages(0), **options))
    assert not (tmp_path / "export").exists()


def test_a_target_that_exists_is_found_before_any_work(any_workdir, tmp_path, monkeypatch):
    (tmp_path / "int8").mkdir()
    monkeypatch.setattr(tflite, "load_model", None)
    with pytest.raises(FarkerasError, match=r"int8 already exists and is not overwritten"):
        next(write_tflite(any_workdir, tmp_path, ParityImages(0)))


def test_no_model(tmp_path):
    with pytest.raises(FarkerasError, match="No model at"):
        next(write_tflite(tmp_path / "nowhere", tmp_path / "export", ParityImages(0)))
    assert not (tmp_path / "export").exists()


def test_a_full_disk(any_workdir, tmp_path, monkeypatch, file_size_limit):
    def fill_the_disk(model, *_):
        file_size_limit(50_000)
        return model

    monkeypatch.setattr(tflite, "with_metadata", fill_the_disk)
    with pytest.raises(FarkerasError, match=r"Cannot write the export .*float32 \(File too large\)\. Nothing was left"):
        next(write_tflite(any_workdir, tmp_path, ParityImages(0), ["float32"]))
    assert not list(tmp_path.iterdir())


def test_what_tflite_cannot_run(tmp_path):
    images = keras.Input((8, 8, 3))
    model = LogitsModel(images, {"logits": keras.ops.sum(keras.ops.erfinv(images), (1, 2))})
    write_graph(model, Preprocessing((8, 8)), (1, 8, 8), str(tmp_path))
    with pytest.raises(FarkerasError, match="TFLite cannot convert this model to float32 with its builtin operations"):
        convert(str(tmp_path), "float32")
