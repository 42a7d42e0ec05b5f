"""Trained models as `.keras` files that also hold the attributes, the preprocessing and the training settings."""

import json
import os
import platform
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata as packages
from pathlib import Path

import keras
import numpy as np

from farkeras.attributes import Attributes, Grouping, as_grouping
from farkeras.config import Config
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.procedural import is_procedural
from farkeras.decisions import Calibration, check_calibrate, thresholds_of
from farkeras.errors import FarkerasError
from farkeras.files import as_path, written_aside
from farkeras.flagfiles import FLAGS_FILE, read_flagfile
from farkeras.layers import WSGSA, CrossStitch, PrivateChannels
from farkeras.models.base import FaceAttributeModel, LogitsModel
from farkeras.models.keras_files import MODEL_FILE as MODEL_FILE
from farkeras.models.keras_files import load_keras_file, model_path

FORMAT_VERSION = 1
_MEMBER = "farkeras.json"


@dataclass(frozen=True)
class ModelMetadata:
    """The metadata of a model: everything that is needed to prepare its input and to name its outputs.

    Attributes:
        grouping: The attributes in the order of the outputs, and their groups.
        preprocessing: The preprocessing from an image file to the model's input.
        config: The settings of the training run, as `Config.to_dict()` gives them.
        metrics: The validation metrics of these weights, and their `step`.
        versions: The versions of Python and of the packages that trained the model.
        procedural: Whether the model was trained on procedural faces. Its predictions for photographs then mean little.
        calibration: The temperatures and thresholds that were fitted on validation images. None in model files of
            earlier versions and of `farkeras.save`; such a model is used uncalibrated and at 50 %.
    """

    grouping: Grouping
    preprocessing: Preprocessing
    config: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)
    procedural: bool = False
    calibration: Calibration | None = None

    @property
    def thresholds(self) -> dict[str, float]:
        """Attribute -> probability from which on it is present."""
        return thresholds_of(self.grouping.attributes, self.calibration.to_dict() if self.calibration else None)

    def to_dict(self) -> dict:
        return {
            "format_version": FORMAT_VERSION,
            "attributes": list(self.grouping.attributes),
            "groups": {name: list(members) for name, members in self.grouping.groups.items()},
            "preprocessing": self.preprocessing.to_dict(),
            "input": "faces aligned as CelebA's: 178 x 218 pixels, eyes at (69, 111) and (108, 111), as "
            "farkeras.align_face and `python -m farkeras.align` crop them from photographs",
            "config": self.config,
            "metrics": self.metrics,
            "versions": self.versions,
            "procedural": self.procedural,
            "calibration": self.calibration and self.calibration.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict) -> "ModelMetadata":
        return cls(
            Grouping(values["groups"], tuple(values["attributes"])),
            Preprocessing.from_dict(values["preprocessing"]),
            values["config"],
            values["metrics"],
            values["versions"],
            values["procedural"],
            Calibration(**found) if (found := values.get("calibration")) else None,
        )


def current_versions(*others: str) -> dict:
    """Returns the versions of Python, of the packages that affect a model's results, and of others.

    The version of a package that is not installed is None.
    """
    names = ("farkeras", "keras", "tensorflow", "numpy", *others)
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return packages.version(name)
    except packages.PackageNotFoundError:
        return None


def save_model(model: keras.Model, metadata: ModelMetadata, path: str | Path) -> None:
    """Writes a model and its metadata to one `.keras` file, and replaces an existing file.

    The file appears only when it is complete.
    """
    with written_aside(path) as aside:
        model.save(aside)
        with zipfile.ZipFile(aside, "a") as archive:
            archive.writestr(_MEMBER, json.dumps(metadata.to_dict(), indent=1))


def replace_calibration(path: Path, calibration: Calibration | None) -> None:
    """Replaces the calibration in a `.keras` file that farkeras saved; the file is replaced once it is complete.

    Args:
        path: The file.
        calibration: The new calibration; None for none.
    """
    with written_aside(path) as aside, zipfile.ZipFile(path) as old, zipfile.ZipFile(aside, "w") as new:
        for member in old.infolist():
            if member.filename != _MEMBER:
                with old.open(member) as source, new.open(member, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target)
        values = json.loads(old.read(_MEMBER)) | {"calibration": calibration and calibration.to_dict()}
        new.writestr(_MEMBER, json.dumps(values, indent=1))


def save(
    model: LogitsModel,
    path: str | os.PathLike,
    config: Config | None = None,
    attributes: Attributes | None = None,
) -> None:
    """Saves a model that `fit` trained, with its preprocessing, for `farkeras.load`, `evaluate_run` and `export_run`.

    Args:
        model: A model of `farkeras.models`, or any `LogitsModel`.
        path: A `.keras` file, or a folder for a file `model.keras`.
        config: The settings with which `farkeras.load_datasets` loaded the data. They give the crop and the data set.
            Without them, the model takes a whole aligned face, and evaluation and export need the data set as an
            argument.
        attributes: The attributes of the logits, in their order, for a model without a grouping: a `Grouping`, the name
            or file of a grouping of the 40 CelebA attributes, or a list of attribute names.

    Raises:
        FarkerasError: The model has no logits, its attributes or image size differ from the arguments, it cannot be
            saved in float32, it has a Lambda layer, or the folder holds a training run of `train_and_evaluate`.
    """
    path = as_path(path)
    path = path if path.suffix == ".keras" else path / MODEL_FILE
    if path.name == MODEL_FILE and (path.parent / "checkpoints").is_dir():
        raise FarkerasError(
            f"{path.parent} holds a training run, and this would replace its model. Use another folder."
        )
    if not isinstance(model, LogitsModel) or "logits" not in model.output:
        name = f" '{model.name}'" if isinstance(model, keras.Model) else ""
        raise FarkerasError(
            f"The model{name} must be a model of farkeras.models, such as "
            f'farkeras.models.LogitsModel(inputs, {{"logits": ...}}). Received: {type(model).__name__}'
        )
    if code := [layer.name for layer in model._flatten_layers() if isinstance(layer, keras.layers.Lambda)]:
        raise FarkerasError(
            f"The layer '{code[0]}' of the model '{model.name}' is a Lambda layer, and model files must not contain "
            "code. Write the layer as a subclass of keras.layers.Layer, or with keras.ops on the model's tensors."
        )
    grouping = getattr(model, "grouping", None)
    if attributes is not None:
        if grouping is not None and as_grouping(attributes).attributes != grouping.attributes:
            raise FarkerasError(
                f"The model '{model.name}' has its own attributes, and `attributes` differs from them. Leave it out."
            )
        grouping = grouping or as_grouping(attributes)
    if grouping is None:
        raise FarkerasError(f"The model '{model.name}' has no attribute names. Give them in `attributes`.")
    if model.output["logits"].shape[-1] != len(grouping.attributes):
        raise FarkerasError(
            f"The model '{model.name}' must have one logit per attribute. Received: "
            f"{model.output['logits'].shape[-1]} logits and {len(grouping.attributes)} attributes"
        )
    image_size = tuple(model.input_shape[1:3])
    if config is not None and tuple(config.image_size) != image_size:
        raise FarkerasError(
            f"The model '{model.name}' takes images of {image_size[0]} x {image_size[1]} pixels, but `config` has "
            f"`image_size={config.image_size[0]},{config.image_size[1]}`. Use the same size for both."
        )
    preprocessing = Preprocessing(image_size, config.crop) if config else Preprocessing(image_size)
    settings, procedural = (config.data_settings(), is_procedural(config.data_dir)) if config else ({}, False)
    metadata = ModelMetadata(grouping, preprocessing, settings, {}, current_versions(), procedural)
    save_model(_in_float32(model), metadata, path)


def _in_float32(model: LogitsModel) -> LogitsModel:
    """Returns the model if it computes in float32, as exports do, else a copy that does."""

    def others(model: LogitsModel) -> list[str]:
        return [layer.name for layer in model._flatten_layers() if layer.dtype_policy.name != "float32"]

    if not others(model):
        return model
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        copy = type(model).from_config(model.get_config())
    finally:
        keras.config.set_dtype_policy(policy)
    if names := others(copy):
        raise FarkerasError(
            f"The layer '{names[0]}' of the model '{model.name}' does not compute in float32, as model files must. "
            "Build the model under keras.config.set_dtype_policy('float32'), copy the weights with set_weights, and "
            "save it."
        )
    copy.set_weights(model.get_weights())
    return copy


def load_model(path: str | os.PathLike, calibrate: str = "auto") -> tuple[FaceAttributeModel, ModelMetadata]:
    """Loads a model and its metadata. The model computes in float32.

    Args:
        path: The workdir of a training run, or a `.keras` file that farkeras saved.
        calibrate: "auto": `answers` and `probabilities` of the model are calibrated if the file has a calibration.
            "none": they are the model's own, and the metadata are returned without calibration.

    Returns:
        The model and its metadata.

    Raises:
        FarkerasError: The file does not exist, was not saved by farkeras or has a newer format, or Keras does not run
            on TensorFlow in float32.
    """
    check_calibrate(calibrate)
    check_keras()
    path = model_path(path)
    metadata = read_metadata(path)
    model = load_keras_file(path)
    if calibrate == "none":
        metadata = replace(metadata, calibration=None)
    elif metadata.calibration:
        found, names = metadata.calibration, metadata.grouping.attributes
        scale, shift = [1 / found.temperatures[name] for name in names], [found.shifts[name] for name in names]
        model.calibration = np.array([scale, shift], np.float32)
    return model, metadata


def check_keras() -> None:
    """Checks that Keras runs on TensorFlow in float32, because a keras.json of another project may change that.

    Raises:
        FarkerasError: Keras runs on another backend, or its default precision is not float32.
    """
    if (floatx := keras.config.floatx()) != "float32":
        raise FarkerasError(
            f"Keras is set to floatx={floatx}, which changes results; expected float32. Call "
            'keras.config.set_floatx("float32"), or change keras.json in $KERAS_HOME or ~/.keras.'
        )
    if (backend := keras.backend.backend()) != "tensorflow":
        raise FarkerasError(
            f"Keras runs on {backend} in this process, but the training loop, prediction, evaluation and exports of "
            "farkeras need TensorFlow. Model files are the same on all backends: do this in a process with "
            "KERAS_BACKEND=tensorflow."
        )


def read_metadata(path: str | os.PathLike) -> ModelMetadata:
    """Reads a model's metadata without its weights.

    Args:
        path: The workdir of a training run, or a `.keras` file that farkeras saved.

    Raises:
        FarkerasError: The file does not exist, was not saved by farkeras, or has a newer format.
    """
    path = model_path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(archive.read(_MEMBER))
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError):
        raise FarkerasError(
            f"{path} is not a model file of farkeras; expected one from `python -m farkeras.train` or farkeras.save. A "
            "file that Keras saved lacks the preprocessing: import farkeras.models, load the file with "
            "keras.saving.load_model, and save the model with farkeras.save."
        ) from None
    if values["format_version"] > FORMAT_VERSION:
        raise FarkerasError(
            f"{path} has format {values['format_version']}, but this version of farkeras reads formats up to "
            f"{FORMAT_VERSION}. Upgrade farkeras."
        )
    values["config"] |= _places_now(path)
    return ModelMetadata.from_dict(values)


def _places_now(path: Path) -> dict[str, str]:
    """Returns the paths of a run's data at its last start; they may have changed since its best model was saved."""
    flags = path.with_name(FLAGS_FILE)
    with suppress(FarkerasError):  # a flagfile of another version
        return read_flagfile(flags).paths() if path.name == MODEL_FILE and flags.exists() else {}
    return {}


def copy_matching_weights(source: FaceAttributeModel, target: FaceAttributeModel) -> list[str]:
    """Copies the weights that have the same path, shape and meaning in both models, to fine-tune with other heads.

    A head is copied only if its group has the same members in the same order in both models. Gates, private channels
    and the mixtures of a cross-stitch unit are copied only if both models have the same groups in the same order. Equal
    shapes are not enough, because the weights could belong to other attributes.

    Args:
        source: The model to copy from.
        target: The model to copy to.

    Returns:
        Paths of the target's weights that were not copied.

    Raises:
        FarkerasError: Fewer than half of the target's parameters can be copied, so the architectures differ.
    """
    values = {weight.path: weight for weight in source.weights}
    other = _of_other_groups(source, target)
    fits = [w for w in target.weights if w.path in values and values[w.path].shape == w.shape and w.path not in other]
    copied = sum(w.value.shape.num_elements() for w in fits)
    if copied < target.count_params() / 2:
        raise FarkerasError(
            f"Only {copied:,} of {target.count_params():,} parameters of '{target.name}' can be copied from "
            f"'{source.name}': the architectures differ. Use the `model`, `backbone` and `backbone_alpha` of that run."
        )
    for weight in fits:
        weight.assign(values[weight.path])
    names = {w.path for w in fits}
    return [w.path for w in target.weights if w.path not in names]


def _of_other_groups(source: FaceAttributeModel, target: FaceAttributeModel) -> set[str]:
    """Returns the paths of the target's weights that belong to attributes or groups other than the source's."""
    weights = []
    for layer in target.layers:
        if layer.name in target.heads and target.heads[layer.name] != source.heads.get(layer.name):
            weights += layer.weights
        if isinstance(layer, WSGSA | PrivateChannels | CrossStitch) and source.grouping.names != target.grouping.names:
            weights += layer.gate_weights if isinstance(layer, WSGSA) else layer.weights
    return {weight.path for weight in weights}
