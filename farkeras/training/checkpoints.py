"""Checkpoints of a run, with the whole state that its continuation depends on."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from farkeras.errors import FarkerasError
from farkeras.files import plain_path, writing
from farkeras.training.workers import Workers
from farkeras.weighting import TaskWeighting


class RunState:
    """The state of a run: model, optimizers, weighting and progress. The newest two checkpoints are kept.

    Call the constructor outside the strategy's scope, `restore` and `save` inside.

    Args:
        folder: Folder of the checkpoints.
        model: The model.
        optimizers: The optimizers by name. Their iterations add up to `step`.
        weighting: The weighting of the group losses.

    Attributes:
        step: Number of training steps taken.
        next_counter: Counter of the first training example that is not yet used, see `farkeras.data.pipeline`.
        best: The best validation metric so far.
    """

    def __init__(
        self,
        folder: Path,
        model: keras.Model,
        optimizers: dict[str, keras.optimizers.Optimizer],
        weighting: TaskWeighting,
    ) -> None:
        self.folder, self.optimizers = folder, optimizers
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.next_counter = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.best = tf.Variable(float("-inf"), trainable=False, dtype=tf.float64)
        kept = [variable for optimizer in optimizers.values() for variable in optimizer.variables]
        self.variables = [*model.variables, *kept, *weighting.variables, self.step, self.next_counter, self.best]
        # The states of dropout's random generators are not in `model.weights`, so TensorFlow does not find them.
        weights = {id(v) for v in model.weights}
        generators = [v.value for v in model.variables if id(v) not in weights]
        self.checkpoint = tf.train.Checkpoint(
            model=model,
            generators=generators,
            **optimizers,
            weighting=tf.train.Checkpoint(**{v.name: v for v in weighting.variables}),
            step=self.step,
            next_counter=self.next_counter,
            best=self.best,
        )
        # `save` would create it in the strategy's scope, where the chief of several workers waits for the others.
        self.save_counter = self.checkpoint.save_counter

    def restore(self) -> bool:
        """Restores the newest checkpoint.

        Returns:
            Whether there was a checkpoint.

        Raises:
            FarkerasError: The checkpoint is damaged, or belongs to another model.
        """
        newest = newest_checkpoint(self.folder)
        if not newest:
            return False
        try:
            with plain_path(self.folder) as folder:
                status = self.checkpoint.restore(str(Path(folder, newest.name)))
                status.assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise FarkerasError(
                f"Checkpoint {newest} cannot be continued: {str(error).splitlines()[0]} Use another `workdir`."
            ) from None
        taken = sum(int(optimizer.iterations.numpy()) for optimizer in self.optimizers.values())
        if taken != int(self.step):
            raise FarkerasError(
                f"Checkpoint {newest} is inconsistent: the run is at step {int(self.step)}, the optimizers at {taken}. "
                "Use another `workdir`."
            )
        return True

    def share(self, workers: Workers) -> None:
        """Gives every worker the state of the chief, so that only the chief reads the workdir."""
        for variable in self.variables if workers.count > 1 else ():
            value = workers.from_chief({"value": np.asarray(variable.numpy())})["value"]
            if not workers.chief:
                variable.assign(value)

    def save(self) -> None:
        """Writes a checkpoint. The previous one stays valid until the new one is complete."""
        with writing(self.folder, "saved"):
            self.folder.mkdir(parents=True, exist_ok=True)
        with writing(self.folder, "saved"), plain_path(self.folder) as folder:
            manager = tf.train.CheckpointManager(self.checkpoint, folder, max_to_keep=2)
            manager.save(checkpoint_number=int(self.step))


def newest_checkpoint(folder: Path) -> Path | None:
    """Returns the path prefix, as TensorFlow uses it, of the newest complete checkpoint in a folder, or None."""
    with plain_path(folder) as plain:
        newest = tf.train.latest_checkpoint(plain)
    return newest and folder / Path(newest).name
