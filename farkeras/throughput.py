"""Measures the input pipeline of a recipe: `python -m farkeras.throughput --flagfile=configs/demo.flags`.

The command prints images per second and processor time per image for a bare loop that only reads and decodes, and for
the pipeline without random changes, with each random change alone, and with all of them. Training rotates and colours
images on its device; if the recipe has such changes, a row shows the pipeline that makes them on the CPU, as for `fit`.
If the data set has keypoints (`python -m farkeras.annotate`), the command adds the pipeline with keypoints and with the
masks drawn from them; training draws the masks on its device. Each row is also compared with the bare loop, which is
measured in turn with the others. On a shared machine, rely on the processor time.
"""

from dataclasses import replace

import numpy as np
from rich.table import Column, Table

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.native_logs import without_native_logs


def define(flags: Flags) -> None:
    flags.integer("num_images", 4000, "Images per round.", 1000)
    flags.integer("rounds", 5, "Number of rounds. The table shows medians.", 1)
    flags.settings()


def main(options: Flags) -> None:
    """Measures the pipelines and prints the table."""
    config = options.config()
    with without_native_logs():
        from farkeras.data.keypoints import load_keypoints, store_of
        from farkeras.data.throughput import BARE, measure_throughput
        from farkeras.models.model_file import check_keras
        from farkeras.training.building import open_data

    check_keras()
    data = open_data(replace(config, cache_images=False))  # reading and decoding are what it measures
    keypoints = None
    if store_of(config.data_dir, config.keypoints_dir).is_dir():
        keypoints = load_keypoints(config.data_dir, data.train.paths, config.source, config.keypoints_dir)
    height, width = config.image_size
    mask_size = -(-height // config.mask_stride), -(-width // config.mask_stride)
    rates = measure_throughput(
        data.train, data.preprocessing, data.augmentation, keypoints, mask_size, options.num_images, options.rounds
    )
    names = ("images/s", "relative to bare", "CPU ms", "bare CPU share")
    title = f"{config.data_dir}, {height} x {width}: medians of {options.rounds} rounds"
    table = Table("pipeline", *(Column(name, justify="right") for name in names), title=title)
    for name, values in rates.items():
        speed, cpu = np.median(values, axis=0)
        ratio, cpu_ratio = np.median(np.divide(values, rates[BARE]), axis=0)
        table.add_row(name, f"{speed:,.0f}", f"{ratio:.2f}", f"{cpu:.2f}", f"{1 / cpu_ratio:.2f}")
    make_console(soft_wrap=False).print(table)


if __name__ == "__main__":
    run_command(define, main)
