"""Draws a set of faces in several processes, into a folder that appears complete or not at all."""

import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from farkeras.data.procedural import SETTINGS_FILE
from farkeras.data.subgroups import SUBGROUP_FILE
from farkeras.errors import FarkerasError
from farkeras.files import as_path, write_text, writing, written_aside
from farkeras.synthetic import celeba, lfwa
from farkeras.synthetic.drawing import check_style
from farkeras.synthetic.frequencies import check_world
from farkeras.synthetic.palette import tone_class

LAYOUTS = {"celeba": celeba, "lfwa": lfwa}
"""Data set -> the module that writes its file format.

It has `portraits`, `test_split`, `file_name`, `sample_face`, `write_face` and `write_lists`.
"""

PARTS = ("all", "test")
"""Which faces of a set are drawn: all of them, or those of the test split."""

# Increased whenever the same settings give different pixels, so that an older set is not mistaken for a new one.
_DRAWING = 3


@dataclass(frozen=True)
class FaceSettings:
    """Settings that determine every byte of a set of faces.

    Attributes:
        num_images: Number of images in the whole set, 1 to 999,999.
        seed: Seed of the set, at least 0.
        layout: Data set whose file format is written, a key of `LAYOUTS`: "celeba" or "lfwa".
        label_noise: Probability with which each label is flipped, 0 to 0.5; images are not changed.
        style: How the faces are rendered, "standard" or "held_out". Both have the same labels, geometry and landmarks.
        world: "standard", or "linked": half of the faces do not show three of their attributes, and an attribute of
            another region of the face tells about each of these (`farkeras.synthetic.frequencies.LINKS`).
        part: "all", or "test" for the faces of the test split only, byte for byte as in the whole set.
        drawing: Version of the generator. Do not set it.

    Raises:
        FarkerasError: A value is out of its range.
    """

    num_images: int
    seed: int = 0
    layout: str = "celeba"
    label_noise: float = 0.0
    style: str = "standard"
    world: str = "standard"
    part: str = "all"
    drawing: int = _DRAWING

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise FarkerasError(f"`layout` must be one of {', '.join(LAYOUTS)}. Received: '{self.layout}'.")
        if not 1 <= self.num_images <= 999_999:
            raise FarkerasError(
                f"`num_images` must be between 1 and 999999: file names have six digits. Received: {self.num_images}."
            )
        if self.seed < 0:
            raise FarkerasError(f"`seed` must be at least 0. Received: {self.seed}.")
        if not 0 <= self.label_noise <= 0.5:
            raise FarkerasError(
                "`label_noise` must be a probability between 0 (true labels) and 0.5 (labels without information). "
                f"Received: {self.label_noise}."
            )
        check_style(self.style)
        check_world(self.world)
        if self.part not in PARTS:
            raise FarkerasError(f"`part` must be one of {', '.join(PARTS)}. Received: '{self.part}'.")

    def stored(self) -> dict[str, object]:
        """Returns the content of `synthesize.json`; as in older sets, it does not name "standard" and "all"."""
        unnamed = {"style": "standard", "world": "standard", "part": "all"}
        return {name: value for name, value in asdict(self).items() if unnamed.get(name) != value}


def draw_faces(settings: FaceSettings, output: str | Path, num_workers: int = 1) -> bool:
    """Draws a set of procedural faces into a folder, in a data set's file format.

    The folder also gets the settings, in `synthesize.json`.

    Args:
        settings: The faces to draw; the same settings give the same bytes for any `num_workers`.
        output: Folder to create. It appears once it is complete.
        num_workers: Number of processes that draw.

    Returns:
        True if the faces were drawn, False if `output` already holds this set.

    Raises:
        FarkerasError: The part has no faces, `num_workers` is less than 1, or `output` holds other files or cannot be
            written.
    """
    if num_workers < 1:
        raise FarkerasError(f"`num_workers` must be at least 1. Received: {num_workers}.")
    output = as_path(output)
    layout = LAYOUTS[settings.layout]
    portraits = layout.portraits(settings.seed, settings.num_images)
    if settings.part == "test":
        portraits = layout.test_split(portraits)
    if not portraits:
        raise FarkerasError(
            f"A set of {settings.num_images} faces has no test split; increase `num_images` to 3 or more."
        )
    with writing(output, instead="output"):
        if _holds(output, settings):
            if not (output / SUBGROUP_FILE).exists():
                write_text(output / SUBGROUP_FILE, _skin_tones(settings, portraits))
            return False
    with writing(output, instead="output"), written_aside(output) as making:
        making.mkdir(parents=True)
        draw = partial(layout.write_face, making, settings.seed, settings.label_noise, settings.style, settings.world)
        if num_workers == 1:
            rows = list(map(draw, portraits))
        else:
            # "spawn", because a fork copies the locks of all threads of the caller.
            context, count = multiprocessing.get_context("spawn"), len(portraits)
            with ProcessPoolExecutor(min(num_workers, count), mp_context=context) as pool:
                rows = list(pool.map(draw, portraits, chunksize=min(64, -(-count // num_workers))))
        layout.write_lists(making, settings.num_images, portraits, rows)
        (making / SUBGROUP_FILE).write_text(_skin_tones(settings, portraits), encoding="ascii", newline="\n")
        (making / SETTINGS_FILE).write_text(json.dumps(settings.stored(), indent=2) + "\n")
    return True


def _skin_tones(settings: FaceSettings, portraits: Sequence) -> str:
    """Returns the content of `subgroups.csv`, which follows from the seed, so that older sets can get it, too."""
    layout = LAYOUTS[settings.layout]
    lines = ["image,skin"]
    for portrait in portraits:
        _, face = layout.sample_face(settings.seed, settings.world, portrait)
        lines.append(f"{layout.file_name(portrait)},{tone_class(face.skin.tone)}")
    return "\n".join(lines) + "\n"


def _holds(output: Path, settings: FaceSettings) -> bool:
    """Returns True if the folder holds this set, False if it is missing or empty; raises `FarkerasError` otherwise."""
    if output.is_file():
        raise FarkerasError(f"{output} is a file; set `output` to a folder that does not exist yet.")
    if not output.is_dir() or not any(output.iterdir()):
        return False
    try:
        found = json.loads((output / SETTINGS_FILE).read_text())
    except (OSError, ValueError):
        raise FarkerasError(
            f"{output} is not empty and holds no {SETTINGS_FILE}, so farkeras did not make it; expected a new or an "
            "empty folder. Set `output` to another folder."
        ) from None
    if found != settings.stored():
        raise FarkerasError(
            f"{output} holds faces made with {found}, not with {settings.stored()}. "
            "Remove the folder or set `output` to another one."
        )
    return True
