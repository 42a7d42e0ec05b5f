"""Cuts CelebA's aligned crops out of photographs: `python -m farkeras.align PHOTO_OR_FOLDER... --output=DIR`.

The largest face of each photograph is found, turned upright and written as a JPEG of 178 x 218 pixels, the frame in
which models are trained; `--all_faces` takes every face and numbers them, the largest first. Folders are searched with
their sub-folders, which the output keeps; a line on stderr says what in them is no photograph. `DIR/crops.csv` says of
each crop which photograph, which face and where its eyes are. A photograph that cannot be read or has no face costs one
line on stderr and exit code 1; the others are done all the same.

On 2 cores shared with much other work this did 45 to 66 drawn faces a second:

    python -m farkeras.synthesize --num_images=999 --seed=0 --output=FACES
    python -m farkeras.align FACES/img_align_celeba --output=DIR --workers=2
"""

import sys

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.native_logs import silence_native_logs
from farkeras.photos.crops import CROPS_FILE, align_photos, find_targets


def define(flags: Flags) -> None:
    usage = "python -m farkeras.align PHOTO_OR_FOLDER... --output=DIR"
    flags.accept_arguments("PHOTO_OR_FOLDER...", f"No photo given: {usage}.")
    flags.path("output", "Folder of the crops; crops that are there are replaced.", required=True)
    flags.boolean("all_faces", False, "Take every face of a photo, not the largest alone.")
    flags.worker_count("Processes that align")


def main(options: Flags) -> int:
    """Aligns the photographs named on the command line; 1 when one of them has no crop."""
    targets, errors = find_targets(options.arguments, options.output)
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if not targets:
        return 1
    silence_native_logs()
    with ProgressDisplay(make_console(), "", "photos") as display:
        crops, failed = align_photos(targets, options.output, options.workers, options.all_faces, display)
    for error in failed:
        print(f"error: {error}", file=sys.stderr)
    used = len(targets) - len(failed)
    rate = f", {display.new / display.seconds:.0f} photos/s" if display.seconds else ""
    print(f"{options.output}: {len(crops):,} crops of {used:,} of {len(targets):,} photos{rate}; see {CROPS_FILE}")
    return 1 if errors or failed else 0


if __name__ == "__main__":
    run_command(define, main)
