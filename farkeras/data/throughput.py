"""How fast the input pipeline is, beside a bare loop that only reads and decodes the same files."""

import time
from dataclasses import asdict, replace
from typing import NamedTuple

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
    num_images: int = 1000,
    rounds: int = 5,
) -> dict[str, list[Rate]]:
    """Rates of the bare loop, of the pipeline with each of its changes alone, and of the whole pipeline.

    All take turns, round by round, so that what else the machine does falls on all alike; files come from memory once
    the first, unmeasured round has read them.

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
    num_batches = -(-num_images // BATCH_SIZE)
    pipelines = {
        PLAIN: (nothing, None),
        **{f"+ {name}": (replace(nothing, **{name: value}), None) for name, value in changes.items()},
        WHOLE: (augmentation, None),
        **({POINTS: (augmentation, keypoints), MASKS: (augmentation, keypoints)} if keypoints else {}),
    }
    counted = {BARE: _bare(examples, preprocessing, num_batches * BATCH_SIZE)}
    for name, (own, shown) in pipelines.items():
        stop = num_batches * BATCH_SIZE
        dataset = training_dataset(examples, preprocessing, own, BATCH_SIZE, 0, 0, stop, shown)
        if name == MASKS:
            dataset = dataset.map(lambda batch: batch | {"masks": region_masks(batch["points"], mask_size)}, AUTOTUNE)
        counted[name] = dataset.map(lambda batch: tf.shape(batch.get("masks", batch["labels"]))[0])
    rates = {name: [] for name in counted}
    for turn in range(rounds + 1):
        for name, dataset in counted.items():
            began, spent = time.perf_counter(), time.process_time()
            images = int(dataset.reduce(0, tf.add))  # consumed without Python between the batches
            began, spent = time.perf_counter() - began, time.process_time() - spent
            if turn:
                rates[name].append(Rate(images / began, 1e3 * spent / images))
    return rates


def _bare(examples: Examples, preprocessing: Preprocessing, num_images: int) -> tf.data.Dataset:
    read_image = image_reader(examples)

    def decode(counter):
        return tf.minimum(tf.size(preprocessing.decode(read_image(counter % len(examples)))), 1)

    return tf.data.Dataset.range(num_images).map(decode, AUTOTUNE)
