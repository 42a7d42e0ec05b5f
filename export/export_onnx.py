"""Exports a trained model for ONNX Runtime and its kin: python export/export_onnx.py --workdir=runs/demo"""

from absl import flags

from farkeras.cli import exports as export_command
from farkeras.cli import run as main
from farkeras.native_logs import silence_native_logs


def export(argv: list[str]) -> None:
    silence_native_logs()
    from farkeras.exporters.onnx import export_onnx

    folder, size = export_command.output_folder(flags.FLAGS, "onnx"), export_command.input_size(flags.FLAGS)
    export_command.run("ONNX", lambda images: export_onnx(flags.FLAGS.workdir, folder, images, size), flags.FLAGS)


if __name__ == "__main__":
    export_command.define()
    export_command.define_input_size()
    main.run(export)
