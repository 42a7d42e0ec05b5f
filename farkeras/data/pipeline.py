"""tf.data pipelines from `Examples` to batches.

Training order is a pure function of a counter that runs over all epochs: example `order.index(counter)` is shown at
`counter`, with an augmentation seeded by `(seed, counter)`. So a run continues at any point without replaying data, and
the number of parallel threads changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from farkeras.data.augmentation import Augmentation, Geometry
from farkeras.data.examples import UNKNOWN, Examples
from farkeras.data.masks import MaskTargets
from farkeras.data.preprocessing import Preprocessing, pixels_of
from farkeras.data.reading import image_reader
from farkeras.data.service import through_servers
from farkeras.errors import FarkerasError

MAX_UNDECODABLE = 0.01
"""Largest share of images that may fail to decode before a run ends with an error."""


@dataclass(frozen=True)
class ShuffledOrder:
    """A new permutation of the examples each epoch, computed per element: nothing is stored, any place can be read."""

    num_examples: int
    seed: int

    def index(self, counter: tf.Tensor) -> tf.Tensor:
        """int64 counter over all epochs -> int64 example."""
        epoch, position = counter // self.num_examples, counter % self.num_examples
        seed = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        return tf.random.experimental.index_shuffle(position, tf.cast(seed, tf.int32), self.num_examples - 1)


def training_dataset(
    examples: Examples,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    masks: MaskTargets | None = None,
    servers: Sequence[str] = (),
) -> tf.data.Dataset:
    """Batches of dicts: `image` float32 `[B, H, W, 3]` in 0..255, `labels` int8 `[B, A]`, `counter` int64 `[B]`.

    With `masks` also `masks` float32 `[B, h, w, R]` in 0..1, moved with the image, and `has_masks` bool `[B]`: whether
    the image has a face that was found, else its masks are zeros.

    Undecodable images are left out: their counters are missing and later ones move up.

    Args:
        examples: The training split.
        preprocessing: The model's crop and size; the crop is taken within the examples' frame.
        augmentation: Random changes.
        batch_size: The global batch B.
        seed: Of order and augmentation.
        start: The first counter to show.
        stop: The dataset ends before this counter (with a partial batch dropped).
        masks: Which masks to show, if any.
        servers: Machines that make the examples, see `farkeras.data.service`; without influence on what they are.
    """
    preprocessing = preprocessing.within(examples.frame)
    read_masks = masks.reader(len(examples)) if masks else None
    order = ShuffledOrder(len(examples), seed)
    read_image, labels = image_reader(examples), tf.constant(examples.labels)

    def read(counter):
        index = order.index(counter)
        return {"image": preprocessing.decode(read_image(index)), "index": index, "counter": counter}

    def augment(element):
        image_seed = tf.stack([tf.constant(seed, tf.int64), element["counter"]])
        image = augmentation(element["image"], preprocessing, image_seed)
        result = {"image": image, "labels": labels[element["index"]], "counter": element["counter"]}
        if read_masks:
            sides = tf.shape(element["image"])[:2]
            result |= read_masks(element["index"], augmentation.geometry(preprocessing, image_seed, sides))
        return result

    if servers:
        nothing = tf.constant(-1, tf.int64)
        stand_in = {"image": tf.zeros([1, 1, 3], tf.uint8), "index": tf.zeros_like(nothing), "counter": nothing}
        dataset = through_servers(servers, start, stop, read, augment, stand_in)
    else:
        # One map: a second costs each image another hand-over between threads.
        dataset = tf.data.Dataset.range(start, stop).map(lambda counter: augment(read(counter)), tf.data.AUTOTUNE)
        dataset = dataset.ignore_errors(log_warning=False)
    return dataset.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def evaluation_dataset(
    examples: Examples, preprocessing: Preprocessing, batch_size: int, masks: MaskTargets | None = None
) -> tf.data.Dataset:
    """Batches of dicts: `image` float32 `[B, H, W, 3]` in 0..255, `labels` int8 `[B, A]`, `example` int64 `[B]`.

    `example` is the position in `examples`. With `masks` also `masks` and `has_masks`, as in `training_dataset`.
    Undecodable images are left out; the last batch is filled up with images and masks of zeros, labels `UNKNOWN`,
    `example` -1 and `has_masks` False, so that every batch has the same shape.
    """
    preprocessing = preprocessing.within(examples.frame)
    read_masks = masks.reader(len(examples)) if masks else None
    read_image, labels = image_reader(examples), tf.constant(examples.labels)

    def read(example):
        image = preprocessing.decode(read_image(example))
        result = {"image": preprocessing.resize(image), "labels": labels[example], "example": example}
        if read_masks:
            sides = tf.shape(image)[:2]
            part = pixels_of(preprocessing.crop, sides)
            result |= read_masks(example, Geometry(preprocessing.image_size, sides, part))
        return result

    def fill_up(batch):
        missing = batch_size - tf.shape(batch["example"])[0]
        filler = {"image": 0.0, "labels": tf.constant(UNKNOWN, tf.int8), "example": tf.constant(-1, tf.int64)}
        filler |= {"masks": 0.0, "has_masks": False}

        def pad(values, filler):
            padding = [[0, missing]] + [[0, 0]] * (values.shape.rank - 1)
            return tf.ensure_shape(tf.pad(values, padding, constant_values=filler), [batch_size, *values.shape[1:]])

        return {name: pad(values, filler[name]) for name, values in batch.items()}

    dataset = tf.data.Dataset.range(len(examples))
    dataset = dataset.map(read, tf.data.AUTOTUNE).ignore_errors(log_warning=False)
    return dataset.batch(batch_size).map(fill_up).prefetch(tf.data.AUTOTUNE)


def left_out(seen: np.ndarray, start: int, stop: int) -> np.ndarray:
    """The counters or examples in `[start, stop)` that did not come out of a dataset, int64, ascending."""
    return np.setdiff1d(np.arange(start, stop, dtype=np.int64), seen)


def find_undecodable(examples: Examples, preprocessing: Preprocessing) -> list[str]:
    """Reads all images once; paths of those that cannot be decoded."""
    dataset = evaluation_dataset(examples, preprocessing, 256)
    seen = np.concatenate([[-1], *(batch["example"] for batch in dataset.as_numpy_iterator())])
    return [str(examples.paths[i]) for i in left_out(seen, 0, len(examples))]


def check_undecodable(paths, num_images: int) -> None:
    """Refuses to go on when more than 1 % of a split's images cannot be decoded.

    Raises:
        FarkerasError: Says how many and names the first.
    """
    if len(paths) > MAX_UNDECODABLE * num_images:
        raise FarkerasError(
            f"{len(paths)} of {num_images} images cannot be decoded, more than {MAX_UNDECODABLE:.0%}; the first is "
            f"{sorted(paths)[0]}. Replace the damaged files (or unpack the archive, or pack, again) and start the same "
            "command."
        )
