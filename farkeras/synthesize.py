"""Draws procedural faces with known attributes: `python -m farkeras.synthesize --num_images=6000 --output=DIR`.

The data set has CelebA's files, frame and attribute frequencies, so that you can try every part of farkeras without
CelebA. Results on procedural faces say nothing about CelebA. With `--layout=lfwa` the data set has LFWA's files: images
of 250 x 250 pixels, several images per person, and lists in MATLAB format.

`--style=held_out` renders the same faces with other light, colours, surfaces, outlines, backgrounds and cameras. The
score that a model of the standard style loses on them measures how much of what it learned belongs to the drawing.

`--world=linked` hides three attributes in half of the faces each, and links them to attributes of other regions of the
face: Pointy_Nose to Wavy_Hair, Arched_Eyebrows to Big_Lips, and Wearing_Earrings to Bags_Under_Eyes. A model whose
groups inform each other scores higher on the three than one whose groups do not.
"""

import time

from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.synthetic.drawing import STYLES
from farkeras.synthetic.frequencies import WORLDS
from farkeras.synthetic.generate import LAYOUTS, PARTS, FaceSettings, draw_faces
from farkeras.synthetic.sheet import check_contact_sheet, write_contact_sheet


def define(flags: Flags) -> None:
    flags.choice("layout", "celeba", list(LAYOUTS), "Data set whose file layout is written.")
    flags.integer("num_images", 6000, "Number of faces to draw.")
    flags.integer("seed", 0, "Seed of the faces; the same seed gives the same bytes.")
    flags.choice("style", "standard", list(STYLES), "How the faces are rendered; labels and landmarks are the same.")
    flags.choice("world", "standard", list(WORLDS), "How the attributes of a face depend on one another.")
    flags.choice("part", "all", list(PARTS), "Faces that are drawn: all, or only those of the set's test split.")
    flags.path("output", "Folder to write.", required=True)
    flags.number(
        "label_noise",
        0.0,
        "Probability, 0 to 0.5, that a label in the file is wrong; the face stays the same. 0: no noise.",
    )
    flags.worker_count("Number of processes that draw faces", "num_workers")
    flags.path(
        "contact_sheet", "PNG file to write, with sample faces and a pair of faces for every attribute. Empty: none."
    )


def main(options: Flags) -> None:
    """Writes the faces and prints their number and the speed."""
    settings = FaceSettings(
        options.num_images,
        options.seed,
        options.layout,
        options.label_noise,
        options.style,
        options.world,
        options.part,
    )
    faces = f"{'the test split of ' if options.part == 'test' else ''}{settings.num_images} procedural faces"
    if options.contact_sheet:
        check_contact_sheet(options.contact_sheet)  # before the drawing, which takes minutes
    start = time.perf_counter()
    if draw_faces(settings, options.output, options.num_workers):
        print(f"{options.output}: {faces} in {time.perf_counter() - start:.1f} s")
    else:
        print(f"{options.output}: {faces} already exist")
    if options.contact_sheet:
        write_contact_sheet(options.contact_sheet, options.output, options.layout, style=options.style)
        print(f"{options.contact_sheet}: contact sheet")


if __name__ == "__main__":
    run_command(define, main)
