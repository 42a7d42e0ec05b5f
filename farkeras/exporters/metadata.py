"""What goes with every export: the names of its outputs, the input that it expects, and where it comes from."""

import json
from pathlib import Path

from farkeras.config import published
from farkeras.models.model_file import ModelMetadata, current_versions

EXPORT_FORMAT_VERSION = 1
METADATA_FILE = "farkeras.json"
LABELS_FILE = "labels.txt"


def export_metadata(metadata: ModelMetadata, kind: str, packages: tuple[str, ...], **details: object) -> dict:
    """The metadata of an export, ready for JSON.

    Args:
        metadata: The exported model's.
        kind: "saved_model", "tflite" or "onnx".
        packages: Packages beside TensorFlow and Keras that wrote the export, such as "tf2onnx", to add their versions.
        **details: What a user of this kind needs to know, such as `precision="int8"`.

    Returns:
        The values of the model file (`ModelMetadata.from_dict` reads them): attributes in the order of the outputs,
        groups, preprocessing, the input in words, settings and packages of training, metrics of the weights. Files and
        folders have only their last names, for an export may be passed on. Beside them `export`: its `kind`,
        `format_version`, the `versions` of the packages that wrote it, and the details.
    """
    export = {"kind": kind, "format_version": EXPORT_FORMAT_VERSION, "versions": current_versions(*packages)}
    return metadata.to_dict() | {"config": published(metadata.config), "export": export | details}


def write_metadata(folder: Path, values: dict) -> None:
    """Writes what `export_metadata` gave to `farkeras.json`, and the attributes to `labels.txt`, one a line."""
    (folder / METADATA_FILE).write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / LABELS_FILE).write_text("\n".join(values["attributes"]) + "\n", encoding="utf-8")
