"""Flags of the commands in export/, and the table that compares an export with its Keras model."""

from typing import Any

from rich.console import Console
from rich.table import Column, Table

from farkeras.cli.console import make_console
from farkeras.cli.flags import CALIBRATE_HELP, Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.data.sources.table import SETTINGS
from farkeras.decisions import CALIBRATE
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs
from farkeras.photos.alignment import CROP_HEIGHT, CROP_WIDTH
from farkeras.report.summary import PROCEDURAL, percent


def define(flags: Flags) -> None:
    """Defines the flags that all export commands have."""
    flags.path("workdir", "Workdir of a training run, or a .keras file.", required=True)
    flags.path("output", "Folder to write. Empty: a folder in WORKDIR/export.")
    flags.integer(
        "parity_images",
        512,
        "Number of test images on which the export is compared with the Keras model; 0: no comparison.",
        0,
    )
    flags.text("source", "", "Kind of data set of these images. Empty: the one of the training.")
    flags.path("data_dir", "Folder or table of these images. Empty: the one of the training.")
    flags.settings(SETTINGS)  # how to read a table; the default is that of the training
    flags.choice("calibrate", "auto", CALIBRATE, CALIBRATE_HELP)


def define_input_size(flags: Flags) -> None:
    """Defines the flag of the formats with a fixed image size."""
    size = [str(CROP_HEIGHT), str(CROP_WIDTH)]
    flags.texts("input_size", size, "Height,width of the aligned crops in pixels.")


def define_calibration_images(flags: Flags) -> None:
    """Defines the flag of the formats with int8."""
    flags.integer("calibration_images", 100, "Largest number of training images that decide the ranges of int8.", 1)


def input_size(options: Flags) -> tuple[int, int]:
    """Returns the value of `--input_size`: height and width in pixels, each at least 1."""
    sides = options.integers("input_size", 1)
    if len(sides) != 2:
        raise FarkerasError(f"--input_size must be height,width in pixels. Received: {','.join(options.input_size)}.")
    return sides[0], sides[1]


def run_exports(title: str, name: str, options: Flags, **arguments: Any) -> None:
    """Exports a model and prints a table that compares the export with the Keras model.

    The table is also printed when the export fails the comparison.

    Args:
        title: Display name of the format.
        name: Name of the format in `farkeras.exporters.run.export_each`.
        options: The flags of the command.
        **arguments: Options of the format.
    """
    silence_native_logs()
    import tensorflow as tf

    from farkeras.exporters.parity import ParityError
    from farkeras.exporters.reference import ParityImages
    from farkeras.exporters.run import export_each

    tf.get_logger().setLevel("ERROR")  # hides the warning that `Session` is deprecated; TF Serving uses it
    console = make_console()
    paths, reports = [], []
    with ProgressDisplay(console, "Unpacking", "files") as unpacking:
        images = ParityImages(
            options.parity_images, options.source, options.data_dir, options.given(SETTINGS), unpacking
        )
        try:
            for path, report in export_each(
                options.workdir, name, options.output, images, options.calibrate, **arguments
            ):
                paths.append(path)
                reports += [report] if report else []
        except ParityError as error:
            reports.append(error.report)
            raise
        finally:
            if reports:
                runtimes = {name: row for report in reports for name, row in report["runtimes"].items()}
                _show(console, reports[0] | {"runtimes": runtimes})
            elif paths:
                console.print("The export was not compared with the Keras model (--parity_images=0).")
            for path in paths:
                console.print(f"{title}: {path}")


def _show(console: Console, report: dict) -> None:
    data = report["data"]
    console.print(
        f"{data['images']:,} images of the test split of {data['data_dir']}; equal answers and accuracy in percent",
    )
    headings = ("Largest difference", "Mean", "Equal answers", "Accuracy", "Balanced")
    table = Table(Column("Runtime", no_wrap=True), *(Column(heading, justify="right") for heading in headings))
    table.add_row("Keras", "", "", "", *_accuracies(report["keras"]))
    for name, row in report["runtimes"].items():
        differences = (f"{row[key]:.1e}" for key in ("max_difference", "mean_difference"))
        table.add_row(name, *differences, percent(row["equal_decisions"]), *_accuracies(row))
    console.print(table)
    if data["procedural"]:
        console.print(f"{PROCEDURAL}.", style="bold yellow")


def _accuracies(row: dict) -> tuple[str, str]:
    return percent(row["mean_accuracy"]), percent(row["mean_balanced_accuracy"])
