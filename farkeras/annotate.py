"""Finds the keypoints of a data set's images: `python -m farkeras.annotate --data_dir=DIR`.

MGMTN learns its masks from the keypoints. MediaPipe's Face Landmarker runs on this machine over every image of all
three splits and stores the points in `DIR/keypoints`. After an interruption, run the same command again: it continues.
`DIR/keypoints/without_points.txt` lists the undecodable images and the images in which no face was found; an image
without a face trains the attributes but not the masks. The images must be crops of faces: the eyes are at least about a
tenth of the image's longer side apart. `--overlay=FILE.png` draws the masks of the first faces, so that you can check
them before training.

On 2 cores, the command annotated 148 to 172 procedural faces per second, so CelebA's 202,599 images take 0.3 to 0.4
hours:

    python -m farkeras.synthesize --num_images=6000 --seed=0 --output=DIR
    python -m farkeras.annotate --data_dir=DIR --workers=2
"""

from itertools import chain, islice

import numpy as np

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.config import Config
from farkeras.data.examples import Examples
from farkeras.data.keypoints import annotate_images, decode_image, decode_points, load_keypoints
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.source import filled_splits
from farkeras.native_logs import silence_native_logs

_SHOWN_FACES = 12


def define(flags: Flags) -> None:
    flags.worker_count("Processes that annotate")
    flags.path("overlay", "PNG file to write: the first faces with the masks drawn from their keypoints.")
    flags.settings()  # all settings of a run, so that its flagfile also works here


def main(options: Flags) -> None:
    """Annotates the remaining images, then prints the totals, the speed, and the images without points."""
    if options.overlay:
        from farkeras.report.overlay import check_png  # Matplotlib

        check_png(options.overlay)
    config = options.config()
    console = make_console()
    with ProgressDisplay(console, "Unpacking", "files") as unpacking:
        source = open_source(config.source, config.data_dir, unpacking, config.to_dict())
    splits = list(filled_splits(source).values())
    silence_native_logs()
    with ProgressDisplay(console) as display:  # starts when the processes are ready
        result = annotate_images(config.data_dir, splits, options.workers, display, config.keypoints_dir)
    console.print(f"{config.data_dir}: {result.num_images:,} images annotated, {display.rate}.")
    for what, names in (("without a face", result.without_face), ("undecodable", result.undecodable)):
        first = [*names[:3], "..."][: len(names)]
        console.print(f"{len(names):,} {what}{': ' if names else ''}{', '.join(first)}")
    if result.without_face or result.undecodable:
        console.print(f"All of them are listed in {result.listing}")
    if options.overlay:
        _write_overlay(options.overlay, config, splits)
        console.print(f"{options.overlay}: the first faces with their masks")


def _write_overlay(path: str, config: Config, splits: list[Examples]) -> None:
    """Draws the masks of the first faces that were found."""
    from keras import ops

    from farkeras.data.masks import region_masks
    from farkeras.report.overlay import write_strip  # Matplotlib

    first = 2 * _SHOWN_FACES
    images = list(islice(chain.from_iterable(examples.stored() for examples in splits), first))
    paths = np.concatenate([examples.paths[:first] for examples in splits])[:first]
    keypoints = load_keypoints(config.data_dir, paths, config.source, config.keypoints_dir)
    rows = np.flatnonzero(keypoints.found)[:_SHOWN_FACES]
    faces = [image for row in rows if (image := decode_image(images[row])) is not None]
    masks = [region_masks(decode_points(keypoints.points[row]), faces[0].shape[:2]) for row in rows]
    write_strip(path, faces, [ops.convert_to_numpy(mask) for mask in masks])


if __name__ == "__main__":
    run_command(define, main)
