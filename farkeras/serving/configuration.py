"""The parts of TF Serving's configuration files that the local server uses."""

from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

from farkeras.errors import FarkerasError
from farkeras.files import as_path
from farkeras.serving.batching import BatchSettings
from farkeras.wire.protos.config_pb2 import BatchingParameters, ModelConfig, ModelServerConfig, VersionPolicy

_AnyMessage = TypeVar("_AnyMessage", bound=Message)
_NUMBERS = {"max_batch_size": 1, "batch_timeout_micros": 0, "max_enqueued_batches": 1, "num_batch_threads": 1}


def read_models(path: str | Path) -> list[ModelConfig]:
    """Reads the models of a `model_config_file`.

    Raises:
        FarkerasError: The file cannot be read, or one of its values is invalid.
    """
    models = list(_read(path, ModelServerConfig()).model_config_list.config)
    if not models:
        raise FarkerasError(f"{path} names no model. Expected model_config_list {{ config {{ ... }} }}.")
    names = [model.name for model in models]
    for model in models:
        if not model.name or names.count(model.name) > 1:
            raise FarkerasError(f"{path}: each model needs a unique name. Received: '{model.name}'.")
        if not Path(model.base_path).is_absolute():
            raise FarkerasError(
                f"{path}: base_path of '{model.name}' must be an absolute path. Received: '{model.base_path}'."
            )
        if model.model_platform != "tensorflow":
            raise FarkerasError(
                f'{path}: model_platform of \'{model.name}\' must be "tensorflow". Received: "{model.model_platform}".'
            )
    return models


def one_model(name: str, model_dir: str | Path) -> ModelConfig:
    """Returns the configuration of one model that serves its latest version.

    Raises:
        FarkerasError: The folder holds no version.
    """
    folder = as_path(model_dir)
    if not versions_on_disk(folder):
        nested = folder / "export" / "saved_model"
        found = versions_on_disk(nested)
        raise FarkerasError(
            f"{folder} holds no version of a SavedModel. Expected folders named by version number, such as {folder}/1. "
            + (f"Did you mean `model_dir={nested}`?" if found else "Run export/export_saved_model.py.")
        )
    return ModelConfig(name=name, base_path=str(folder.absolute()), model_platform="tensorflow")


def versions_on_disk(base_path: Path) -> dict[int, Path]:
    """Returns the folders that TF Serving takes for versions, by number; empty if `base_path` cannot be read."""
    try:
        paths = list(base_path.iterdir())
    except OSError:
        return {}
    return {int(path.name): path for path in paths if path.name.isascii() and path.name.isdigit() and path.is_dir()}


def wanted_versions(policy: VersionPolicy, versions: set[int]) -> set[int]:
    """Returns the versions on disk that the policy selects; an empty policy selects the latest one."""
    if policy.HasField("all"):
        return versions
    if policy.HasField("specific"):
        return versions & set(policy.specific.versions)
    return set(sorted(versions)[-(policy.latest.num_versions or 1) :])


def read_batching(path: str | Path) -> BatchSettings:
    """Reads the settings in a `batching_parameters_file`.

    Raises:
        FarkerasError: The file cannot be read, or one of its values is invalid.
    """
    message = _read(path, BatchingParameters())
    given = {name: getattr(message, name).value for name in _NUMBERS if message.HasField(name)}
    settings = BatchSettings(**given, allowed_batch_sizes=tuple(message.allowed_batch_sizes))
    for name, least in _NUMBERS.items():
        if getattr(settings, name) < least:
            raise FarkerasError(f"{path}: {name} must be at least {least}. Received: {getattr(settings, name)}.")
    sizes = settings.allowed_batch_sizes
    if sizes and (list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != settings.max_batch_size):
        raise FarkerasError(
            f"{path}: allowed_batch_sizes must ascend and end with max_batch_size ({settings.max_batch_size}). "
            f"Received: {list(sizes)}."
        )
    return settings


def _read(path: str | Path, message: _AnyMessage) -> _AnyMessage:
    path = as_path(path)
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FarkerasError(
            f"Cannot read {path} ({reason}). Expected a file in TF Serving's text format, such as those in serving/."
        ) from None
