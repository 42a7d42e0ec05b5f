"""Times a run's exports in every runtime: python export/benchmark.py --workdir=runs/demo"""

from absl import flags
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from farkeras.cli import exports as export_command
from farkeras.cli import run as main
from farkeras.errors import FarkerasError
from farkeras.native_logs import silence_native_logs

flags.DEFINE_string("workdir", None, "Workdir of a training run, or a .keras file.", required=True)
flags.DEFINE_string("output", "", "Folder of the exports; by default <workdir>/export.")
IMAGES = flags.DEFINE_integer("images", 64, "Test images.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 4, "Times that each runtime is shown each image.", lower_bound=1)
THREADS = flags.DEFINE_list("threads", ["1", "2"], "Processor threads; each runtime is measured with each number.")
SOURCE = flags.DEFINE_string("source", "", "Kind of data set of the images; by default the one trained on.")
DATA_DIR = flags.DEFINE_string("data_dir", "", "Its folder, or the table; by default the one trained on.")
BARE = flags.DEFINE_bool("bare_backbone", False, "Also the backbone with one linear layer in place of all else.")


def measure(argv: list[str]) -> None:
    if not all(number.isdecimal() and int(number) for number in THREADS.value):
        raise FarkerasError(f"--threads must be whole numbers above 0. Received: {','.join(THREADS.value)}.")
    silence_native_logs()
    from farkeras.exporters.benchmark import BARE_BACKBONE, benchmark
    from farkeras.exporters.reference import ParityImages

    rows = benchmark(
        flags.FLAGS.workdir,
        export_command.output_folder(flags.FLAGS, ""),
        ParityImages(IMAGES.value, SOURCE.value, DATA_DIR.value),
        [int(number) for number in THREADS.value],
        ROUNDS.value,
        BARE.value,
    )
    headings = ("Threads", "p50 ms", "p99 ms", "1/s", "MB", "Peak MB", "Difference")
    columns = (Column(heading, justify="right", no_wrap=True) for heading in headings)
    table = Table(Column("Runtime", no_wrap=True), *columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        times = (f"{1e3 * row.p50:.2f}", f"{1e3 * row.p99:.2f}", f"{row.images_per_second:.0f}")
        sizes = (f"{row.size / 1e6:.2f}", f"{row.memory / 1e6:.0f}")
        difference = "" if row.difference is None else f"{row.difference:.1e}"
        table.add_row(row.name, str(row.threads), *times, *sizes, difference)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"One image at a time; {IMAGES.value} images, {ROUNDS.value} rounds, in turns.")
    console.print(table)
    p50 = {(row.variant, row.threads): row.p50 for row in rows if row.runtime == "LiteRT"}
    for (variant, threads), bare in p50.items():
        if variant == BARE_BACKBONE and ("float32", threads) in p50:
            ratio = p50["float32", threads] / bare
            console.print(f"LiteRT float32, {threads} thread(s): {ratio:.2f} times the {BARE_BACKBONE}'s p50.")


if __name__ == "__main__":
    main.run(measure)
