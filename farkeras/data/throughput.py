"""Measures the speed of the input pipeline against a bare loop that only reads and decodes the same files."""

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
from farkeras.data.reading import image_decoder

BARE, PLAIN, WHOLE = "read and decode", "resize and batch", "all random changes"
FINISHED = "rotated and coloured"
POINTS, MASKS = "with keypoints", "with masks drawn"
BATCH_SIZE = 32
AUTOTUNE = tf.data.AUTOTUNE


class Rate(NamedTuple):
    """Rate of one pipeline in one round.

    Attributes:
        images_per_second: Images per second of wall time.
        cpu_ms: Processor time per image in milliseconds, summed over all threads. Other programs affect it little.
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
    """Measures the bare loop, the pipeline with each random change alone, and the complete pipeline.

    The pipelines are those of `train`: they leave rotation and colours to the training device.

    The bare loop is the usual `map(..., AUTOTUNE)`. With as many concurrent calls as the pipeline, it is 1.1 times as
    fast on two cores.

    All pipelines take turns in every round, so other load on the machine affects them alike. The first round is not
    measured: it brings the files into memory. The time to start a pipeline, which a run spends once, is measured with a
    single batch and subtracted.

    Args:
        examples: Examples whose images are read.
        preprocessing: Crop and input size.
        augmentation: Random changes of the recipe.
        keypoints: Keypoints of the examples, if the recipe uses them.
        mask_size: Height and width of the masks drawn from the keypoints.
        num_images: Number of images per round, rounded up to whole batches.
        rounds: Number of measured rounds.

    Returns:
        The rates of all rounds for each pipeline: `BARE`, `PLAIN` (nothing random), `"+ <change>"` for each change that
        `augmentation` makes, `WHOLE`, `FINISHED` if the recipe has rotation or colours, and with keypoints `POINTS` and
        `MASKS`. `FINISHED` and `MASKS` do on the CPU what training does on its device.
    """
    nothing = Augmentation(flip=False)
    changes = {name: value for name, value in asdict(augmentation).items() if value}
    left_out = changes.keys() - {"flip", "shift", "scale"}
    recipes = {
        PLAIN: (nothing, None),
        **{f"+ {name}": (replace(nothing, **{name: value}), None) for name, value in changes.items()},
        WHOLE: (augmentation, None),
        **({FINISHED: (augmentation, None)} if left_out else {}),
        **({POINTS: (augmentation, keypoints), MASKS: (augmentation, keypoints)} if keypoints else {}),
    }

    decoded = image_decoder(examples)

    def decode(counter: tf.Tensor) -> tf.Tensor:
        return tf.minimum(tf.size(decoded(counter % len(examples))), 1)

    def counted(name: str, stop: int) -> tf.data.Dataset:
        """Returns a dataset of numbers of images that sum to `stop`."""
        if name == BARE:
            return tf.data.Dataset.range(stop).map(decode, AUTOTUNE)
        changed, shown = recipes[name]
        dataset = training_dataset(
            examples, preprocessing, changed, BATCH_SIZE, 0, 0, stop, shown, finished=name == FINISHED
        )
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
    """Returns the wall time and processor time in seconds of one pass, without Python between its elements."""
    began = time.perf_counter(), time.process_time()
    counted.reduce(0, tf.add)
    return time.perf_counter() - began[0], time.process_time() - began[1]
