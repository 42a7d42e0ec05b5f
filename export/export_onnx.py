"""Exports a trained model for ONNX Runtime: `python -m farkeras.export_onnx --workdir=runs/demo`.

The command compares the export with the Keras model on test images. It needs `pip install 'farkeras[onnx]'`.
"""

from farkeras.cli import exports
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command


def define(flags: Flags) -> None:
    exports.define(flags)
    exports.define_input_size(flags)


def main(options: Flags) -> None:
    exports.run_exports("ONNX", "onnx", options, input_size=exports.input_size(options))


if __name__ == "__main__":
    run_command(define, main)
