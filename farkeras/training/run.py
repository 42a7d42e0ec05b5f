"""`train_and_evaluate`: a complete run in its workdir."""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import tensorflow as tf

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.files import alone_in, as_path, writing
from farkeras.models.model_file import check_keras
from farkeras.progress import Progress
from farkeras.training.agreement import agree_on_data, agree_on_settings, in_turn, undecodable_examples
from farkeras.training.building import Data, Run, open_data
from farkeras.training.cluster import find_place
from farkeras.training.devices import make_cluster_strategy, make_strategy
from farkeras.training.identity import check_workdir, identity_of, write_identity
from farkeras.training.loop import run_phases
from farkeras.training.preemption import StopRequest
from farkeras.training.reporting import Listener
from farkeras.training.workers import Workers, connected


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

    If `TF_CONFIG` or SLURM's `srun` names several workers, the function trains with them. Only worker 0 reads and
    writes the workdir. If TensorFlow still computes 20 seconds after a worker was lost, the function ends the process.

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
            too many images are undecodable, or the loss is not finite. With several workers: their settings, versions
            or data differ.
        WorkerLost: Another worker did not come, was lost or ended with an error.
    """
    return train_on(lambda config: open_data(config, progress), config, workdir, listeners, stop)


def train_on(
    open_data: Callable[[Config], Data],
    config: Config,
    workdir: str | Path,
    listeners: Sequence[Listener] = (),
    stop: StopRequest | None = None,
) -> Run:
    """Trains as `train_and_evaluate` does, on data that a function opens with the settings.

    A run that continues gets the same data from its function, which `identity.json` compares.
    """
    config, workdir = config.absolute(), as_path(workdir)  # the run may continue in another working directory
    check_keras()
    place = find_place(os.environ) if config.cluster == "auto" else None
    with connected(place, config.worker_timeout) as workers:
        try:
            return _train(open_data, config, workdir, listeners, stop, workers)
        except tf.errors.OpError:  # TensorFlow may notice the loss of a worker a moment before `workers` does
            if workers.count > 1 and workers.failed_within(10):
                raise workers.error() from None
            raise


def _train(
    open_data: Callable[[Config], Data],
    config: Config,
    workdir: Path,
    listeners: Sequence[Listener],
    stop: StopRequest | None,
    workers: Workers,
) -> Run:
    several = workers.count > 1
    if several:
        if config.replicas > 1:
            raise FarkerasError(
                f"`replicas` must be 0 with several workers, because each uses all its GPUs or one CPU. Received: "
                f"{config.replicas}."
            )
        agree_on_settings(workers, config, len(tf.config.list_physical_devices("GPU")))
        strategy = make_cluster_strategy(workers)
    data = in_turn(workers, lambda: open_data(config))
    if not several:
        strategy = make_strategy(config.replicas)
    identity = identity_of(data, strategy.num_replicas_in_sync)
    if several:
        agree_on_data(workers, data, identity)
    with alone_in(workdir, "workdir") if workers.chief else nullcontext():
        if workers.chief:
            check_workdir(workdir, config, data.grouping, identity)
        run = Run(config, workdir, data, strategy, stop, workers)
        if workers.chief:
            with writing(workdir, instead="workdir"):
                write_identity(workdir, config, data.grouping, identity)
        if several:
            run.known_undecodable = undecodable_examples(workers, workdir, data)
        run_phases(run, listeners)
    return run
