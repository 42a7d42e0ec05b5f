"""Requests that the model server runs while it loads a version, so that the first request is not slow."""

import os
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from farkeras.photos.alignment import CROP_HEIGHT, CROP_WIDTH
from farkeras.wire.protos.serving_pb2 import PredictionLog

WARMUP_FILE = "tf_serving_warmup_requests"
MAX_RECORDS = 1000
"""Largest number of warm-up requests that the server accepts."""


def write_warmup(folder: Path, batch_sizes: Sequence[int]) -> None:
    """Writes the warm-up file of `assets.extra`: one request to `serving_default` for each batch size.

    Args:
        folder: `assets.extra` of a SavedModel whose `serving_default` takes image files as `bytes`.
        batch_sizes: Number of images in each request.
    """
    face = tf.io.encode_jpeg(tf.fill([CROP_HEIGHT, CROP_WIDTH, 3], tf.constant(128, tf.uint8))).numpy()
    with tf.io.TFRecordWriter(os.fsencode(folder / WARMUP_FILE)) as writer:
        for size in batch_sizes:
            log = PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = "serving_default"
            request.inputs["bytes"].ParseFromString(tf.make_tensor_proto([face] * size).SerializeToString())
            writer.write(log.SerializeToString())
