"""tf.data pipelines from `Examples` to batches.

Training order is a pure function of a counter that runs over all epochs: example `order.index(counter)` is shown at
`counter`, with changes drawn for that counter. So a run continues at any point without replaying data, and the number
of parallel threads changes nothing.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from farkeras.data.augmentation import NUM_DRAWS, Augmentation, Geometry
from farkeras.data.examples import UNKNOWN, Examples
from farkeras.data.keypoints import Keypoints, decode_points
from farkeras.data.preprocessing import Preprocessing, pixels_of
from farkeras.data.reading import IN_FLIGHT, image_reader
from farkeras.data.service import through_servers
from farkeras.errors import FarkerasError

MAX_UNDECODABLE = 0.01
"""Largest share of images that may fail to decode before a run ends with an error."""

_BLOCK = 256


@dataclass(frozen=True)
class ShuffledOrder:
    """A new permutation of the examples each epoch, computed per element: nothing is stored, any place can be read."""

    num_examples: int
    seed: int

    def index(self, counter: tf.Tensor) -> tf.Tensor:
        """int64 counters `[n]` over all epochs -> int64 examples `[n]`."""
        epoch, position = counter // self.num_examples, counter % self.num_examples
        seed = tf.stack([tf.fill(tf.shape(epoch), tf.constant(self.seed, tf.int64)), epoch, tf.zeros_like(epoch)], 1)
        last = tf.fill(tf.shape(epoch), tf.constant(self.num_examples - 1, tf.int64))
        return tf.raw_ops.RandomIndexShuffle(index=position, seed=tf.cast(seed, tf.int32), max_index=last)


def planned(
    start: int, stop: int, order: ShuffledOrder, augmentation: Augmentation, crop: Sequence[float], seed: int
) -> tf.data.Dataset:
    """What is to be shown at the counters from `start` to `stop`: dicts of `counter`, `index` and `change`.

    Made for `_BLOCK` counters at a time, for a few microseconds each; image by image it would cost as much as a fifth
    of decoding. Blocks begin at multiples of `_BLOCK`, so an image's change is a function of its counter alone.
    """

    def block(number: tf.Tensor) -> dict:
        counter = number * _BLOCK + tf.range(_BLOCK, dtype=tf.int64)
        draws = tf.random.stateless_uniform([_BLOCK, NUM_DRAWS], tf.stack([tf.constant(seed, tf.int64), number]), -1, 1)
        wanted = slice(tf.maximum(start - counter[0], 0), tf.minimum(stop - counter[0], _BLOCK))
        counter, draws = counter[wanted], draws[wanted]
        return {"counter": counter, "index": order.index(counter), "change": augmentation.changes(crop, draws)}

    return tf.data.Dataset.range(start // _BLOCK, -(-stop // _BLOCK)).map(block).unbatch()


def training_dataset(
    examples: Examples,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    start: int,
    stop: int,
    keypoints: Keypoints | None = None,
    servers: Sequence[str] = (),
) -> tf.data.Dataset:
    """Batches of dicts: `image` float32 `[B, H, W, 3]` in 0..255, `labels` int8 `[B, A]`, `counter` int64 `[B]`.

    With `keypoints` also `points` float32 `[B, 478, 2]`, x, y as fractions of the frame, moved with the image, and
    `found` bool `[B]`: whether the image has a face that was found, else its points mean nothing. Masks are drawn from
    them where they are used, on the training device: see `farkeras.data.masks.region_masks`.

    Undecodable images are left out: their counters are missing and later ones move up.

    Args:
        examples: The training split.
        preprocessing: The model's crop and size; the crop is taken within the examples' frame.
        augmentation: Random changes.
        batch_size: The global batch B.
        seed: Of order and augmentation.
        start: The first counter to show.
        stop: The dataset ends before this counter (with a partial batch dropped).
        keypoints: The examples' key points, to show them.
        servers: Machines that make the examples, see `farkeras.data.service`; without influence on what they are.
    """
    preprocessing = preprocessing.within(examples.frame)
    size, read_image = preprocessing.image_size, image_reader(examples)
    annotate = _annotator(examples, keypoints, size)

    def read(plan: dict) -> dict:
        return plan | {"image": preprocessing.decode(read_image(plan["index"]))}

    def finish(element: dict) -> dict:
        change, image = element.pop("change"), element["image"]
        geometry = change.geometry(tf.shape(image)[:2])
        moved = {"geometry": geometry} if keypoints else {}
        return element | {"image": change.colour(geometry.image(image, size))} | moved

    dataset = planned(start, stop, ShuffledOrder(len(examples), seed), augmentation, preprocessing.crop, seed)
    if servers:
        dataset = through_servers(servers, dataset, stop - start, read, finish)
    else:
        # One map: a second costs each image another hand-over between threads.
        dataset = dataset.map(lambda plan: finish(read(plan)), IN_FLIGHT).ignore_errors(log_warning=False)
    dataset = dataset.batch(batch_size, drop_remainder=True)
    return dataset.map(lambda batch: annotate(batch, batch.pop("index"))).prefetch(tf.data.AUTOTUNE)


def evaluation_dataset(
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    keypoints: Keypoints | None = None,
    fill_up: bool = True,
) -> tf.data.Dataset:
    """Batches of dicts: `image` float32 `[B, H, W, 3]` in 0..255, `labels` int8 `[B, A]`, `example` int64 `[B]`.

    `example` is the position in `examples`. With `keypoints` also `points` and `found`, as in `training_dataset`.

    For each image that cannot be decoded, and with `fill_up` to make all batches the same shape, the end has an element
    with image and points of zeros, labels `UNKNOWN`, `example` -1 and `found` False.
    """
    preprocessing = preprocessing.within(examples.frame)
    read_image, annotate = image_reader(examples), _annotator(examples, keypoints, preprocessing.image_size)

    def read(example: tf.Tensor) -> dict:
        image = preprocessing.decode(read_image(example))
        sides = tf.shape(image)[:2]
        moved = {"geometry": Geometry(sides, pixels_of(preprocessing.crop, sides))} if keypoints else {}
        return {"image": preprocessing.resize(image), "example": example} | moved

    dataset = tf.data.Dataset.range(len(examples))
    dataset = dataset.map(read, IN_FLIGHT).ignore_errors(log_warning=False)
    num_batches = -(-len(examples) // batch_size)
    filler: dict = {"image": tf.zeros((*preprocessing.image_size, 3)), "example": tf.constant(-1, tf.int64)}
    if keypoints:
        filler["geometry"] = Geometry(tf.zeros(2, tf.int32), tf.zeros(4, tf.int32))
    dataset = dataset.concatenate(tf.data.Dataset.from_tensors(filler).repeat()).take(
        num_batches * batch_size if fill_up else len(examples)
    )
    dataset = dataset.batch(batch_size, drop_remainder=fill_up)
    dataset = dataset.map(lambda batch: annotate(batch, batch["example"])).prefetch(tf.data.AUTOTUNE)
    return dataset.apply(tf.data.experimental.assert_cardinality(num_batches))


def _annotator(
    examples: Examples, keypoints: Keypoints | None, image_size: tuple[int, int]
) -> Callable[[dict, tf.Tensor], dict]:
    """The function (batch, which examples it shows) -> the batch with labels, and with points for its `geometry`.

    Batch by batch: image by image, points would cost a sixth of what decoding does.
    """
    if keypoints and len(keypoints.found) != len(examples):
        raise FarkerasError(
            f"The key points are those of {len(keypoints.found)} images, the examples are {len(examples)}; "
            "expected as many. Load them with load_keypoints(data_dir, examples.paths)."
        )
    with tf.device("CPU"):  # where the pipeline runs: some 400 MB for CelebA
        labels = tf.constant(examples.labels)
        points, found = (tf.constant(keypoints.points), tf.constant(keypoints.found)) if keypoints else (None, None)

    def annotate(batch: dict, shown: tf.Tensor) -> dict:
        filler, shown = shown < 0, tf.maximum(shown, 0)
        unknown = tf.constant(UNKNOWN, tf.int8)
        batch |= {"labels": tf.where(filler[:, None], unknown, tf.gather(labels, shown))}
        if keypoints:
            moved = batch.pop("geometry").points(decode_points(tf.gather(points, shown)), image_size)
            moved = tf.where(filler[:, None, None], 0.0, moved)  # a filler's geometry is nothing
            batch |= {"points": moved, "found": tf.gather(found, shown) & ~filler}
        return batch

    return annotate


def left_out(seen: np.ndarray, start: int, stop: int) -> np.ndarray:
    """The counters or examples in `[start, stop)` that did not come out of a dataset, int64, ascending."""
    return np.setdiff1d(np.arange(start, stop, dtype=np.int64), seen)


def find_undecodable(examples: Examples, preprocessing: Preprocessing) -> list[str]:
    """Reads all images once; paths of those that cannot be decoded."""
    dataset = evaluation_dataset(examples, preprocessing, 256)
    seen = np.concatenate([[-1], *(batch["example"] for batch in dataset.as_numpy_iterator())])
    return [str(examples.paths[i]) for i in left_out(seen, 0, len(examples))]


def check_undecodable(paths: Collection[str], num_images: int) -> None:
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
