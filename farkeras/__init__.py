"""Face attribute recognition with TensorFlow and Keras 3: FAR-AMTN and MGMTN, from training to export and serving.

    config = farkeras.load_config("celeba", data_dir="/data/celeba")
    farkeras.train_and_evaluate(config, "runs/celeba", [farkeras.ConsoleReport()])
    farkeras.evaluate_run("runs/celeba")
    farkeras.export_run("runs/celeba", formats=["saved_model", "tflite", "onnx"])
    farkeras.load("runs/celeba")(["photo.jpg"])

`farkeras.layers`, `.models`, `.losses`, `.optimizers`, `.weighting` and `.metrics` hold the Keras objects.
`import farkeras` does not import TensorFlow; the first name that needs TensorFlow does. `__init__.pyi` lists the public
names and their modules.
"""

import sys

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

if sys.argv[:1] == ["-m"]:  # `python -m farkeras.NAME`: Python imports the package before it looks for the module
    from farkeras.cli.commands import why_not_a_command

    if reason := why_not_a_command(sys.orig_argv):
        print(f"error: {reason}", file=sys.stderr)
        sys.exit(2)
