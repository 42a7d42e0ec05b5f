"""Replays the warm-up requests of a model, so that the first user does not wait for them."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from farkeras.wire.protos.serving_pb2 import PredictionLog, PredictRequest

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000


def replay_warmup(folder: Path, predict: Callable[[PredictRequest], object]) -> int:
    """Runs a version's warm-up records, if it has any.

    Args:
        folder: Folder of the version.
        predict: Answers a request, or raises.

    Returns:
        Number of records.

    Raises:
        ValueError: A record is no Predict request, or there are more than TF Serving accepts.
        Exception: Errors of `predict` and of TensorFlow's reader: a bad record fails the load, as in TF Serving.
    """
    path, number = folder / WARMUP_FILE, 0
    if not path.is_file():
        return 0
    for number, record in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator(), 1):
        if number > MAX_RECORDS:
            raise ValueError(f"{path} has more than {MAX_RECORDS} warm-up records")
        try:
            log = PredictionLog.FromString(record)
        except DecodeError:
            raise ValueError(f"Warm-up record {number} of {path} is no PredictionLog") from None
        if not log.HasField("predict_log"):
            raise ValueError(f"Warm-up record {number} of {path} is no Predict request")
        predict(log.predict_log.request)
    return number
