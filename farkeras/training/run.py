"""`train_and_evaluate`: a complete run in its workdir."""

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
from farkeras.training.preemption import StopRequest
from farkeras.training.reporting import Listener


def train_and_evaluate(
    config: Config,
    workdir: str | Path,
    listeners: Sequence[Listener] = (),
    progress: Progress | None = None,
    stop: StopRequest | None = None,
) -> Run:
    """Trains a model and validates it during the training. A run that was stopped continues from its last checkpoint.

    The workdir receives `flags.txt`, `grouping.json`, `identity.json`, `metrics.jsonl`, `checkpoints/`, `tensorboard/`
    and `model.keras`, the model with the best validation metric. When a run continues, its data may be in another
    folder.

    Args:
        config: All settings.
        workdir: Folder of the run.
        listeners: Objects to call during the run, in addition to the metrics file and TensorBoard.
        progress: Called while an archive is extracted, see `open_source`.
        stop: An object by which another thread or a listener stops the run with a checkpoint, see `StopRequest`.

    Returns:
        The finished run.

    Raises:
        Stopped: `stop` was requested; a checkpoint is saved.
        FarkerasError: Settings and data do not match, the workdir belongs to another run, is in use or not writable,
            too many images are undecodable, or the loss is not finite.
    """
    config, workdir = config.absolute(), as_path(workdir)  # the run may continue in another working directory
    check_keras()
    data, strategy = open_data(config, progress), make_strategy(config.replicas)
    identity = identity_of(data, strategy.num_replicas_in_sync)
    with alone_in(workdir, "workdir"):
        check_workdir(workdir, config, data.grouping, identity)
        run = Run(config, workdir, data, strategy, stop)
        with writing(workdir, instead="workdir"):
            write_identity(workdir, config, data.grouping, identity)
        run_phases(run, listeners)
    return run
