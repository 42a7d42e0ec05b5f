"""How fast the input pipeline of a recipe is: `python -m farkeras.throughput --flagfile=configs/demo.flags`.

Prints images a second and processor time an image of a loop that only reads and decodes, of the pipeline with nothing
random, with each random change alone, and with all of them, and, where the data have key points (`python -m
farkeras.annotate`), with those and with the masks drawn from them, which training does on its device; each beside the
bare loop's, measured in turn. On a machine that others use too, go by the processor time.
"""

import numpy as np
from absl import flags
from rich.console import Console
from rich.table import Table

from farkeras import flagfiles as settings
from farkeras.cli import run as entry
from farkeras.errors import FarkerasError
from farkeras.native_logs import without_native_logs

_NUM_IMAGES = flags.DEFINE_integer("num_images", 4000, "Images to a round.", lower_bound=1000)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds; the medians are shown.", lower_bound=1)
settings.define()
flags.adopt_module_key_flags(settings)  # --help shows them


def main(argv: list[str]) -> None:
    """Measures, then prints the table."""
    if argv[1:]:
        raise FarkerasError(f"Unexpected argument '{argv[1]}'; settings are given as --name=value.")
    config = settings.config_from_flags()
    with without_native_logs():
        from farkeras.data.keypoints import load_keypoints, store_of
        from farkeras.data.throughput import BARE, measure_throughput
        from farkeras.training.loop import open_data

    data = open_data(config)
    keypoints = None
    if store_of(config.data_dir).is_dir():
        keypoints = load_keypoints(config.data_dir, data.train.paths, config.source)
    mask_size = tuple(-(-side // config.mask_stride) for side in config.image_size)
    rates = measure_throughput(
        data.train, data.preprocessing, data.augmentation, keypoints, mask_size, _NUM_IMAGES.value, _ROUNDS.value
    )
    height, width = config.image_size
    table = Table(title=f"{config.data_dir}, {height} x {width}: medians of {_ROUNDS.value} rounds")
    table.add_column("pipeline")
    for name in ("images/s", "of the bare loop", "CPU ms", "bare CPU of it"):
        table.add_column(name, justify="right")
    for name, values in rates.items():
        speed, cpu = np.median(values, axis=0)
        ratio, cpu_ratio = np.median(np.divide(values, rates[BARE]), axis=0)
        table.add_row(name, f"{speed:,.0f}", f"{ratio:.2f}", f"{cpu:.2f}", f"{1 / cpu_ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    entry.run(main)
