"""Checkpoints of a run: everything that decides the rest of it."""

from pathlib import Path

import keras
import tensorflow as tf

from farkeras.errors import FarkerasError
from farkeras.files import plain_path, writing
from farkeras.weighting import TaskWeighting


class RunState:
    """Model, optimizer, weighting and progress, saved together; the newest two checkpoints are kept.

    `next_counter` is the first training example not yet used (see `data.pipeline`), `best` the best validation figure
    so far. Construct it outside, `restore` and `save` inside the strategy's scope.

    Args:
        folder: Of the checkpoints.
        model: The model.
        optimizers: By name; together they have taken `step` steps.
        weighting: Of the group losses.
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
        # Keras keeps the states of dropout's random generators out of `weights`, and TensorFlow does not find them.
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

    def restore(self) -> bool:
        """Continues from the newest checkpoint; returns whether there was one.

        Raises:
            FarkerasError: The checkpoint is damaged or of another model.
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
                f"Checkpoint {newest} cannot be continued: {str(error).splitlines()[0]} Start in another `workdir`."
            ) from None
        taken = sum(int(optimizer.iterations.numpy()) for optimizer in self.optimizers.values())
        if taken != int(self.step):
            raise FarkerasError(
                f"Checkpoint {newest} is inconsistent: step {int(self.step)}, optimizer at {taken}. Start in another "
                "`workdir`."
            )
        return True

    def save(self) -> None:
        """Writes a checkpoint; until it is complete the one before stands."""
        with writing(self.folder, "saved"):
            self.folder.mkdir(parents=True, exist_ok=True)
        with writing(self.folder, "saved"), plain_path(self.folder) as folder:
            manager = tf.train.CheckpointManager(self.checkpoint, folder, max_to_keep=2)
            manager.save(checkpoint_number=int(self.step))


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint of a folder, as TensorFlow's functions name it; None where there is none."""
    with plain_path(folder) as plain:
        newest = tf.train.latest_checkpoint(plain)
    return newest and folder / Path(newest).name
