"""`train` as users run it, beside its bare step: a listener of a real run takes the bare steps between its loops."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

import farkeras
from farkeras.training.building import Run
from farkeras.training.reporting import Listener
from speed.keras_models import steps_on

STEPS = 20  # `steps_per_loop` of a run


class BareSteps(Listener):
    """Measures, after each call of the compiled loop, as many steps on one batch in memory.

    The time of `train` is what passes between the end of one call of this listener and the next call: input pipeline,
    steps, metrics file and TensorBoard. Validations and checkpoints end no such time.
    """

    def __init__(self) -> None:
        self.loop: list[float] = []
        self.bare: list[float] = []
        self._bare_steps: Callable | None = None
        self._left = 0.0

    def on_train(self, run: Run, record: dict) -> None:
        came = time.perf_counter()
        if self._bare_steps is None:
            batch = next(iter(run.training_dataset(0)))
            self._bare_steps = steps_on(run, {name: tf.identity(value) for name, value in batch.items()}, STEPS)
            self._bare_steps()  # compiles
        elif record["steps"] == STEPS and self._left:
            began = time.perf_counter()
            self._bare_steps()
            self.bare.append(time.perf_counter() - began)
            self.loop.append(came - self._left)
        self._left = time.perf_counter()

    def on_validation(self, run: Run, record: dict) -> None:
        self._left = 0.0


def train_loop(data_dir: str, rounds: int, **changes: Any) -> dict[str, list[float]]:
    """Trains until there are `rounds` pairs of times, and returns them as `loop` and `bare`, in seconds.

    Args:
        data_dir: Folder of the data set.
        rounds: Number of pairs.
        **changes: Settings that replace those of configs/demo.flags.
    """
    settings = {"data_dir": data_dir, "steps_per_loop": STEPS, "checkpoint_every_steps": 10**6, **changes}
    config = farkeras.load_config("demo", eval_every_epochs=10**4, **settings)
    images = len(farkeras.open_source(config.source, data_dir).split("train"))
    config = replace(config, epochs=(rounds + 2) * STEPS * config.batch_size / images)
    listener = BareSteps()
    with tempfile.TemporaryDirectory() as workdir:
        farkeras.train_and_evaluate(config, f"{workdir}/run", [listener])
    keras.backend.clear_session()
    return {"loop": listener.loop[:rounds], "bare": listener.bare[:rounds]}
