"""Lists the presets: `python -m farkeras.presets`.

A preset is a model by name: `farkeras.models.FARAMTN.from_preset("far_amtn_resnet50")` builds one, and its flagfile
is the recipe that trains it. Parameters and multiply-adds are those for CelebA's 40 attributes and one image.
"""

from rich.table import Column, Table

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.native_logs import without_native_logs


def define(flags: Flags) -> None:
    pass


def main(options: Flags) -> None:
    """Prints the table."""
    with without_native_logs():
        from farkeras.models.presets import PRESETS

    numbers = (Column(name, justify="right") for name in ("input", "parameters", "M mult-adds"))
    table = Table("preset", *numbers, "flagfile", box=None, pad_edge=False, padding=(0, 1, 0, 0))  # 80 columns
    for preset in PRESETS:
        size = "x".join(map(str, preset.config.image_size))
        table.add_row(preset.name, size, f"{preset.parameters:,}", f"{preset.multiply_adds:,}", preset.flagfile)
    make_console(soft_wrap=False).print(table)


if __name__ == "__main__":
    run_command(define, main)
