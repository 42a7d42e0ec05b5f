"""Calibrates a trained model: `python -m farkeras.calibrate --workdir=runs/demo --objective=f1`.

Training already fits a temperature and a threshold for each attribute on the validation split and stores them in the
model file. This command fits them anew and replaces them: in model files without them, for another objective, or on
other images. Weights and accuracy at 50 % stay as they are. Exports of the model must be made again.
"""

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.data.sources.table import SETTINGS
from farkeras.decisions import OBJECTIVES
from farkeras.errors import FarkerasError
from farkeras.native_logs import without_native_logs


def define(flags: Flags) -> None:
    flags.path("workdir", "Workdir of a run.")
    flags.path("model", "A .keras file, in place of --workdir.")
    flags.choice("objective", OBJECTIVES[0], OBJECTIVES, "What the threshold of each attribute is chosen for.")
    flags.number(
        "precision",
        0.9,
        "Precision that the positive answers of each attribute reach on these images, above 0 and below 1; only for "
        "--objective=precision.",
    )
    flags.choice(
        "split",
        "validation",
        ("validation", "test"),
        "Split to fit on. An evaluation must then use another split.",
    )
    flags.integer("batch_size", 64, "Images per batch, over all GPUs.", 1)
    flags.text("source", "", "Kind of data set. Empty: the one of the training.")
    flags.path("data_dir", "Folder or table of the data set. Empty: the one of the training.")
    flags.settings(SETTINGS)  # how to read a table; the default is that of the training


def main(options: Flags) -> None:
    """Fits and stores the calibration, and prints what it does to the cross-entropy and where it was not possible."""
    if bool(options.workdir) == bool(options.model):
        raise FarkerasError("Give either --workdir=FOLDER or --model=FILE.keras.")
    with without_native_logs():  # imports TensorFlow, after the check of the flags
        from farkeras.training.calibration import calibrate_run

    console = make_console()
    with ProgressDisplay(console, "Unpacking", "files") as unpacking:
        found = calibrate_run(
            options.workdir or options.model,
            options.objective,
            options.precision,
            options.split,
            options.batch_size,
            options.source,
            options.data_dir,
            unpacking,
            options.given(SETTINGS),
        )
    values, places = found.temperatures.values(), found.thresholds.values()
    console.print(
        f"Temperatures: {min(values):.2f} to {max(values):.2f}, scope {found.scope}; cross-entropy in cross-validation "
        f"{found.losses['none']:.4f} without, {found.losses[found.scope]:.4f} with them."
    )
    console.print(f"Thresholds for {found.objective}: {min(places):.1%} to {max(places):.1%}.")
    for name, notes in found.notes.items():
        console.print(f"  {name}: {'; '.join(notes)}.", markup=False)
    console.print(f"Stored in {options.workdir or options.model}. Export the model again to use them there.")


if __name__ == "__main__":
    run_command(define, main)
