"""Making a set of faces: many processes, and a folder that is there whole or not at all."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from farkeras.data.procedural import SETTINGS_FILE
from farkeras.errors import FarkerasError
from farkeras.files import as_path, writing, written_aside
from farkeras.synthetic import celeba, lfwa

LAYOUTS = {"celeba": celeba, "lfwa": lfwa}
"""Data sets whose files can be written -> the module that does it, with `portraits`, `write_face`, `write_lists`."""

# Raised when the same settings give other pixels, so that an older set is not taken for a new one.
_DRAWING = 3


@dataclass(frozen=True)
class FaceSettings:
    """What decides every byte of a set.

    Raises:
        FarkerasError: A value out of its range.
    """

    num_images: int
    seed: int = 0
    layout: str = "celeba"
    label_noise: float = 0.0
    drawing: int = _DRAWING

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise FarkerasError(f"Unknown layout '{self.layout}': expected one of {', '.join(LAYOUTS)}.")
        if not 1 <= self.num_images <= 999_999:
            raise FarkerasError(
                f"`num_images` must be between 1 and 999999, the names of six digits. Received: {self.num_images}."
            )
        if self.seed < 0:
            raise FarkerasError(f"`seed` must be at least 0. Received: {self.seed}.")
        if not 0 <= self.label_noise <= 0.5:
            raise FarkerasError(
                "`label_noise` must be a probability between 0 (true labels) and 0.5 (labels without information). "
                f"Received: {self.label_noise}."
            )


def draw_faces(settings: FaceSettings, output: str | Path, num_workers: int = 1) -> bool:
    """Writes a set of faces into `output`, in a data set's layout, with the settings beside it in `synthesize.json`.

    Args:
        settings: What to draw; the same settings give the same bytes, whatever `num_workers`.
        output: The folder to make. It appears when it is complete.
        num_workers: Processes that draw.

    Returns:
        True, or False where `output` already holds this very set and nothing was done.

    Raises:
        FarkerasError: `output` holds something else or cannot be written, or `num_workers` < 1.
    """
    if num_workers < 1:
        raise FarkerasError(f"`num_workers` must be at least 1. Received: {num_workers}.")
    output = as_path(output)
    layout = LAYOUTS[settings.layout]
    with writing(output, instead="output"):
        if _holds(output, settings):
            return False
    with writing(output, instead="output"), written_aside(output) as making:
        making.mkdir(parents=True)
        portraits = layout.portraits(settings.seed, settings.num_images)
        draw = partial(layout.write_face, making, settings.seed, settings.label_noise)
        if num_workers == 1:
            rows = list(map(draw, portraits))
        else:
            # "spawn", since a fork copies the locks of whatever threads the caller has.
            context, count = multiprocessing.get_context("spawn"), len(portraits)
            with ProcessPoolExecutor(min(num_workers, count), mp_context=context) as pool:
                rows = list(pool.map(draw, portraits, chunksize=min(64, -(-count // num_workers))))
        layout.write_lists(making, portraits, rows)
        (making / SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=2) + "\n")
    return True


def _holds(output: Path, settings: FaceSettings) -> bool:
    """Whether this set is there already; False where nothing is; an error where something else is."""
    if output.is_file():
        raise FarkerasError(f"{output} is a file; give `output` a folder that does not exist yet.")
    if not output.is_dir() or not any(output.iterdir()):
        return False
    try:
        found = json.loads((output / SETTINGS_FILE).read_text())
    except (OSError, ValueError):
        raise FarkerasError(
            f"{output} is not empty and holds no {SETTINGS_FILE}, so it was not made by this command; "
            "expected a new or an empty folder. Give another `output`."
        ) from None
    if found != asdict(settings):
        raise FarkerasError(
            f"{output} holds faces made with {found}, and {asdict(settings)} is asked for. "
            "Remove the folder or give another `output`."
        )
    return True
