"""Exports a trained model for LiteRT: python export/export_tflite.py --workdir=runs/demo --precisions=float32,int8"""

from farkeras.cli import exports
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command


def define(flags: Flags) -> None:
    exports.define(flags)
    exports.define_input_size(flags)
    flags.integer("batch_size", 1, "Crops that the file takes in one call; for throughput, not for a single face.", 1)
    flags.texts("precisions", ["float32", "float16", "dynamic", "int8"], "Precisions to export.")
    flags.integer("calibration_images", 100, "int8: training images that decide the ranges.", 1)
    flags.texts(
        "float_parts", ["ends", "early", "hard_swish"], "int8: what stays float; empty for all in 8 bits that can be."
    )


def main(options: Flags) -> None:
    exports.run_exports(
        "TFLite",
        "tflite",
        options,
        input_size=exports.input_size(options),
        precisions=options.precisions,
        calibration_images=options.calibration_images,
        float_parts=options.float_parts,
        batch_size=options.batch_size,
    )


if __name__ == "__main__":
    run_command(define, main)
