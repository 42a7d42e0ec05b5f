"""The models that the conformance suite asks for, and their configuration.

A server that is not started by the suite needs them first: `python -m tests.serving.models /absolute/folder` writes
them and a `models.config`, for `tensorflow_model_server --model_config_file=/absolute/folder/models.config`.
"""

import os
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from farkeras.attributes import Grouping
from farkeras.data.preprocessing import Preprocessing
from farkeras.decisions import Calibration
from farkeras.exporters.saved_model import write_saved_model
from farkeras.files import written_aside
from farkeras.models import FARAMTN
from farkeras.models.model_file import ModelMetadata, save_model
from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_proto

GROUPING = Grouping({"second": ("b",), "first": ("c", "a")}, ("a", "b", "c"))
PREPROCESSING = Preprocessing((64, 48), (0.1, 0.0, 0.9, 1.0))
LABELS = {"stable": 1, "canary": 2}
WARM_UPS = 3
TYPES = {
    "float64": tf.float64,
    "int32": tf.int32,
    "int64": tf.int64,
    "uint8": tf.uint8,
    "bool": tf.bool,
    "half": tf.float16,
}


def write_models(folder: Path) -> Path:
    """Writes everything; the path of the configuration."""
    write_faces(folder / "faces")
    for version in (1, 2, 3):
        publish(folder / "numbers", version)
    for name in ("swapped", "broken", "warm"):
        shutil.copytree(folder / "numbers" / "1", folder / name / "1")
    write_warm_up(folder / "warm" / "1", *["x"] * WARM_UPS)
    policies = {
        "faces": ("faces", ""),
        "latest": ("numbers", ""),
        "all": ("numbers", "model_version_policy { all {} }"),
        "labelled": (
            "numbers",
            "model_version_policy { specific { versions: 1 versions: 2 } } "
            + " ".join(f'version_labels {{ key: "{label}" value: {number} }}' for label, number in LABELS.items()),
        ),
        "swapped": ("swapped", ""),
        "broken": ("broken", ""),
        "warm": ("warm", ""),
    }
    models = [
        f'  config {{ name: "{name}" base_path: "{folder.absolute() / base}" model_platform: "tensorflow" {policy} }}\n'
        for name, (base, policy) in policies.items()
    ]
    (folder / "models.config").write_text("model_config_list {\n" + "".join(models) + "}\n")
    return folder / "models.config"


def write_faces(folder: Path) -> None:
    """A small FAR-AMTN as users export theirs, its model file beside it."""
    keras.utils.set_random_seed(0)
    model = FARAMTN(GROUPING, "ResNetTiny", PREPROCESSING.image_size, backbone_alpha=0.25)
    for head in ("head_first", "head_second"):  # logits of different sizes, or every probability were about 1/2
        kernel = model.get_layer(head).kernel
        kernel.assign(100.0 * kernel)
    calibration = Calibration(
        {"a": 0.5, "b": 2.0, "c": 3.0}, {"a": 0.1, "b": -0.4, "c": 0.0}, {"a": 0.3, "b": 0.75, "c": 0.5}
    )
    save_model(model, ModelMetadata(GROUPING, PREPROCESSING, calibration=calibration), folder / "model.keras")
    write_saved_model(folder, folder)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    Image.fromarray(pixels).resize((178, 218), Image.Resampling.BICUBIC).save(folder / "face.jpg")


class Numbers(tf.Module):
    """Signatures for every part of the contract; `version` is in its answers."""

    def __init__(self, version: int):
        self.factor = tf.Variable(float(version), trainable=False)
        self.runs = tf.Variable(0, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def times(self, x):
        """y = version x."""
        return {"y": self.factor * tf.ensure_shape(x, [None, 3])}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="number"),
            tf.TensorSpec([None], tf.string, name="text"),
        ]
    )
    def two(self, number, text):
        """Two inputs, three outputs: version number, the text twice, and as bytes."""
        number, text = tf.ensure_shape(number, [None]), tf.ensure_shape(text, [None])
        return {"product": self.factor * number, "twice": text + text, "raw_bytes": tf.identity(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], kind, name=name) for name, kind in TYPES.items()])
    def types(self, *values):
        """Gives back what it gets."""
        return {name: tf.identity(tf.ensure_shape(value, [None])) for name, value in zip(TYPES, values, strict=True)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="size")])
    def zeros(self, size):
        """An answer of any size."""
        return {"zeros": tf.zeros([tf.ensure_shape(size, [])])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="steps")])
    def slow(self, steps):
        """Takes some milliseconds for each step of the first row."""
        steps = tf.ensure_shape(steps, [None])

        def step(number, matrix):
            return number + 1, tf.tanh(matrix @ matrix)

        matrix = tf.fill([256, 256], 0.01)
        _, matrix = tf.while_loop(lambda number, _: number < steps[0], step, (0, matrix), parallel_iterations=1)
        return {"done": tf.cast(steps, tf.float32) + 0.0 * matrix[0, 0]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def count(self, x):
        """How often it was called since the version was loaded."""
        return {"runs": tf.fill(tf.shape(x), self.runs.assign_add(1))}


def publish(base: Path, version: int) -> None:
    """Writes a version of `Numbers` and lets it appear at once, as an export does."""
    module = Numbers(version)
    signatures = {name: getattr(module, name) for name in ("two", "types", "zeros", "slow", "count")}
    with written_aside(base / str(version)) as aside:
        tf.saved_model.save(module, str(aside), signatures={"serving_default": module.times, **signatures})


def write_warm_up(folder: Path, *input_names: str) -> None:
    """Gives a version of `Numbers` requests to `count`, right ones where the input is named x."""
    (folder / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for name in input_names:
            log = pb.PredictionLog()
            log.predict_log.request.model_spec.signature_name = "count"
            log.predict_log.request.inputs[name].CopyFrom(to_proto(np.ones(1, np.float32)))
            writer.write(log.SerializeToString())


if __name__ == "__main__":
    os.umask(0o022)  # the server may be another user
    print(write_models(Path(sys.argv[1])))
