"""Runs an exported OpenVINO model in Python, with numpy, Pillow, openvino and lazy_loader only.

    python -m farkeras.clients.openvino model.xml crop.jpg ...

prints a table with one column per crop.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from farkeras.clients.file_recognizer import FileRecognizer, run_command
from farkeras.errors import FarkerasError
from farkeras.files import as_path, plain_path

RT_INFO = ["farkeras", "metadata"]
"""Place of the metadata in the model's `rt_info`. It is JSON in one line, because XML does not keep line breaks."""

INFERENCE_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
"""Precision of the float operations -> OpenVINO's name of it."""


class OpenVINORecognizer(FileRecognizer):
    """Recognises face attributes in aligned crops with a file that `export/export_openvino.py` wrote, on the CPU.

    Threads may share a recognizer.

    Args:
        path: The file `model.xml`. It contains the names of its attributes. `model.bin` is next to it.
        num_threads: Number of CPU threads; by default OpenVINO's choice.
        inference_precision: Precision in which the model computes, apart from the operations of an int8 file that are
            in 8 bits: "float32", or "bfloat16", which is faster on processors that have it and changes probabilities
            by 0.001 to 0.002 on average.
        batch_size: Largest number of crops in one call of the model. More crops take several calls.

    Attributes:
        attributes: Names of the attributes, in the order of the outputs.
        metadata: Content of the file's `farkeras.json`: groups, preprocessing, training settings, versions.
        input_size: Height and width of the crops in pixels.
        batch_size: As above.

    Raises:
        FarkerasError: openvino is not installed, a file does not exist, `export/export_openvino.py` did not write it,
            an argument is out of its range, or the processor has no bfloat16.

    Examples:
        >>> OpenVINORecognizer("model.xml")(["crop.jpg"])[0]["Smiling"]  # doctest: +SKIP
        0.93
    """

    def __init__(
        self,
        path: str | os.PathLike,
        num_threads: int | None = None,
        inference_precision: str = "float32",
        batch_size: int = 32,
    ):
        for name, number in (("num_threads", num_threads), ("batch_size", batch_size)):
            if number is not None and number < 1:
                raise FarkerasError(f"`{name}` must be at least 1. Received: {number}.")
        openvino = import_openvino()
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _hint(inference_precision)}
        if num_threads:
            options["INFERENCE_NUM_THREADS"] = str(num_threads)
        core = openvino.Core()
        model = _read(core, as_path(path))
        self.metadata = _metadata(model, path)
        self.attributes = tuple(self.metadata["attributes"])
        self.input_size = tuple(int(side.get_length()) for side in list(model.input("images").partial_shape)[1:3])
        self.batch_size = batch_size
        self._model = core.compile_model(model, "CPU", options)
        self._idle: list[Any] = []  # requests, one for each call that was ever made at the same time

    def _run(self, crops: list[np.ndarray]) -> np.ndarray:
        try:
            request = self._idle.pop()  # threads never get the same one
        except IndexError:
            request = self._model.create_infer_request()
        answer = request.infer({"images": np.stack(crops)})["probabilities"].copy()  # the request reuses its memory
        self._idle.append(request)
        return answer


def import_openvino() -> ModuleType:
    """Imports OpenVINO, such that neither it nor NNCF, if imported afterwards, sends usage data.

    By default both send data to Google when they are imported, unless the user has opted out, because they depend on
    `openvino-telemetry`. Both work without that package, so it is hidden from them.

    Raises:
        FarkerasError: openvino is not installed.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # its import raises ModuleNotFoundError
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise FarkerasError(f"OpenVINO needs {error.name}: pip install 'farkeras[openvino]'") from None
    return openvino


def has_bfloat16() -> bool:
    """Returns whether the processor has bfloat16. Without it, OpenVINO would silently compute in float32."""
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _hint(precision: str) -> str:
    if precision not in INFERENCE_PRECISIONS:
        known = ", ".join(INFERENCE_PRECISIONS)
        raise FarkerasError(f"`inference_precision` must be one of {known}. Received: '{precision}'.")
    if precision == "bfloat16" and not has_bfloat16():
        raise FarkerasError(
            "`inference_precision` must be 'float32' on this processor, which has no bfloat16. Received: 'bfloat16'."
        )
    return INFERENCE_PRECISIONS[precision]


def _read(core: Any, path: Path) -> Any:
    for file in (path, path.with_suffix(".bin")):
        try:
            file.open("rb").close()
        except OSError as error:
            raise FarkerasError(
                f"Cannot read {file}: {error.strerror}. Expected model.xml and model.bin of an OpenVINO export."
            ) from None
    try:
        with plain_path(path.parent) as folder:  # OpenVINO takes no paths that are not UTF-8
            return core.read_model(os.path.join(folder, path.name))
    except RuntimeError:
        raise FarkerasError(
            f"OpenVINO cannot read {path}; expected model.xml and model.bin, complete, as export/export_openvino.py "
            "wrote them."
        ) from None


def _metadata(model: Any, path: str | os.PathLike) -> dict:
    if not model.has_rt_info(RT_INFO):
        raise FarkerasError(
            f"{path} contains no attribute names; expected a model.xml that export/export_openvino.py wrote."
        )
    return json.loads(model.get_rt_info(RT_INFO).astype(str))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""

    def define(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--threads", type=int, help="Number of CPU threads; by default OpenVINO's choice.")
        parser.add_argument(
            "--inference_precision", default="float32", help="float32, or bfloat16 on processors that have it."
        )

    def load(given: argparse.Namespace) -> OpenVINORecognizer:
        return OpenVINORecognizer(given.model, given.threads, given.inference_precision)

    model = "The model.xml that export/export_openvino.py wrote, with model.bin next to it."
    return run_command("farkeras.clients.openvino", model, load, define, arguments)


if __name__ == "__main__":
    sys.exit(main())
