"""Runs one runtime in its own process, so that its peak memory can be measured. `benchmark.py` starts the process.

The process imports only what the runtime needs.
"""

import os
import pickle
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import IO

import numpy as np

from farkeras.files import plain_path
from farkeras.native_logs import silence_native_logs

Run = Callable[[np.ndarray], np.ndarray]
"""Maps an aligned crop, `uint8 [height, width, 3]`, to probabilities, `float32 [attributes]`."""


def load_keras(path: str, threads: int) -> Run:
    """Loads a Keras model with its preprocessing, as a `tf.function`."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from farkeras.models.model_file import load_model

    model, metadata = load_model(path)
    probabilities = tf.function(lambda images: model.probabilities(metadata.preprocessing.resize(images)))
    return lambda crop: probabilities(tf.constant(crop[None]))[0].numpy()


def load_saved_model(path: str, threads: int) -> Run:
    """Loads one version of a SavedModel in a Session, as TF Serving does."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # otherwise TensorFlow warns that `Session` is deprecated
    options = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=1)
    session = tf.compat.v1.Session(graph=tf.Graph(), config=options)
    with session.graph.as_default(), plain_path(path) as plain:
        signature = tf.compat.v1.saved_model.loader.load(session, ["serve"], plain).signature_def["images"]
    images, probabilities = signature.inputs["images"].name, signature.outputs["probabilities"].name
    return lambda crop: session.run(probabilities, {images: crop[None]})[0]


def load_litert(path: str, threads: int) -> Run:
    """Loads a `.tflite` file in LiteRT."""
    from farkeras.clients.litert import LiteRTRecognizer

    recognizer = LiteRTRecognizer(path, threads)
    return lambda crop: recognizer.probabilities([crop])[0]


def load_onnx(path: str, threads: int) -> Run:
    """Loads an `.onnx` file in ONNX Runtime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    images = session.get_inputs()[0].name
    return lambda crop: session.run(["probabilities"], {images: crop[None]})[0][0]


def load_openvino(path: str, threads: int, inference_precision: str = "float32") -> Run:
    """Loads a `model.xml` in OpenVINO, on the CPU."""
    from farkeras.clients.openvino import OpenVINORecognizer

    recognizer = OpenVINORecognizer(path, threads, inference_precision)
    return lambda crop: recognizer.probabilities([crop])[0]


LOADERS: dict[str, Callable[[str, int], Run]] = {
    "Keras": load_keras,
    "SavedModel": load_saved_model,
    "LiteRT": load_litert,
    "ONNX Runtime": load_onnx,
    "OpenVINO": load_openvino,
    "OpenVINO bfloat16": partial(load_openvino, inference_precision="bfloat16"),
}


def peak_memory() -> int:
    """Returns the peak memory of this process in bytes."""
    try:
        with open("/proc/self/status") as status:  # getrusage may include the parent process
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:  # not Linux
        scale = 1 if sys.platform == "darwin" else 1024
        return scale * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def answer_requests(requests: IO[bytes], answers: IO[bytes], load: Callable[[], Run]) -> None:
    """Answers pickled requests: a list of crops with `(seconds, probabilities)`, and `None` with the peak memory.

    `None` ends the process. The first crop of each list is run once without timing, because another runtime used the
    processor before.
    """
    run = load()
    while (crops := pickle.load(requests)) is not None:
        run(crops[0])
        seconds, rows = [], []
        for crop in crops:
            start = time.perf_counter()
            rows.append(run(crop))
            seconds.append(time.perf_counter() - start)
        pickle.dump((seconds, np.stack(rows)), answers)
        answers.flush()
    pickle.dump(peak_memory(), answers)
    answers.flush()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    own_stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    silence_native_logs()
    kind, model_path, num_threads = sys.argv[1:]
    answer_requests(sys.stdin.buffer, own_stdout, lambda: LOADERS[kind](model_path, int(num_threads)))
