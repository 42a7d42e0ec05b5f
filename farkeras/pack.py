"""Packs a data set for disks that are slow with small files: `python -m farkeras.pack --data_dir=DIR --output=PACKED`.

Then train with `--source=packed --data_dir=PACKED` instead of the original data set. The results are the same, bit for
bit. The folder is complete, so you can copy it to a training machine: it holds the bytes of the images in files of 1000
images, the labels, the splits, and the keypoints of `python -m farkeras.annotate` if there are any. So check and
annotate first, then pack. You can also pack again later, which copies the keypoints and does not rewrite the images.

Packing helps where opening a file is slow, as on network disks. If the files stay in memory after the first epoch, they
are read as fast as a packed folder. Compare both with `python -m farkeras.throughput`.

After an interruption, run the same command again: it continues. Until packing is complete, the folder is not accepted
as a data set.
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
    flags.settings()  # all settings of a run, so that its flagfile also works here


def main(options: Flags) -> None:
    """Packs the remaining images, then prints the totals and the speed."""
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
    console.print("The keypoints were copied." if result.keypoints else "The data set has no keypoints to copy.")
    console.print(f"Train with --source=packed --data_dir={shlex.quote(options.output)}")


if __name__ == "__main__":
    run_command(define, main)
