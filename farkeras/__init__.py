"""Face attribute recognition (FAR) with TensorFlow and Keras 3: FAR-AMTN and MGMTN, from data to device.

    config = farkeras.load_config("demo", epochs=3)
    farkeras.train_and_evaluate(config, "runs/mine")
    farkeras.evaluate_run("runs/mine")
    farkeras.export_run("runs/mine", formats=["saved_model", "tflite", "onnx"])
    farkeras.load("runs/mine")(["photo.jpg"])

`farkeras.layers`, `farkeras.models`, `farkeras.losses`, `farkeras.weighting` and `farkeras.metrics` are modules.
`import farkeras` is light: TensorFlow is loaded by the first name that needs it.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from farkeras.errors import FarkerasError

if TYPE_CHECKING:
    from farkeras import layers, losses, metrics, models, weighting
    from farkeras.cli.training_report import ConsoleReport
    from farkeras.config import Config
    from farkeras.data.check import check_data_set
    from farkeras.data.keypoints import annotate_images
    from farkeras.data.packing import pack_data_set
    from farkeras.exporters.run import export_run
    from farkeras.flagfiles import load_config
    from farkeras.inference.folder import predict_folder
    from farkeras.inference.recognizer import load
    from farkeras.photos.crops import align_face, align_faces, align_photos
    from farkeras.synthetic.generate import draw_faces
    from farkeras.training.comparison import compare_models
    from farkeras.training.evaluation import evaluate_run
    from farkeras.training.run import train_and_evaluate

__version__ = "0.1.0"

_HOMES = {
    "Config": "config",
    "ConsoleReport": "cli.training_report",
    "align_face": "photos.crops",
    "align_faces": "photos.crops",
    "align_photos": "photos.crops",
    "annotate_images": "data.keypoints",
    "check_data_set": "data.check",
    "compare_models": "training.comparison",
    "draw_faces": "synthetic.generate",
    "evaluate_run": "training.evaluation",
    "export_run": "exporters.run",
    "load": "inference.recognizer",
    "load_config": "flagfiles",
    "pack_data_set": "data.packing",
    "predict_folder": "inference.folder",
    "train_and_evaluate": "training.run",
}
"""Public name -> the module that has it."""

_MODULES = ("layers", "losses", "metrics", "models", "weighting")

__all__ = ["FarkerasError", "__version__", *_HOMES, *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"farkeras.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"farkeras.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'farkeras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if sys.argv[:1] == ["-m"]:  # `python -m farkeras.NAME`: Python imports the package first, and then looks for the module
    from farkeras.cli.commands import why_not_a_command

    if reason := why_not_a_command(sys.orig_argv):
        print(f"error: {reason}", file=sys.stderr)
        sys.exit(2)
