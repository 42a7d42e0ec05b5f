"""Measures the exports of a run in every runtime: `python -m farkeras.benchmark --workdir=runs/demo`.

The command prints the duration of a call with one image, the images per second, the size of the file, the peak memory,
and the largest difference of a probability from the Keras model.
"""

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.native_logs import silence_native_logs


def define(flags: Flags) -> None:
    flags.path("workdir", "Workdir of a training run, or a .keras file.", required=True)
    flags.path("output", "Folder of the exports. Empty: WORKDIR/export.")
    flags.integer("images", 64, "Number of test images.", 1)
    flags.integer("rounds", 4, "Number of times that each runtime processes each image.", 1)
    flags.texts("threads", ["1", "2"], "Numbers of processor threads; each runtime is measured with each number.")
    flags.text("source", "", "Kind of data set of these images. Empty: the one of the training.")
    flags.path("data_dir", "Folder or table of these images. Empty: the one of the training.")
    flags.boolean("bare_backbone", False, "Measure also the backbone with pooling and one linear layer.")


def main(options: Flags) -> None:
    threads = options.integers("threads", 1)
    silence_native_logs()
    from farkeras.exporters.benchmark import BARE_BACKBONE, measure_exports
    from farkeras.exporters.reference import ParityImages
    from farkeras.exporters.run import export_folder

    rows = measure_exports(
        options.workdir,
        options.output or export_folder(options.workdir),
        ParityImages(options.images, options.source, options.data_dir),
        threads,
        options.rounds,
        options.bare_backbone,
    )
    headings = ("Threads", "p50 ms", "p99 ms", "1/s", "MB", "Peak MB", "Difference")
    columns = (Column(heading, justify="right", no_wrap=True) for heading in headings)
    table = Table(Column("Runtime", no_wrap=True), *columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        times = (f"{1e3 * row.p50:.2f}", f"{1e3 * row.p99:.2f}", f"{row.images_per_second:.0f}")
        sizes = (f"{row.size / 1e6:.2f}", f"{row.memory / 1e6:.0f}")
        difference = "" if row.difference is None else f"{row.difference:.1e}"
        table.add_row(row.name, str(row.threads), *times, *sizes, difference)
    console = make_console()
    console.print(f"One image per call; {options.images} images, {options.rounds} rounds; the runtimes take turns.")
    console.print(table)
    p50 = {(row.variant, row.threads): row.p50 for row in rows if row.runtime == "LiteRT"}
    for (variant, number), bare in p50.items():
        if variant == BARE_BACKBONE and ("float32", number) in p50:
            ratio = p50["float32", number] / bare
            console.print(f"LiteRT float32, {number} thread(s): {ratio:.2f} times the {BARE_BACKBONE}'s p50.")


if __name__ == "__main__":
    run_command(define, main)
