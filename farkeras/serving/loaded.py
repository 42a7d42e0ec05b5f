"""A loaded version that answers requests: its SavedModel, and the merging of requests."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from farkeras.serving.batching import Batcher, BatchSettings
from farkeras.serving.deadline import Deadline
from farkeras.serving.metrics import Metrics
from farkeras.serving.servable import Servable, checked_outputs
from farkeras.wire.protos.serving_pb2 import PredictionLog, PredictRequest
from farkeras.wire.tensors import to_array

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS = 1000
"""Limit of warm-up records, as in TF Serving."""


class ModelSettings(NamedTuple):
    """Batching and threads of the models.

    Attributes:
        batching: How requests are merged; None runs each request separately.
        intra_op: TensorFlow's threads for the parts of one operation; 0 lets TensorFlow choose.
        inter_op: TensorFlow's threads for concurrent operations; 0 lets TensorFlow choose. The first model of a process
            sets this number for all models.
    """

    batching: BatchSettings | None = None
    intra_op: int = 0
    inter_op: int = 0


class LoadedVersion:
    """Loaded version of a model, warmed up and ready.

    Attributes:
        number: Number of the version.
        folder: Folder of the version.
    """

    def __init__(self, name: str, number: int, folder: Path, settings: ModelSettings, metrics: Metrics):
        """Loads the version and runs its warm-up requests; raises their errors, which can be of any class."""
        self.number, self.folder = number, folder
        self._servable = Servable(folder, settings.intra_op, settings.inter_op)
        self.signatures, self.signature = self._servable.signatures, self._servable.signature
        run, batching = self._servable.run, settings.batching
        self._batcher = None if batching is None else Batcher(run, batching, lambda rows: metrics.batch(name, rows))
        try:
            for request in _warmup_requests(folder):
                inputs = {key: to_array(tensor) for key, tensor in request.inputs.items()}
                self.predict(request.model_spec.signature_name, inputs, request.output_filter, Deadline())
        except BaseException:
            self.close()
            raise

    def predict(
        self, signature_name: str, inputs: Mapping[str, np.ndarray], output_filter: Sequence[str], deadline: Deadline
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature_name: Name of the signature; "" means serving_default.
            inputs: Values of all inputs of the signature, by name.
            output_filter: Names of the outputs to compute; empty means all.
            deadline: Time by which the outputs must be computed.

        Returns:
            Values of the outputs, by name.

        Raises:
            RequestError: Any error of the request.
        """
        name, signature = self.signature(signature_name)
        outputs = checked_outputs(signature, inputs, output_filter)
        if self._batcher is None:
            values = self._servable.run(name, inputs, outputs)
        else:
            values = self._batcher.run(name, inputs, outputs, deadline)
        if deadline.passed():
            raise Deadline.exceeded()
        return dict(zip(outputs, values, strict=True))

    def close(self) -> None:
        """Frees the model."""
        if self._batcher is not None:
            self._batcher.close()
        self._servable.close()


def _warmup_requests(folder: Path) -> Iterator[PredictRequest]:
    """Yields the requests in a version's warm-up file, if any. As in TF Serving, an invalid record fails the load."""
    path = folder / WARMUP_FILE
    if not path.is_file():
        return
    for number, record in enumerate(tf.data.TFRecordDataset(os.fsencode(path)).as_numpy_iterator(), 1):
        if number > MAX_RECORDS:
            raise ValueError(f"{path} has more than {MAX_RECORDS} warm-up records")
        try:
            log = PredictionLog.FromString(record)
        except DecodeError:
            raise ValueError(f"Warm-up record {number} of {path} is not a PredictionLog") from None
        if not log.HasField("predict_log"):
            raise ValueError(f"Warm-up record {number} of {path} is not a Predict request")
        yield log.predict_log.request
