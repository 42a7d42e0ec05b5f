"""Exports a trained model for LiteRT: `python -m farkeras.export_tflite --workdir=runs/demo --precisions=float32,int8`.

The command compares each export with the Keras model on test images.
"""

from farkeras.cli import exports
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command


def define(flags: Flags) -> None:
    exports.define(flags)
    exports.define_input_size(flags)
    flags.integer(
        "batch_size",
        1,
        "Number of crops that the file takes in one call; above 1 for throughput, not for single faces.",
        1,
    )
    flags.texts("precisions", ["float32", "float16", "dynamic", "int8"], "Precisions to export.")
    exports.define_calibration_images(flags)
    flags.texts(
        "float_parts",
        ["ends", "early", "hard_swish"],
        "Parts that int8 leaves in float. Empty: none; all operations that TFLite has in 8 bits are quantised.",
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
