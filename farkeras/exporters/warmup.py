"""Requests that the model server runs while it loads a version, so that the first user does not wait."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from farkeras.data.alignment import CROP_HEIGHT, CROP_WIDTH

WARMUP_FILE = "tf_serving_warmup_requests"
MAX_RECORDS = 1000
"""The server refuses more."""


def write_warmup(folder: Path, batch_sizes: Sequence[int]) -> None:
    """Writes `assets.extra`'s warm-up file: one request to `serving_default` for each batch size.

    Args:
        folder: `assets.extra` of a SavedModel whose `serving_default` takes image files as `bytes`.
        batch_sizes: Images in each request.
    """
    face = tf.io.encode_jpeg(tf.fill([CROP_HEIGHT, CROP_WIDTH, 3], tf.constant(128, tf.uint8))).numpy()
    with tf.io.TFRecordWriter(str(folder / WARMUP_FILE)) as writer:
        for size in batch_sizes:
            writer.write(_prediction_log(tf.make_tensor_proto([face] * size).SerializeToString()))


# tensorflow-serving-api has these messages, but also pins protobuf below what newer TensorFlow brings. Of its
# definitions (prediction_log.proto, predict.proto, model.proto) few fields are needed here, all of them messages or
# strings: key (field number << 3 | 2), length, content.


def _prediction_log(tensor: bytes) -> bytes:
    """A serialized `PredictionLog` with a `PredictRequest` of one input, `bytes`."""
    inputs = _field(1, b"bytes") + _field(2, tensor)  # an entry of map<string, TensorProto>
    request = _field(1, _field(3, b"serving_default")) + _field(2, inputs)  # model_spec.signature_name, inputs
    return _field(6, _field(1, request))  # PredictionLog.predict_log, PredictLog.request


def _field(number: int, content: bytes) -> bytes:
    length, encoded = len(content), bytearray()
    while length >= 128:
        encoded.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2]) + bytes(encoded) + bytes([length]) + content
