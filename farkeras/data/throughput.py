"""How fast the input pipeline is, beside a bare loop that only reads and decodes the same files."""

import time
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples
from farkeras.data.keypoints import Keypoints
from farkeras.data.masks import region_masks
from farkeras.data.pipeline import training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.reading import image_reader

BARE, PLAIN, WHOLE = "read and decode", "resize and batch", "the whole recipe"
POINTS, MASKS = "with key points", "with masks drawn"
BATCH_SIZE = 32
AUTOTUNE = tf.data.AUTOTUNE


class Rate(NamedTuple):
    """Of one round.

    Attributes:
        images_per_second: By the clock.
        cpu_ms: Milliseconds of processor time an image, all threads together: what others do weighs little on it.
    """

    images_per_second: float
    cpu_ms: float


def measure_throughput(
    examples: Examples,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    keypoints: Keypoints | None = None,
    mask_size: tuple[int, int] = (1, 1),
    num_images: int = 4000,
    rounds: int = 5,
) -> dict[str, list[Rate]]:
    """Rates of the bare loop, of the pipeline with each of its changes alone, and of the whole pipeline.

    The bare loop is the usual one, `map(..., AUTOTUNE)`; with as many calls in flight as the pipeline it is 1.1 times
    as fast on two cores.

    All take turns, round by round, so that what else the machine does falls on all alike; files come from memory once
    the first, unmeasured round has read them. What starting costs, which a run does once, is measured with a single
    batch and taken off.

    Args:
        examples: Images to read.
        preprocessing: Crop and size.
        augmentation: Of the recipe.
        keypoints: Which the recipe shows, if any.
        mask_size: Height and width of the masks drawn from them.
        num_images: Images to a round; rounded up to whole batches.
        rounds: Measured rounds.

    Returns:
        `BARE`, `PLAIN` (nothing random), `"+ <change>"` for each change that `augmentation` makes, `WHOLE`, and with
        key points `POINTS` and `MASKS` (drawn here; training draws them on its device) -> the rate of each round.
    """
    nothing = Augmentation(flip=False)
    changes = {name: value for name, value in asdict(augmentation).items() if value}
    recipes = {
        PLAIN: (nothing, None),
        **{f"+ {name}": (replace(nothing, **{name: value}), None) for name, value in changes.items()},
        WHOLE: (augmentation, None),
        **({POINTS: (augmentation, keypoints), MASKS: (augmentation, keypoints)} if keypoints else {}),
    }

    read_image = image_reader(examples)

    def decode(counter: tf.Tensor) -> tf.Tensor:
        return tf.minimum(tf.size(preprocessing.decode(read_image(counter % len(examples)))), 1)

    def counted(name: str, stop: int) -> tf.data.Dataset:
        """Numbers of images, `stop` in all."""
        if name == BARE:
            return tf.data.Dataset.range(stop).map(decode, AUTOTUNE)
        changed, shown = recipes[name]
        dataset = training_dataset(examples, preprocessing, changed, BATCH_SIZE, 0, 0, stop, shown)
        if name == MASKS:
            dataset = dataset.map(lambda batch: batch | {"masks": region_masks(batch["points"], mask_size)}, AUTOTUNE)
        return dataset.map(lambda batch: tf.shape(batch.get("masks", batch["labels"]))[0])

    num_images = -(-num_images // BATCH_SIZE) * BATCH_SIZE
    pairs = {name: [counted(name, BATCH_SIZE + more) for more in (0, num_images)] for name in (BARE, *recipes)}
    rates: dict[str, list[Rate]] = {name: [] for name in pairs}
    for turn in range(rounds + 1):
        for name, (start, whole) in pairs.items():
            seconds, cpu_seconds = np.subtract(_spent(whole), _spent(start))
            if turn:
                rates[name].append(Rate(num_images / seconds, 1e3 * cpu_seconds / num_images))
    return rates


def _spent(counted: tf.data.Dataset) -> tuple[float, float]:
    """Seconds by the clock and of processor time that a dataset takes, without Python between its elements."""
    began = time.perf_counter(), time.process_time()
    counted.reduce(0, tf.add)
    return time.perf_counter() - began[0], time.process_time() - began[1]
