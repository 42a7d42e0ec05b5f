"""A training step takes unfinished images and finishes them on its replica."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples
from farkeras.data.pipeline import training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.training.devices import make_strategy
from farkeras.training.step import SUM, Batch, Step


class Sums(Step):
    """A step that learns nothing and returns the sum of each pixel over the global batch."""

    metrics = ("sums",)

    def replica(self, batch: Batch) -> Batch:
        return {"sums": tf.distribute.get_replica_context().all_reduce(SUM, tf.reduce_sum(batch["image"], 0))}


class Model:
    image_size = (8, 6)
    outputs = (keras.KerasTensor((None, 1), "float32"),)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_images_are_finished_on_each_replica(tmp_path, replicas, rotation):
    rng, paths = np.random.default_rng(0), [str(tmp_path / f"{i}.png") for i in range(4)]
    for path, sides in zip(paths, [(9, 7), (9, 7), (12, 8), (40, 30)], strict=True):
        Image.fromarray(rng.integers(0, 256, (*sides, 3), np.uint8)).save(path)
    examples = Examples(("a",), np.array(paths), np.zeros((4, 1), np.int8))
    augmentation = Augmentation(shift=0.1, rotation=rotation, brightness=0.2, contrast=0.2)
    settings = (examples, Preprocessing(Model.image_size), augmentation, 4, 1, 0, 12)
    strategy = make_strategy(replicas)
    iterator = iter(strategy.experimental_distribute_dataset(training_dataset(*settings, finished=False)))
    step = Sums(Model(), None, [], strategy)  # a compiled method holds its object only weakly
    taken = step.run(iterator, tf.constant(3))
    np.testing.assert_array_equal(taken["counter"], np.arange(12).reshape(3, 4))
    expected = [tf.reduce_sum(batch["image"], 0) for batch in training_dataset(*settings)]
    np.testing.assert_allclose(taken["sums"], expected, atol=0.05)
