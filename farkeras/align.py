"""Cuts crops aligned like CelebA's out of photographs: `python -m farkeras.align PHOTO_OR_FOLDER... --output=DIR`.

The command finds the largest face of each photograph, turns it upright and writes it as a JPEG of 178 x 218 pixels, the
frame that models are trained on. With `--all_faces`, it writes every face, numbered from the largest on. It searches
folders with their subfolders, keeps the subfolders in the output, and names files that are not photographs on stderr.
`DIR/crops.csv` lists the photograph, the number of the face and the eye positions of each crop. A photograph that is
unreadable or has no face gives one line on stderr and exit code 1; all other photographs are still processed.

The speed was 45 to 66 procedural faces per second on 2 cores that were shared with much other work:

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
    flags.path("output", "Folder of the crops; existing crops are replaced.", required=True)
    flags.boolean("all_faces", False, "Write every face of a photo, not only the largest.")
    flags.worker_count("Number of processes that align photos")


def main(options: Flags) -> int:
    """Aligns the photographs of the command line; returns 1 if one of them has no crop."""
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
