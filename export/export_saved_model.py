"""Exports a trained model for TF Serving: python export/export_saved_model.py --workdir=runs/demo"""

from absl import flags

from farkeras.cli import exports as export_command
from farkeras.cli import run as main
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs

WARMUP = flags.DEFINE_list(
    "warmup_batch_sizes", ["1", "8"], "Images in each of the requests that TF Serving warms up with."
)


def export(argv: list[str]) -> None:
    if not all(size.isdecimal() for size in WARMUP.value):
        raise FarkerasError(f"--warmup_batch_sizes must be whole numbers. Received: {','.join(WARMUP.value)}.")
    silence_native_logs()
    from farkeras.exporters.saved_model import export_saved_model

    sizes = [int(size) for size in WARMUP.value]
    folder = export_command.output_folder(flags.FLAGS, "saved_model")
    export_command.run(
        "SavedModel", lambda images: export_saved_model(flags.FLAGS.workdir, folder, images, sizes), flags.FLAGS
    )


if __name__ == "__main__":
    export_command.define()
    main.run(export)
