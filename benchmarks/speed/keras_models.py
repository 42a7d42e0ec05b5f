"""TensorFlow's sides: forward passes and training steps of our models and of their backbones, as farkeras runs them."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from farkeras.attributes import load_grouping
from farkeras.config import Config
from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples
from farkeras.data.keypoints import Keypoints
from farkeras.data.preprocessing import Preprocessing
from farkeras.models import MODELS
from farkeras.training.building import Data, Run
from speed.networks import build, config_of


def forward(
    flagfile: str, bare: bool, batch_size: int, groups: int = 8, private: bool = False, **changes: Any
) -> Callable:
    """Builds the compiled forward pass of `batch_size` images; see `networks.build` for the other arguments."""
    model = build(flagfile, bare, groups, private, **changes)
    images = tf.random.stateless_uniform((batch_size, *model.input_shape[1:]), (0, 0), 0, 255)
    logits = tf.function(lambda images: model(images, training=False)["logits"])
    return lambda: logits(images).numpy()


def train_step(flagfile: str, bare: bool, batch_size: int, precision: str = "float32", **changes: Any) -> Callable:
    """Builds the training step of a run on one batch in memory.

    Args:
        flagfile: The settings of the run.
        bare: Whether to train only the backbone with one linear layer.
        batch_size: Images in a step.
        precision: "float32" or "bfloat16".
        **changes: Settings that replace those of the flagfile.
    """
    config = config_of(flagfile, bare, batch_size=batch_size, precision=precision, **changes)
    run = Run(config, Path(tempfile.gettempdir()) / "no_run", data_in_memory(config))
    return steps_on(run, batch_in_memory(run, config), 1)


def steps_on(run: Run, batch: dict[str, tf.Tensor], steps: int) -> Callable:
    """Returns a function that takes `steps` steps of the last phase of a run on the same batch."""
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    iterator = iter(run.strategy.experimental_distribute_dataset(dataset))
    phase, number = run.phases[-1], tf.constant(steps)
    phase.begin()
    return lambda: phase.step.run(iterator, number)["counter"].numpy()


def data_in_memory(config: Config) -> Data:
    """Makes the data of a run without files: labels of 256 images, and keypoints if the model has masks."""
    random, number = np.random.default_rng(0), max(256, config.batch_size)
    grouping = load_grouping(config.grouping)
    labels = random.integers(0, 2, (number, len(grouping.attributes))).astype(np.int8)
    examples = Examples(grouping.attributes, np.array(["no file"] * number), labels)
    points = random.integers(2**14, 2**15, (number, 478, 2)).astype(np.uint16)
    keypoints = Keypoints(points, np.ones(number, bool)) if MODELS[config.model].has_masks else None
    preprocessing = Preprocessing(config.image_size, config.crop)
    return Data(grouping, (), examples, examples, preprocessing, Augmentation.of_run(config), keypoints, keypoints)


def batch_in_memory(run: Run, config: Config) -> dict[str, tf.Tensor]:
    """Makes one batch for `steps_on`: noise as images, with the labels and keypoints of the first examples."""
    number = config.batch_size
    batch = {
        "image": tf.random.stateless_uniform((number, *config.image_size, 3), (0, 0), 0, 255),
        "labels": tf.constant(run.data.train.labels[:number]),
        "counter": tf.range(number, dtype=tf.int64),
    }
    if run.data.train_keypoints is not None:
        points = run.data.train_keypoints.points[:number].astype(np.float32) / 2**15 - 0.5
        batch |= {"points": tf.constant(points), "found": tf.ones(number, tf.bool)}
    return batch
