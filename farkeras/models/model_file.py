"""A trained model as one `.keras` file that also says what it was trained on and how."""

import json
import os
import platform
import re
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata as packages
from pathlib import Path

import keras

from farkeras.attributes import Attributes, Grouping, as_grouping
from farkeras.config import Config
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.procedural import is_procedural
from farkeras.errors import FarkerasError, first_line
from farkeras.files import as_path, written_aside
from farkeras.flagfiles import FLAGS_FILE, read_flagfile
from farkeras.layers import WSGSA
from farkeras.models.base import FaceAttributeModel, LogitsModel

FORMAT_VERSION = 1
MODEL_FILE = "model.keras"
_MEMBER = "farkeras.json"


@dataclass(frozen=True)
class ModelMetadata:
    """What goes with the weights: everything needed to feed the model and to name its outputs.

    Attributes:
        grouping: Attributes in output order, and their groups.
        preprocessing: From an image file to the model's input.
        config: Settings of the training run, `Config.to_dict()`.
        metrics: Validation figures of these weights, with the `step`.
        versions: Packages that trained it.
        procedural: Trained on drawn faces: what it says of photographs means little.
    """

    grouping: Grouping
    preprocessing: Preprocessing
    config: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)
    procedural: bool = False

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
        )


def current_versions(*others: str) -> dict:
    """Versions of Python, the packages that decide a model's numbers, and others; None for one that is not there."""
    names = ("farkeras", "keras", "tensorflow", "numpy", *others)
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def _version(name: str) -> str | None:
    try:
        return packages.version(name)
    except packages.PackageNotFoundError:
        return None


def save_model(model: keras.Model, metadata: ModelMetadata, path: str | Path) -> None:
    """Writes model and metadata to one `.keras` file, complete or not at all; an existing file is replaced."""
    with written_aside(path) as aside:
        model.save(aside)
        with zipfile.ZipFile(aside, "a") as archive:
            archive.writestr(_MEMBER, json.dumps(metadata.to_dict(), indent=1))


def save(
    model: LogitsModel,
    path: str | os.PathLike,
    config: Config | None = None,
    attributes: Attributes | None = None,
) -> None:
    """Saves a model that `fit` trained, with its preprocessing: `farkeras.load`, `evaluate_run`, `export_run` take it.

    Args:
        model: A model of this package, or any `LogitsModel`.
        path: A folder, in which `model.keras` is written, or a `.keras` file.
        config: The settings that the data were loaded with (`farkeras.load_datasets`): crop and data set. By default
            the model takes a whole CelebA-aligned image, and evaluation and export need to be told where data are.
        attributes: For a model without a grouping: as the models' argument, in the order of its logits.

    Raises:
        FarkerasError: The model has no logits, or other attributes or another image size than is said here; or the
            folder holds a training run of `train_and_evaluate`.
    """
    path = as_path(path)
    path = path if path.suffix == ".keras" else path / MODEL_FILE
    if path.name == MODEL_FILE and (path.parent / "checkpoints").is_dir():
        raise FarkerasError(f"{path.parent} holds a training run, whose model this would replace. Name another folder.")
    if code := [layer.name for layer in model._flatten_layers() if isinstance(layer, keras.layers.Lambda)]:
        raise FarkerasError(
            f"The layer '{code[0]}' of '{model.name}' is a Lambda, whose code no model file may bring. Write it as a "
            "subclass of keras.layers.Layer, or with keras.ops on the model's tensors."
        )
    grouping = getattr(model, "grouping", None)
    if attributes is not None:
        if grouping is not None and as_grouping(attributes).attributes != grouping.attributes:
            raise FarkerasError(f"The model '{model.name}' knows its attributes, and they are others: leave them out.")
        grouping = grouping or as_grouping(attributes)
    if not isinstance(model, LogitsModel) or "logits" not in model.output:
        raise FarkerasError(
            f"The model '{model.name}' is a {type(model).__name__}; expected one of farkeras.models, or "
            'farkeras.models.LogitsModel(inputs, {"logits": ...}).'
        )
    if grouping is None:
        raise FarkerasError(f"The model '{model.name}' does not know its attributes: name them with `attributes`.")
    if model.output["logits"].shape[-1] != len(grouping.attributes):
        raise FarkerasError(
            f"The model '{model.name}' has {model.output['logits'].shape[-1]} logits, and there are "
            f"{len(grouping.attributes)} attributes; expected as many."
        )
    image_size = tuple(model.input_shape[1:3])
    if config is not None and tuple(config.image_size) != image_size:
        raise FarkerasError(
            f"The model '{model.name}' takes images of {image_size[0]} x {image_size[1]} pixels, and "
            f"`image_size={config.image_size[0]},{config.image_size[1]}`; expected the same."
        )
    preprocessing = Preprocessing(image_size, config.crop) if config else Preprocessing(image_size)
    settings, procedural = (config.data_settings(), is_procedural(config.data_dir)) if config else ({}, False)
    metadata = ModelMetadata(grouping, preprocessing, settings, {}, current_versions(), procedural)
    save_model(_in_float32(model), metadata, path)


def _in_float32(model: LogitsModel) -> LogitsModel:
    """The model, or one with its weights that computes in float32, as exports do."""

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
            f"The layer '{names[0]}' of '{model.name}' does not compute in float32, which model files do. Build the "
            "model under keras.config.set_dtype_policy('float32'), give it these weights by set_weights, and save it."
        )
    copy.set_weights(model.get_weights())
    return copy


def load_model(path: str | os.PathLike) -> tuple[FaceAttributeModel, ModelMetadata]:
    """Reads a model, always in float32.

    Args:
        path: A workdir that a training run wrote, or a `.keras` file of `save_model`.

    Raises:
        FarkerasError: No such file, not one of this package, or of a newer format; or Keras does not run on TensorFlow.
    """
    check_keras()
    path = _model_file(path)
    metadata = read_metadata(path)
    try:
        # Safe mode: a file from a stranger must not bring code of its own.
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds
        raise FarkerasError(
            f"The model in {path} cannot be loaded: {_why_not_loaded(error)}. Expected layers of Keras or farkeras, or "
            "classes that are registered with keras.saving.register_keras_serializable and imported before."
        ) from None
    return model, metadata


def _why_not_loaded(error: BaseException) -> str:
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    text = " ".join(map(str, causes))
    if "unsafe" in text:
        return "it holds Python code (a Lambda layer), which is not run, because it could do anything"
    if unknown := re.search(r"Could not locate class '(\w+)'", text):
        return f"Keras does not know its class {unknown[1]}"
    return first_line(error)


def check_keras() -> None:
    """Refuses to go on where Keras is set up in a way that changes numbers: another project's keras.json can do so.

    Raises:
        FarkerasError: Keras runs on another backend than TensorFlow, or by default in another precision than float32.
    """
    if (floatx := keras.config.floatx()) != "float32":
        raise FarkerasError(
            f"Keras is set to floatx={floatx}, which changes numbers; expected float32. Call "
            'keras.config.set_floatx("float32"), or change keras.json in $KERAS_HOME or ~/.keras.'
        )
    if (backend := keras.backend.backend()) != "tensorflow":
        raise FarkerasError(
            f"Keras runs on {backend} in this process; farkeras's own training loop, its predictions, evaluation and "
            "exports run on TensorFlow. Model files are the same on all backends: do this in a process with "
            "KERAS_BACKEND=tensorflow."
        )


def read_metadata(path: str | os.PathLike) -> ModelMetadata:
    """What goes with a model's weights, without them; arguments and errors as of `load_model`."""
    path = _model_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(archive.read(_MEMBER))
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError):
        raise FarkerasError(
            f"{path} is not a model file of farkeras; expected one that `python -m farkeras.train` wrote. A file that "
            "Keras wrote lacks the preprocessing: import farkeras.models, load it with keras.saving.load_model, and "
            "save it with farkeras.save."
        ) from None
    if values["format_version"] > FORMAT_VERSION:
        raise FarkerasError(
            f"{path} has format {values['format_version']}; this farkeras reads up to {FORMAT_VERSION}. Upgrade it."
        )
    values["config"] |= _places_now(path)
    return ModelMetadata.from_dict(values)


def _places_now(path: Path) -> dict[str, str]:
    """Where the data of a run lie since it was last started, which may be elsewhere than when its best model came."""
    flags = path.with_name(FLAGS_FILE)
    with suppress(FarkerasError):  # of another version
        return read_flagfile(flags).paths() if path.name == MODEL_FILE and flags.exists() else {}
    return {}


def _model_file(path: str | os.PathLike) -> Path:
    path = as_path(path)
    if path.is_dir():
        if not (path / MODEL_FILE).is_file():
            raise FarkerasError(
                f"{path} holds no {MODEL_FILE}: expected the `workdir` of a training run that has validated once. "
                "Train first, or wait for its first validation."
            )
        path = path / MODEL_FILE
    if not path.is_file():
        looked = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise FarkerasError(f"No model at {path}{looked}: expected a training run's workdir or a .keras file.")
    return path


def copy_matching_weights(source: FaceAttributeModel, target: FaceAttributeModel) -> list[str]:
    """Copies weights that have the same path, shape and meaning, for training on from a model with other heads.

    A head is copied where both models have its group with the same members in the same order, the gates where both have
    the same groups: of equal shape alone they might stand for other attributes.

    Returns:
        Paths of the target's weights that were left as they are.

    Raises:
        FarkerasError: Fewer than half of the target's parameters would be copied: another architecture.
    """
    values = {weight.path: weight for weight in source.weights}
    other = _of_other_groups(source, target)
    fits = [w for w in target.weights if w.path in values and values[w.path].shape == w.shape and w.path not in other]
    copied = sum(w.value.shape.num_elements() for w in fits)
    if copied < target.count_params() / 2:
        raise FarkerasError(
            f"Only {copied:,} of {target.count_params():,} parameters of '{target.name}' are in '{source.name}': it "
            "has another architecture. Use the same `model`, `backbone` and `backbone_alpha` as that run."
        )
    for weight in fits:
        weight.assign(values[weight.path])
    names = {w.path for w in fits}
    return [w.path for w in target.weights if w.path not in names]


def _of_other_groups(source: FaceAttributeModel, target: FaceAttributeModel) -> set[str]:
    """Paths of the target's weights that belong to attributes or groups which the source has not, or not so."""
    weights = []
    for layer in target.layers:
        if layer.name in target.heads and target.heads[layer.name] != source.heads.get(layer.name):
            weights += layer.weights
        if isinstance(layer, WSGSA) and source.grouping.names != target.grouping.names:
            weights += layer.gate_weights
    return {weight.path for weight in weights}
