"""Exports a trained model for ONNX Runtime and its kin: python export/export_onnx.py --workdir=runs/demo"""

from farkeras.cli import exports
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.native_logs import silence_native_logs


def define(flags: Flags) -> None:
    exports.define(flags)
    exports.define_input_size(flags)


def main(options: Flags) -> None:
    silence_native_logs()
    from farkeras.exporters.onnx import export_onnx

    folder, size = exports.output_folder(options, "onnx"), exports.input_size(options)
    exports.run("ONNX", lambda images: export_onnx(options.workdir, folder, images, size), options)


if __name__ == "__main__":
    run_command(define, main)
