"""A whole run in its workdir: `train_and_evaluate(config, workdir)`."""

import json
from collections.abc import Sequence
from pathlib import Path

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.files import write_text
from farkeras.flagfiles import read_flagfile, save_flagfile
from farkeras.progress import Progress
from farkeras.training.building import Run, open_data
from farkeras.training.loop import run_phases
from farkeras.training.reporting import Listener

FLAGS_FILE = "flags.txt"
GROUPING_FILE = "grouping.json"


def train_and_evaluate(
    config: Config, workdir: str | Path, listeners: Sequence[Listener] = (), progress: Progress | None = None
) -> Run:
    """Trains as `config` says, in `workdir`; a run that was stopped continues where it was.

    Writes `flags.txt`, `grouping.json`, `metrics.jsonl`, `checkpoints/`, `tensorboard/` and `model.keras`, the weights
    with the best validation figure.

    Args:
        config: All settings.
        workdir: Folder of the run.
        listeners: Called as the run goes on, beside the metrics file and TensorBoard.
        progress: Called while an archive is extracted, see `open_source`.

    Returns:
        The finished run.

    Raises:
        FarkerasError: Settings and data do not fit, the workdir is of another run, or the loss is not finite.
    """
    workdir = Path(workdir)
    data = open_data(config, progress)
    check_workdir(config, data.grouping, workdir)
    run = Run(config, workdir, data)
    save_flagfile(config, workdir / FLAGS_FILE)
    write_text(workdir / GROUPING_FILE, grouping_text(data.grouping))
    run_phases(run, listeners)
    return run


def check_workdir(config: Config, grouping: Grouping, workdir: Path) -> None:
    """Refuses a workdir that was started with other settings, or with other groups in a grouping file of that name.

    Raises:
        FarkerasError: Names each changed setting with both values.
    """
    path = workdir / FLAGS_FILE
    if not path.exists():
        return
    before = read_flagfile(path)
    if changed := config.changed_from(before):
        listed = ", ".join(f"`{name}` (was {getattr(before, name)}, now {getattr(config, name)})" for name in changed)
        raise FarkerasError(
            f"{workdir} was started with other settings: {listed}. Use another `workdir`, or the settings of {path}."
        )
    path = workdir / GROUPING_FILE
    if path.exists() and path.read_text(encoding="utf-8") != grouping_text(grouping):
        raise FarkerasError(
            f"{workdir} was started with other groups: `grouping={config.grouping}` has changed since. Use another "
            f"`workdir`, or the groups of {path}."
        )


def grouping_text(grouping: Grouping) -> str:
    """The groups as a grouping file."""
    return json.dumps({name: list(members) for name, members in grouping.groups.items()}, indent=1) + "\n"
