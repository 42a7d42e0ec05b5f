"""tf.data pipelines from `Examples` to batches.

Training order is a pure function of a counter that runs over all epochs: at `counter`, the pipeline shows the example
`order.index(counter)` with the random changes drawn for that counter. So a run can resume at any step without replaying
data, and its batches do not depend on the number of threads.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from farkeras.data.augmentation import NUM_DRAWS, Augmentation, Change, Geometry
from farkeras.data.batching import batched, repeat_edges
from farkeras.data.examples import UNKNOWN, Examples
from farkeras.data.keypoints import Keypoints, decode_points
from farkeras.data.preprocessing import Preprocessing, pixels_of
from farkeras.data.reading import IN_FLIGHT, image_decoder
from farkeras.data.service import through_servers
from farkeras.data.shares import Share
from farkeras.errors import FarkerasError

MAX_UNDECODABLE = 0.01
"""Largest share of a split's images that may be undecodable. Above it, a run ends with an error."""

_BLOCK = 256


@dataclass(frozen=True)
class ShuffledOrder:
    """A new permutation of the examples in each epoch. Each element is computed on its own, so nothing is stored.

    Attributes:
        num_examples: Number of examples in an epoch.
        seed: Seed of the permutations.
    """

    num_examples: int
    seed: int

    def index(self, counter: tf.Tensor) -> tf.Tensor:
        """Returns the examples, int64 `[n]`, that are shown at counters over all epochs, int64 `[n]`."""
        epoch, position = counter // self.num_examples, counter % self.num_examples
        seed = tf.stack([tf.fill(tf.shape(epoch), tf.constant(self.seed, tf.int64)), epoch, tf.zeros_like(epoch)], 1)
        last = tf.fill(tf.shape(epoch), tf.constant(self.num_examples - 1, tf.int64))
        return tf.raw_ops.RandomIndexShuffle(index=position, seed=tf.cast(seed, tf.int32), max_index=last)


def planned(
    start: int, stop: int, order: ShuffledOrder, augmentation: Augmentation, crop: Sequence[float], seed: int
) -> tf.data.Dataset:
    """Plans what to show at the counters from `start` to `stop` (exclusive).

    The plan is computed in blocks of `_BLOCK` counters, which takes a few microseconds per image. Image by image it
    would take up to a fifth of the decoding time. Blocks begin at multiples of `_BLOCK`, so the change of an image is a
    function of its counter alone.

    Returns:
        A dataset of dicts with `counter`, `index` (the example) and `change`.
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
    share: Share | None = None,
    finished: bool = True,
) -> tf.data.Dataset:
    """Builds the dataset of training batches.

    Undecodable images are left out: their counters are missing, and later examples fill the batch.

    Args:
        examples: The training split.
        preprocessing: The model's crop and input size. The crop is taken within the examples' frame.
        augmentation: Random changes of the images.
        batch_size: Global batch size B.
        seed: Seed of the order and of the random changes.
        start: First counter to show.
        stop: Counter before which the dataset ends. A partial batch at the end is dropped.
        keypoints: Keypoints of the examples; None for batches without points.
        servers: Addresses of the data servers that make the examples, see `farkeras.data.service`. They do not change
            the examples or their order.
        share: The share of this worker, on several machines. The batches are then those of one replica, and an
            undecodable image that `share` does not name is an error.
        finished: False leaves rotation and colours to `finish_images`, which makes them on the training device. They
            take several times as long as decoding.

    Returns:
        A dataset of dicts: `image` float32 `[B, H, W, 3]` in 0..255, `labels` int8 `[B, A]` and `counter` int64 `[B]`.
        With `keypoints` also `points` float32 `[B, 478, 2]`, x, y as fractions of the frame, moved with the image, and
        `found` bool `[B]`, whether the image has points; without them its `points` are meaningless. The masks are drawn
        from the points later, on the training device, by `farkeras.data.masks.region_masks`.

        With `finished=False` and colours, also `matrix` float32 `[B, 3, 3]` and perhaps `mean` float32 `[B]`; with
        rotation, also `transform` float32 `[B, 8]`, and `image` is then uint8 `[B, height, width, 3]`: the decoded
        images, which `transform` crops and flips as well. The edges of smaller images repeat to the right and below.

    Raises:
        FarkerasError: `keypoints` has another number of images than `examples`, or a server does not answer.
    """
    preprocessing = preprocessing.within(examples.frame)
    size, decoded = preprocessing.image_size, image_decoder(examples)
    annotate = _annotator(examples, keypoints, size)

    def read(plan: dict) -> dict:
        return plan | {"image": decoded(plan["index"])}

    def finish(element: dict) -> dict:
        change, image = element.pop("change"), element["image"]
        geometry = change.geometry(tf.shape(image)[:2])
        element |= {"geometry": geometry} if keypoints else {}
        if finished:
            return element | {"image": change.colour(geometry.image(image, size))}
        return element | _unfinished(change, geometry, image, size)

    def complete(batch: dict) -> dict:
        # Transforms, labels and points take less time for a whole batch than image by image.
        if "source_sides" in batch:
            geometry, sides = batch["geometry"], batch.pop("source_sides")
            batch |= {"image": repeat_edges(batch["image"], sides), "transform": geometry.transform(sides, size)}
            if not keypoints:
                batch.pop("geometry")
        return annotate(batch, batch.pop("index"))

    dataset = planned(start, stop, ShuffledOrder(len(examples), seed), augmentation, preprocessing.crop, seed)
    if share:
        dataset, batch_size = share.of(dataset, batch_size), batch_size // share.replicas
    if servers:
        dataset = through_servers(servers, dataset, stop - start, read, finish)
    else:
        # A second map would hand each image over between threads once more.
        dataset = dataset.map(lambda plan: finish(read(plan)), IN_FLIGHT)
        dataset = dataset if share else dataset.ignore_errors(log_warning=False)
    return batched(dataset, batch_size).map(complete).prefetch(tf.data.AUTOTUNE)


def _unfinished(change: Change, geometry: Geometry, image: tf.Tensor, size: tuple[int, int]) -> dict:
    """Returns the parts of an element from which `finish_images` can make an image of `size`.

    An image that is rotated stays as it was decoded, and its `geometry` becomes a `transform` once it is in a batch.
    """
    colours = {"matrix": change.matrix, "mean": change.mean}
    colours = {name: value for name, value in colours.items() if value is not None}
    if change.degrees is None:
        return {"image": geometry.image(image, size)} | colours
    source = geometry.source(image, size)
    if geometry.flip is None:
        geometry = geometry._replace(flip=tf.constant(False))  # `padded_batch` refuses None
    return {"image": source, "source_sides": tf.shape(source)[:2], "geometry": geometry} | colours


def evaluation_dataset(
    examples: Examples,
    preprocessing: Preprocessing,
    batch_size: int,
    keypoints: Keypoints | None = None,
    fill_up: bool = True,
) -> tf.data.Dataset:
    """Builds the dataset of evaluation batches, in the order of the examples.

    Undecodable images are left out. For each of them, the dataset ends with one filler element: image and points are
    zeros, labels `UNKNOWN`, `example` -1 and `found` False.

    Args:
        examples: The split to evaluate.
        preprocessing: The model's crop and input size. The crop is taken within the examples' frame.
        batch_size: Batch size B.
        keypoints: Keypoints of the examples; None for batches without points.
        fill_up: Whether to add filler elements until the last batch has the same shape as the others.

    Returns:
        A dataset of dicts: `image` float32 `[B, H, W, 3]` in 0..255, `labels` int8 `[B, A]` and `example` int64 `[B]`,
        the position in `examples`. With `keypoints` also `points` and `found`, as in `training_dataset`.

    Raises:
        FarkerasError: `keypoints` has another number of images than `examples`.
    """
    preprocessing = preprocessing.within(examples.frame)
    decoded, annotate = image_decoder(examples), _annotator(examples, keypoints, preprocessing.image_size)

    def read(example: tf.Tensor) -> dict:
        image = decoded(example)
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
    """Returns a function that adds labels, and points moved by `geometry`, to a batch, given the examples it shows.

    It works on whole batches: image by image, moving the points would take a sixth of the decoding time.
    """
    if keypoints and len(keypoints.found) != len(examples):
        raise FarkerasError(
            f"`keypoints` must have one row for each of the {len(examples)} examples. Received: "
            f"{len(keypoints.found)} rows. Load them with load_keypoints(data_dir, examples.paths)."
        )
    with tf.device("CPU"):  # where the pipeline runs; about 400 MB for CelebA
        labels = tf.constant(examples.labels)
        points, found = (tf.constant(keypoints.points), tf.constant(keypoints.found)) if keypoints else (None, None)

    def annotate(batch: dict, shown: tf.Tensor) -> dict:
        filler, shown = shown < 0, tf.maximum(shown, 0)
        unknown = tf.constant(UNKNOWN, tf.int8)
        batch |= {"labels": tf.where(filler[:, None], unknown, tf.gather(labels, shown))}
        if keypoints:
            moved = batch.pop("geometry").points(decode_points(tf.gather(points, shown)), image_size)
            moved = tf.where(filler[:, None, None], 0.0, moved)  # the geometry of a filler is all zeros
            batch |= {"points": moved, "found": tf.gather(found, shown) & ~filler}
        return batch

    return annotate


def left_out(seen: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Returns the counters or examples in `[start, stop)` that a dataset left out, int64 in ascending order."""
    return np.setdiff1d(np.arange(start, stop, dtype=np.int64), seen)


def find_undecodable(examples: Examples, preprocessing: Preprocessing) -> list[str]:
    """Reads all images once and returns the paths of the undecodable ones."""
    dataset = evaluation_dataset(examples, preprocessing, 256)
    seen = np.concatenate([[-1], *(batch["example"] for batch in dataset.as_numpy_iterator())])
    return [str(examples.paths[i]) for i in left_out(seen, 0, len(examples))]


def check_undecodable(paths: Collection[str], num_images: int) -> None:
    """Checks that at most 1 % of a split's images are undecodable.

    Args:
        paths: Paths of the undecodable images.
        num_images: Number of images in the split.

    Raises:
        FarkerasError: More images are undecodable. The message gives their number and the first path.
    """
    if len(paths) > MAX_UNDECODABLE * num_images:
        raise FarkerasError(
            f"{len(paths)} of {num_images} images cannot be decoded, more than the allowed {MAX_UNDECODABLE:.0%}; the "
            f"first is {sorted(paths)[0]}. Replace the damaged files, unpack the archive again or pack the data set "
            "again, then run the same command."
        )
