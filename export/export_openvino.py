"""Exports a trained model for OpenVINO: `python -m farkeras.export_openvino --workdir=runs/demo --precisions=int8`.

The command compares each export with the Keras model on test images. It needs `pip install 'farkeras[openvino]'`.
"""

from farkeras.cli import exports
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command


def define(flags: Flags) -> None:
    exports.define(flags)
    exports.define_input_size(flags)
    flags.texts("precisions", ["float32", "int8"], "Precisions to export.")
    exports.define_calibration_images(flags)
    flags.texts(
        "float_parts",
        ["ends", "early"],
        "Parts that int8 leaves in float. Empty: none; all operations that OpenVINO has in 8 bits are quantised.",
    )


def main(options: Flags) -> None:
    exports.run_exports(
        "OpenVINO",
        "openvino",
        options,
        input_size=exports.input_size(options),
        precisions=options.precisions,
        calibration_images=options.calibration_images,
        float_parts=options.float_parts,
    )


if __name__ == "__main__":
    run_command(define, main)
