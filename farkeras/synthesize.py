"""Draws faces with known attributes: `python -m farkeras.synthesize --num_images=6000 --output=DIR`.

The faces are procedural drawings, not photographs. They have CelebA's layout, frame and frequencies, so that every part
of this package can be tried without CelebA; a result on them says nothing about CelebA. With `--layout=lfwa` they have
LFWA's layout: 250 x 250 pixels, several images of a person, MATLAB's lists.
"""

import time

from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.synthetic.generate import LAYOUTS, FaceSettings, draw_faces
from farkeras.synthetic.sheet import check_contact_sheet, write_contact_sheet


def define(flags: Flags) -> None:
    flags.choice("layout", "celeba", list(LAYOUTS), "Data set whose files to write.")
    flags.integer("num_images", 6000, "Number of faces to draw.")
    flags.integer("seed", 0, "The same seed gives the same bytes.")
    flags.path("output", "Folder to write.", required=True)
    flags.number("label_noise", 0.0, "Probability that a label is flipped, in the file only.")
    flags.worker_count("Processes that draw", "num_workers")
    flags.path("contact_sheet", "PNG file to write, with sample faces and a pair for every attribute.")


def main(options: Flags) -> None:
    """Writes the faces, then says how many and how fast."""
    settings = FaceSettings(options.num_images, options.seed, options.layout, options.label_noise)
    if options.contact_sheet:
        check_contact_sheet(options.contact_sheet)  # before minutes of drawing
    start = time.perf_counter()
    if draw_faces(settings, options.output, options.num_workers):
        seconds = time.perf_counter() - start
        print(
            f"{options.output}: {settings.num_images} drawn faces in {seconds:.1f} s, "
            f"{settings.num_images / seconds:.0f} images/s"
        )
    else:
        print(f"{options.output}: these {settings.num_images} faces are there already")
    if options.contact_sheet:
        write_contact_sheet(options.contact_sheet, options.output, options.layout)
        print(f"{options.contact_sheet}: contact sheet")


if __name__ == "__main__":
    run_command(define, main)
