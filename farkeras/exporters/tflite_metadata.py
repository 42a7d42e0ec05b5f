"""Adds TFLite's standard metadata to a model: a `TFLITE_METADATA` buffer, and a zip archive of the files that it names.

The tools of MediaPipe and Android read it (`MetadataPopulator`, `MetadataExtractor`), and so does Netron. Google's
writer is part of mediapipe and tflite-support only, and each of them excludes some versions of TensorFlow or Python.
The few tables in use are therefore built here, with the field numbers of `metadata_schema.fbs` of tflite-support, file
identifier M001.
"""

import io
import json
import zipfile
from collections.abc import Mapping

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from farkeras.exporters.metadata import LABELS_FILE, METADATA_FILE

_METADATA_NAME = "TFLITE_METADATA"
_FILE_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"  # the first version already has all fields below
_TENSOR_AXIS_LABELS, _RGB, _IMAGE_PROPERTIES, _FEATURE_PROPERTIES = 2, 1, 2, 1


def with_metadata(model: bytes, name: str, metadata: Mapping) -> bytes:
    """Adds names and metadata to a model.

    Args:
        model: A TFLite flatbuffer with one image input and one output, the probabilities of the attributes.
        name: Name of the model.
        metadata: Result of `farkeras.exporters.metadata.export_metadata`.

    Returns:
        Content of the file: the model, followed by a zip archive with `labels.txt` and `farkeras.json`.
    """
    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = parsed.subgraphs[0]
    height, width = (int(n) for n in graph.tensors[graph.inputs[0]].shape[1:3])
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = _model_metadata(name, metadata["input"], height, width)
    entry.name, entry.buffer = _METADATA_NAME, len(parsed.buffers)
    parsed.buffers.append(buffer)
    parsed.metadata = [*(parsed.metadata or ()), entry]
    file = io.BytesIO(flatbuffer_utils.convert_object_to_bytearray(parsed))
    with zipfile.ZipFile(file, "a") as packed:
        packed.writestr(LABELS_FILE, "\n".join(metadata["attributes"]) + "\n")
        packed.writestr(METADATA_FILE, json.dumps(metadata, indent=1))
    return file.getvalue()


def _model_metadata(name: str, input_words: str, height: int, width: int) -> bytes:
    builder = flatbuffers.Builder()
    size = _table(builder, 2, Uint32={0: width, 1: height})
    image = _content(builder, _IMAGE_PROPERTIES, _table(builder, 2, UOffsetTRelative={1: size}, Int8={0: _RGB}))
    inputs = _tensor(builder, "images", f"uint8 RGB: {input_words}", image)
    words = builder.CreateString("Names of the attributes.")
    labels = _table(
        builder, 4, UOffsetTRelative={0: builder.CreateString(LABELS_FILE), 1: words}, Int8={2: _TENSOR_AXIS_LABELS}
    )
    feature = _content(builder, _FEATURE_PROPERTIES, _table(builder, 0))
    outputs = _tensor(
        builder,
        "probabilities",
        f"Probability of each attribute, 0..1. {METADATA_FILE} has the thresholds.",
        feature,
        labels,
    )
    subgraph = _table(builder, 5, UOffsetTRelative={2: _vector(builder, inputs), 3: _vector(builder, outputs)})
    root = {
        0: builder.CreateString(name),
        1: builder.CreateString(f"Recognises face attributes. {METADATA_FILE} describes its training."),
        3: _vector(builder, subgraph),
        7: builder.CreateString(_PARSER_VERSION),
    }
    builder.Finish(_table(builder, 8, UOffsetTRelative=root), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def _tensor(builder: flatbuffers.Builder, name: str, words: str, content: int, file: int | None = None) -> int:
    offsets = {0: builder.CreateString(name), 1: builder.CreateString(words), 3: content}
    if file is not None:
        offsets[6] = _vector(builder, file)
    return _table(builder, 7, UOffsetTRelative=offsets)


def _content(builder: flatbuffers.Builder, kind: int, properties: int) -> int:
    return _table(builder, 3, UOffsetTRelative={1: properties}, Uint8={0: kind})


def _vector(builder: flatbuffers.Builder, item: int) -> int:
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(item)
    return builder.EndVector()


def _table(builder: flatbuffers.Builder, num_fields: int, **fields: dict[int, int]) -> int:
    """Builds a table.

    Args:
        builder: The builder.
        num_fields: Number of fields in the schema.
        **fields: Type of fields, as the builder names it -> number of the field -> value.
    """
    builder.StartObject(num_fields)
    for kind, values in fields.items():
        for slot, value in values.items():
            getattr(builder, f"Prepend{kind}Slot")(slot, value, 0)
    return builder.EndObject()
