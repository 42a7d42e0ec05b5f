"""The training loop over the phases of a run, with validations and checkpoints."""

import time
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from farkeras.data.pipeline import ShuffledOrder, check_undecodable, find_undecodable, left_out
from farkeras.training.building import METRICS_FILE, Run
from farkeras.training.phases import Phase
from farkeras.training.preemption import BrokenOff
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
        Stopped: The run was asked to stop, see `StopRequest`. A checkpoint is saved.
    """
    metrics = MetricsFile(run.workdir / METRICS_FILE)
    chief, history = run.workers.chief, []
    listeners = [*([metrics, TensorBoard(run.workdir / "tensorboard")] if chief else []), *listeners]
    with run.strategy.scope():
        if chief:
            run.state.restore()
        run.state.share(run.workers)
    step = int(run.state.step)
    if chief:
        metrics.cut_back(step)
        history = metrics.read()
    history = run.workers.from_chief({"history": history})["history"]
    run.recall(history)
    if chief and not run.finished:
        run.check_room()
    for listener in listeners:
        listener.on_start(run, step)
    if not run.finished:
        iterator = run.distributed_batches(int(run.state.next_counter))
    eval_every_steps = max(1, round(run.config.eval_every_epochs * run.steps_per_epoch))
    checkpoint_every_steps = run.config.checkpoint_every_steps

    def due(step: int) -> bool:
        return step % eval_every_steps == 0 or step == run.total_steps

    saved, run.asked.heeded = step, True
    broken_off = step > 0 and due(step) and not any(r["step"] == step and "validation" in r for r in history)
    for phase in run.phases:
        first_validate = broken_off and step <= phase.end
        if first_validate or (step < phase.end and not run.finished):
            phase.begin()
        if first_validate:
            broken_off = not _validate(run, phase, step, listeners)
            saved = saved if broken_off else _save(run)
        while step < phase.end and not run.finished and not run.stop.reason:
            # The next steps with a validation and with a checkpoint.
            marks = [(step // every + 1) * every for every in (eval_every_steps, checkpoint_every_steps)]
            new_step = min(*marks, step + run.config.steps_per_loop, phase.end)
            record = _train_some(run, phase, iterator, step, new_step)
            for listener in listeners:
                listener.on_train(run, record)
            step = record["step"]
            if validated := due(step):
                broken_off = not _validate(run, phase, step, listeners)
            if (validated and not broken_off) or step % checkpoint_every_steps == 0:
                saved = _save(run)
    stopped = run.stop.reason and (broken_off or not run.finished)
    if stopped and saved < step:
        _save(run)
    run.asked.heeded = False
    for listener in listeners:
        listener.on_end(run)
    run.workers.gather({})  # no worker ends before the chief has saved everything
    if stopped:
        raise run.stop.stopped(step, run.total_steps)


def _validate(run: Run, phase: Phase, step: int, listeners: Sequence[Listener]) -> bool:
    """Validates a run; returns False if a request to stop has broken off the validation."""
    try:
        record = validate(run, phase, step)
    except BrokenOff:
        return False
    for listener in listeners:
        listener.on_validation(run, record)
    return True


def _save(run: Run) -> int:
    """Saves a checkpoint and returns its step."""
    if run.workers.chief:
        with run.strategy.scope():
            run.state.save()
    return int(run.state.step)


def _train_some(run: Run, phase: Phase, iterator: Iterator, step: int, new_step: int) -> dict:
    """Trains from `step` to `new_step` in one call of the compiled loop; returns the record for the metrics file.

    A request to stop ends the call after the current step.
    """
    began = time.perf_counter()
    try:
        metrics = phase.step.run(iterator, tf.constant(new_step - step), run.stop.flag())
        metrics = {name: value.numpy() for name, value in metrics.items()}
    except (tf.errors.OutOfRangeError, StopIteration):
        # The dataset has spare examples for the allowed share of undecodable images; more than that are undecodable.
        undecodable = find_undecodable(run.data.train, run.data.preprocessing)
        check_undecodable(undecodable, len(run.data.train))
        raise
    seconds = time.perf_counter() - began
    new_step = step + len(metrics["counter"])
    start, counters = int(run.state.next_counter), _of_all_workers(run, metrics["counter"]).reshape(-1)
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


def _of_all_workers(run: Run, counters: np.ndarray) -> np.ndarray:
    """Returns the counters that all workers have trained on; passes a request to stop on to all."""
    own = {"counters": counters, "reason": run.asked.reason, "exit_code": run.asked.exit_code}
    parts = run.workers.gather(own)
    for number, part in enumerate(parts) if len(parts) > 1 else ():
        if part["reason"]:
            run.stop(f"{part['reason']} of {run.workers.name(number)}", part["exit_code"])
    return np.concatenate([part["counters"] for part in parts], axis=-1)


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
