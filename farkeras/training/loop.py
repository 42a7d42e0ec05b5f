"""The training loop over the phases of a run, with validations and checkpoints."""

import time
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from farkeras.data.pipeline import ShuffledOrder, check_undecodable, find_undecodable, left_out
from farkeras.training.building import METRICS_FILE, Run
from farkeras.training.phases import Phase
from farkeras.training.reporting import Listener, MetricsFile, TensorBoard
from farkeras.training.validation import validate


def run_phases(run: Run, listeners: Sequence[Listener] = ()) -> None:
    """Trains a run to its end, from the newest checkpoint in its workdir if there is one.

    Args:
        run: The run.
        listeners: Objects to call during the run, in addition to the metrics file and TensorBoard.

    Raises:
        FarkerasError: The checkpoint does not match the run, the disk has no space for the next checkpoints, too many
            images are undecodable, or the loss is not finite.
    """
    metrics = MetricsFile(run.workdir / METRICS_FILE)
    listeners = [metrics, TensorBoard(run.workdir / "tensorboard"), *listeners]
    with run.strategy.scope():
        resumed = run.state.restore()
    step = int(run.state.step)
    metrics.cut_back(step)
    run.recall(metrics.read())
    if not run.finished:
        run.check_room()
    for listener in listeners:
        listener.on_start(run, step if resumed else 0)
    if not run.finished:
        dataset = run.training_dataset(int(run.state.next_counter))
        iterator = iter(run.strategy.experimental_distribute_dataset(dataset))
    eval_every_steps = max(1, round(run.config.eval_every_epochs * run.steps_per_epoch))
    checkpoint_every_steps = run.config.checkpoint_every_steps
    for phase in run.phases:
        if step < phase.end and not run.finished:
            phase.begin()
        while step < phase.end and not run.finished:
            # The next steps with a validation and with a checkpoint.
            marks = [(step // every + 1) * every for every in (eval_every_steps, checkpoint_every_steps)]
            new_step = min(*marks, step + run.config.steps_per_loop, phase.end)
            record = _train_some(run, phase, iterator, step, new_step)
            for listener in listeners:
                listener.on_train(run, record)
            step = new_step
            validated = step % eval_every_steps == 0 or step == run.total_steps
            if validated:
                record = validate(run, phase, step)
                for listener in listeners:
                    listener.on_validation(run, record)
            if validated or step % checkpoint_every_steps == 0:
                with run.strategy.scope():
                    run.state.save()
    for listener in listeners:
        listener.on_end(run)


def _train_some(run: Run, phase: Phase, iterator: Iterator, step: int, new_step: int) -> dict:
    """Trains from `step` to `new_step` in one call of the compiled loop; returns the record for the metrics file."""
    began = time.perf_counter()
    try:
        metrics = phase.step.run(iterator, tf.constant(new_step - step))
        metrics = {name: value.numpy() for name, value in metrics.items()}
    except (tf.errors.OutOfRangeError, StopIteration):
        # The dataset has spare examples for the allowed share of undecodable images; more than that are undecodable.
        undecodable = find_undecodable(run.data.train, run.data.preprocessing)
        check_undecodable(undecodable, len(run.data.train))
        raise
    seconds = time.perf_counter() - began
    start, counters = int(run.state.next_counter), metrics["counter"].reshape(-1)
    stop = int(counters.max()) + 1
    newly_left_out = _name_left_out(run, counters, start, stop)
    record = {
        "step": new_step,
        "steps": new_step - step,
        "epoch": new_step / run.steps_per_epoch,
        **({"phase": phase.name} if len(run.phases) > 1 else {}),
        "learning_rate": float(phase.step.optimizer.learning_rate),
        "steps_per_second": (new_step - step) / seconds,
        "images_per_second": (new_step - step) * run.config.batch_size / seconds,
        "data_wait": min(1.0, float(metrics["data_wait"]) / seconds),
        **phase.step.record(metrics, step),
        **({"undecodable": newly_left_out} if newly_left_out else {}),
    }
    run.state.step.assign(new_step)
    run.state.next_counter.assign(stop)
    return record


def _name_left_out(run: Run, seen: np.ndarray, start: int, stop: int) -> list[str]:
    """Returns the paths of images newly left out: their counters are in `start` to `stop` but not in `seen`."""
    counters = left_out(seen, start, stop)
    if not len(counters):
        return []
    order = ShuffledOrder(len(run.data.train), run.config.seed)
    paths = [str(path) for path in run.data.train.paths[order.index(tf.constant(counters)).numpy()]]
    new = sorted(set(paths) - run.undecodable)
    run.undecodable.update(new)
    check_undecodable(run.undecodable, len(run.data.train))
    return new
