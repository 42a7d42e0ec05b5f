"""Metadata of every export: the names of its outputs, the input that it expects, and its origin."""

import json
from pathlib import Path

from farkeras.flagfiles import published
from farkeras.models.model_file import ModelMetadata, current_versions

EXPORT_FORMAT_VERSION = 1
METADATA_FILE = "farkeras.json"
LABELS_FILE = "labels.txt"


def export_metadata(metadata: ModelMetadata, kind: str, packages: tuple[str, ...], **details: object) -> dict:
    """Returns the metadata of an export, ready for JSON.

    Args:
        metadata: Metadata of the exported model.
        kind: "saved_model", "tflite", "onnx" or "openvino".
        packages: Further packages that wrote the export, such as "tf2onnx"; their versions are included. TensorFlow and
            Keras are always included.
        **details: Properties of the export that its users need, such as `precision="int8"`.

    Returns:
        The values of the model file, which `ModelMetadata.from_dict` reads: attributes in the order of the outputs,
        groups, preprocessing, a description of the input, settings and package versions of training, validation
        metrics of the weights, and `calibration`, with the temperatures in the graph and the thresholds; it is None for
        an export without. Paths are reduced to their last part, because an export may be passed on. The additional
        entry `export` holds `kind`, `format_version`, `calibrated` (whether the graph has temperatures), the `versions`
        of the packages that wrote the export, and the details.
    """
    export = {
        "kind": kind,
        "format_version": EXPORT_FORMAT_VERSION,
        "calibrated": metadata.calibration is not None,
        "versions": current_versions(*packages),
    }
    return metadata.to_dict() | {"config": published(metadata.config), "export": export | details}


def write_metadata(folder: Path, values: dict) -> None:
    """Writes the result of `export_metadata` to `farkeras.json`, and the attributes to `labels.txt`, one per line."""
    (folder / METADATA_FILE).write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / LABELS_FILE).write_text("\n".join(values["attributes"]) + "\n", encoding="utf-8")
