"""A whole run in its workdir: `train_and_evaluate(config, workdir)`."""

from collections.abc import Sequence
from pathlib import Path

from farkeras.config import Config
from farkeras.files import alone_in, as_path, writing
from farkeras.models.model_file import check_keras
from farkeras.progress import Progress
from farkeras.training.building import Run, open_data
from farkeras.training.devices import make_strategy
from farkeras.training.identity import check_workdir, identity_of, write_identity
from farkeras.training.loop import run_phases
from farkeras.training.reporting import Listener


def train_and_evaluate(
    config: Config, workdir: str | Path, listeners: Sequence[Listener] = (), progress: Progress | None = None
) -> Run:
    """Trains as `config` says, in `workdir`; a run that was stopped continues where it was.

    Writes `flags.txt`, `grouping.json`, `identity.json`, `metrics.jsonl`, `checkpoints/`, `tensorboard/` and
    `model.keras`, the weights with the best validation figure. The same data may lie elsewhere when a run continues.

    Args:
        config: All settings.
        workdir: Folder of the run.
        listeners: Called as the run goes on, beside the metrics file and TensorBoard.
        progress: Called while an archive is extracted, see `open_source`.

    Returns:
        The finished run.

    Raises:
        FarkerasError: Settings and data do not fit, the workdir is of another run, in use or not writable, or the loss
            is not finite.
    """
    config, workdir = config.absolute(), as_path(workdir)  # the run may be continued or evaluated from another folder
    check_keras()
    data, strategy = open_data(config, progress), make_strategy(config.replicas)
    identity = identity_of(data, strategy.num_replicas_in_sync)
    with alone_in(workdir, "workdir"):
        check_workdir(workdir, config, data.grouping, identity)
        run = Run(config, workdir, data, strategy)
        with writing(workdir, instead="workdir"):
            write_identity(workdir, config, data.grouping, identity)
        run_phases(run, listeners)
    return run
