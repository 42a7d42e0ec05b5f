"""Packs a data set for disks where many small files are slow: `python -m farkeras.pack --data_dir=DIR --output=PACKED`.

Then train with `--source=packed --data_dir=PACKED` in place of the data set's own: the numbers are the same, bit for
bit. The folder is complete by itself, so it may be copied to a training machine: the images' bytes in files of 1000,
labels, splits, and the key points of `python -m farkeras.annotate` where there are some. So check and annotate first,
then pack; or pack again later, which copies the key points and leaves the images alone.

It helps where opening a file is slow, as on network disks. Files that lie in memory after the first epoch are read no
slower than a packed folder: compare with `python -m farkeras.throughput` on both.

Start the same command again after an interruption: it continues. Until it is done, the folder is not taken for a data
set.
"""

import shlex

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.data.sources.opening import open_source
from farkeras.native_logs import silence_native_logs


def define(flags: Flags) -> None:
    flags.path("output", "Folder to write.", required=True)
    flags.settings()  # all of a run's, so that its flagfile serves here, too


def main(options: Flags) -> None:
    """Packs what is left to do, then says how much and how fast."""
    config = options.config()
    console = make_console()
    with ProgressDisplay(console, "Unpacking", "files") as unpacking:
        source = open_source(config.source, config.data_dir, unpacking, config.to_dict())
    silence_native_logs()
    from farkeras.data.packing import pack_data_set  # TensorFlow

    with ProgressDisplay(console) as display:
        result = pack_data_set(source, config.data_dir, options.output, display, config.keypoints_dir)
    console.print(
        f"{options.output}: {result.num_images:,} images in {result.num_files} "
        f"file{'' if result.num_files == 1 else 's'} ({result.num_bytes / 1e6:,.1f} MB), {display.rate}.",
    )
    console.print("With key points." if result.keypoints else "Without key points: the data set has none.")
    console.print(f"Train with --source=packed --data_dir={shlex.quote(options.output)}")


if __name__ == "__main__":
    run_command(define, main)
