"""Draws faces with known attributes: `python -m farkeras.synthesize --num_images=6000 --output=DIR`.

The faces are procedural drawings, not photographs. They have CelebA's layout, frame and frequencies, so that every part
of this package can be tried without CelebA; a result on them says nothing about CelebA. With `--layout=lfwa` they have
LFWA's layout: 250 x 250 pixels, several images of a person, MATLAB's lists.
"""

import os
import time

from absl import flags

from farkeras.cli import run as entry
from farkeras.synthetic.generate import LAYOUTS, Settings, generate
from farkeras.synthetic.sheet import check_contact_sheet, write_contact_sheet

_LAYOUT = flags.DEFINE_enum("layout", "celeba", list(LAYOUTS), "Which data set's files to write.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 6000, "How many faces to draw.")
_SEED = flags.DEFINE_integer("seed", 0, "The same seed gives the same bytes.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder to make.", required=True)
_LABEL_NOISE = flags.DEFINE_float(
    "label_noise", 0.0, "The probability with which each label is flipped, in the file only."
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", os.cpu_count(), "Processes that draw; without influence on the result."
)
_CONTACT_SHEET = flags.DEFINE_string(
    "contact_sheet", None, "Also write a PNG with sample faces and a pair for every attribute."
)


def main(argv: list[str]) -> None:
    """Writes the faces, then says how many and how fast."""
    del argv
    settings = Settings(_NUM_IMAGES.value, _SEED.value, _LAYOUT.value, _LABEL_NOISE.value)
    if _CONTACT_SHEET.value:
        check_contact_sheet(_CONTACT_SHEET.value)  # before minutes of drawing
    start = time.perf_counter()
    if generate(settings, _OUTPUT.value, _NUM_WORKERS.value):
        seconds = time.perf_counter() - start
        print(
            f"{_OUTPUT.value}: {settings.num_images} drawn faces in {seconds:.1f} s, "
            f"{settings.num_images / seconds:.0f} images/s"
        )
    else:
        print(f"{_OUTPUT.value}: these {settings.num_images} faces are there already")
    if _CONTACT_SHEET.value:
        write_contact_sheet(_CONTACT_SHEET.value, _OUTPUT.value, _LAYOUT.value)
        print(f"{_CONTACT_SHEET.value}: contact sheet")


if __name__ == "__main__":
    entry.run(main)
