"""Exports a trained model for LiteRT: python export/export_tflite.py --workdir=runs/demo --precisions=float32,int8"""

from absl import flags

from farkeras.cli import exports as export_command
from farkeras.cli import run as main
from farkeras.native_logs import silence_native_logs

PRECISIONS = flags.DEFINE_list("precisions", ["float32", "float16", "dynamic", "int8"], "What to export.")
CALIBRATION = flags.DEFINE_integer(
    "calibration_images", 100, "int8: training images that decide the ranges.", lower_bound=1
)
FLOAT_PARTS = flags.DEFINE_list(
    "float_parts", ["ends", "early", "hard_swish"], "int8: what stays float; empty for all in 8 bits that can be."
)


def export(argv: list[str]) -> None:
    silence_native_logs()
    from farkeras.exporters.tflite import export_tflite

    folder, size = export_command.output_folder(flags.FLAGS, "tflite"), export_command.input_size(flags.FLAGS)
    export_command.run_each(
        "TFLite",
        lambda images: export_tflite(
            flags.FLAGS.workdir, folder, images, PRECISIONS.value, size, CALIBRATION.value, FLOAT_PARTS.value
        ),
        flags.FLAGS,
    )


if __name__ == "__main__":
    export_command.define()
    export_command.define_input_size()
    main.run(export)
