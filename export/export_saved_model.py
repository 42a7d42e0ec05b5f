"""Exports a trained model for TF Serving: `python -m farkeras.export_saved_model --workdir=runs/demo`.

Each call writes the next version number. The command compares the export with the Keras model on test images.
"""

from farkeras.cli import exports
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command


def define(flags: Flags) -> None:
    exports.define(flags)
    flags.texts(
        "warmup_batch_sizes", ["1", "8"], "Numbers of images in TF Serving's warm-up requests. Empty: no requests."
    )


def main(options: Flags) -> None:
    sizes = options.integers("warmup_batch_sizes", 1) if options.warmup_batch_sizes else []
    exports.run_exports("SavedModel", "saved_model", options, warmup_batch_sizes=sizes)


if __name__ == "__main__":
    run_command(define, main)
