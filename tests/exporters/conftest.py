"""Two small models of a user's own seven attributes, and images for them: what every export is tried with."""

import functools
import os
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from farkeras.attributes import Grouping
from farkeras.data.preprocessing import Preprocessing
from farkeras.decisions import Calibration
from farkeras.exporters import openvino
from farkeras.exporters.onnx import write_onnx
from farkeras.exporters.parity import Limits
from farkeras.exporters.reference import ParityImages
from farkeras.exporters.saved_model import write_saved_model
from farkeras.models import FARAMTN, MGMTN
from farkeras.models.model_file import ModelMetadata, load_model, read_metadata, save_model
from tests.bad_images import encode
from tests.own_table import GROUPS, NAMES, write_own_table

# Attributes not in the order of the groups, whose names no runtime takes as they are.
GROUPING = Grouping({f"{name}/头 ~": members for name, members in GROUPS.items()}, tuple(reversed(NAMES)))
PREPROCESSING = Preprocessing((64, 48), (0.1, 0.0, 0.9, 1.0))
CALIBRATION = Calibration(
    {name: 0.5 + 0.5 * number for number, name in enumerate(GROUPING.attributes)},
    {name: 0.2 * number - 0.5 for number, name in enumerate(GROUPING.attributes)},
    {name: 0.2 + 0.1 * number for number, name in enumerate(GROUPING.attributes)},
    fitted_on={"source": "table", "data_dir": "faces.csv", "split": "validation", "images": 24, "procedural": True},
)


def mgmtn(*arguments, **options):
    return MGMTN(*arguments, **options, mask_widths=(8, 8), mask_stride=2, fusion_width=8)


@pytest.fixture(scope="session")
def table(faces_dir, tmp_path_factory):
    """A table of 240 drawn faces, half of them to test on."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "photos").symlink_to(faces_dir / "img_align_celeba")
    return write_own_table(folder / "faces.csv", faces_dir, "photos")


@pytest.fixture(scope="session")
def make_workdir(table, tmp_path_factory):
    """`make_workdir(MGMTN)`: the folder of a run that trained it."""

    @functools.cache
    def make(architecture):
        keras.utils.set_random_seed(0)
        model = architecture(GROUPING, "ResNetTiny", PREPROCESSING.image_size, backbone_alpha=0.25)
        for head in model.heads:  # logits of different sizes, or every probability were about 1/2
            kernel = model.get_layer(head).kernel
            kernel.assign(100.0 * kernel)
        config = {"source": "table", "data_dir": str(table), "ignore_columns": ["person", "notes"]}
        config["split_ratios"] = [0.4, 0.1, 0.5]
        folder = tmp_path_factory.mktemp("run[lr=3e-4] 头")
        metadata = ModelMetadata(GROUPING, PREPROCESSING, config, calibration=CALIBRATION)
        save_model(model, metadata, folder / "model.keras")
        return folder

    return make


@pytest.fixture(scope="session", params=[FARAMTN, mgmtn], ids=["far_amtn", "mgmtn"])
def workdir(request, make_workdir):
    """Of either model."""
    return make_workdir(request.param)


@pytest.fixture(scope="session")
def any_workdir(make_workdir):
    """For tests to which the model makes no difference."""
    return make_workdir(FARAMTN)


@pytest.fixture(scope="session")
def as_passed_on(workdir, table):
    """`as_passed_on(folder)`: the workdir's metadata as an export has them, which names no place of this machine."""

    def call(folder):
        for file in filter(Path.is_file, folder.rglob("*")):
            assert os.fsencode(table.parent.parent) not in file.read_bytes(), file
        metadata = read_metadata(workdir)
        return replace(metadata, config=metadata.config | {"data_dir": "faces.csv"})

    return call


@pytest.fixture(scope="session")
def photos() -> list[bytes]:
    """JPEG and PNG files of different sizes."""
    random, files = np.random.default_rng(0), []
    for size, kind in (((178, 218), "JPEG"), ((60, 90), "JPEG"), ((178, 218), "PNG")):
        small = Image.fromarray(random.integers(0, 256, (6, 5, 3), np.uint8))
        files.append(encode(small.resize(size, Image.Resampling.BICUBIC), kind))
    return files


@pytest.fixture(scope="session")
def keras_model(workdir):
    """`keras_model(files) -> probabilities, inputs` of encoded images, by the model of the workdir, calibrated."""
    model, metadata = load_model(workdir)
    temperatures, shifts = (
        np.array(list(values.values()), np.float32) for values in (CALIBRATION.temperatures, CALIBRATION.shifts)
    )
    predict = tf.function(
        lambda inputs: tf.sigmoid(model(inputs)["logits"] / temperatures + shifts), reduce_retracing=True
    )

    def call(files):
        inputs = tf.stack([metadata.preprocessing.resize(metadata.preprocessing.decode(file)) for file in files])
        return predict(inputs).numpy(), inputs.numpy()

    return call


@pytest.fixture(scope="session")
def expected(keras_model, photos):
    """What the Keras model says of the photos, and its inputs."""
    probabilities, inputs = keras_model(photos)
    assert np.ptp(probabilities) > 0.1, "no test would see a wrong answer"
    return probabilities, inputs


@pytest.fixture(scope="session")
def saved_model(workdir, tmp_path_factory):
    """The workdir's model as a SavedModel."""
    return write_saved_model(workdir, tmp_path_factory.mktemp("export") / "[1] *", ParityImages(10), (1, 3))


@pytest.fixture(scope="session")
def onnx_model(workdir, tmp_path_factory):
    """The workdir's model as an ONNX file."""
    return write_onnx(workdir, tmp_path_factory.mktemp("export") / "[1] *", ParityImages(10))


@pytest.fixture(scope="session")
def openvino_models(workdir, tmp_path_factory):
    """The workdir's model as OpenVINO models, by precision."""
    folder = tmp_path_factory.mktemp("export") / "a b[1] 头" / "openvino"
    with pytest.MonkeyPatch.context() as patch:  # an untrained model is not sure of its answers
        patch.setitem(openvino.PRECISIONS, "int8", Limits(equal_decisions=0.9))
        found = list(openvino.write_openvino(workdir, folder, ParityImages(24), calibration_images=8))
    assert [export.path for export in found] == [folder / name for name in openvino.PRECISIONS]
    return dict(zip(openvino.PRECISIONS, found, strict=True))
