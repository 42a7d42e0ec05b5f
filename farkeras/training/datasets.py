"""The data of a configuration as tf.data datasets, for `fit`."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.data.examples import Examples
from farkeras.data.pipeline import check_undecodable, evaluation_dataset, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.reading import image_reader
from farkeras.progress import Progress
from farkeras.training.building import open_data

_ENDLESS = 2**48  # images


class Datasets(NamedTuple):
    """What `load_datasets` gives.

    Attributes:
        train: Endless batches `(images, labels)`: float32 `[B, H, W, 3]` in 0..255, and int8 `[B, A]`, 1 positive, 0
            negative, -1 unknown. For a model with masks the labels are a dict of these, `"logits"`, and of the key
            points float32 `[B, 478, 2]`, `"mask_logits"`, as `farkeras.losses.RegionMaskLoss` takes them.
        validation: The validation split once, in batches of the same form without augmentation; the last is smaller.
            For an image that cannot be decoded, later ones move up, and the end has a black image of unknown labels.
        steps_per_epoch: Batches of `train` to an epoch; `fit` needs it, since `train` does not end.
        grouping: The attributes in the order of the labels, and their groups: what the models take first.
        train_examples: The training split, with its `labels`.
        validation_examples: The validation split.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    steps_per_epoch: int
    grouping: Grouping
    train_examples: Examples
    validation_examples: Examples


def load_datasets(config: Config, progress: Progress | None = None, first_step: int = 0) -> Datasets:
    """The training and validation data that a configuration names, for `fit`.

    The training batches are those that `train_and_evaluate` shows with the same settings: `source`, `data_dir`,
    `grouping`, `exclude_attributes`, `image_size`, `crop`, `augment_...`, `batch_size`, `seed`. Order and augmentation
    are a function of the seed and of the step alone.

    Args:
        config: The settings. With `model=mgmtn` the data must have key points (`python -m farkeras.annotate`).
        progress: Called while an archive is extracted, see `open_source`.
        first_step: Steps that training has taken before: `initial_epoch * steps_per_epoch` to continue.

    Raises:
        FarkerasError: The source does not hold what it should, a setting does not fit it, or more than 1 % of a
            hundred images of a split cannot be decoded.
    """
    data = open_data(config, progress)
    for examples in (data.train, data.validation):
        _check_sample(examples, data.preprocessing)
    train = training_dataset(
        data.train,
        data.preprocessing,
        data.augmentation,
        config.batch_size,
        config.seed,
        first_step * config.batch_size,
        _ENDLESS,
        data.train_keypoints,
        config.data_service,
    )
    validation = evaluation_dataset(
        data.validation, data.preprocessing, config.batch_size, data.validation_keypoints, fill_up=False
    )
    endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    return Datasets(
        train.map(_inputs_and_labels).apply(endless),
        validation.map(_inputs_and_labels),
        len(data.train) // config.batch_size,
        data.grouping,
        data.train,
        data.validation,
    )


def _check_sample(examples: Examples, preprocessing: Preprocessing, number: int = 100) -> None:
    """Reads a few images of a split: `fit` would wait for ever for the first batch of images in a foreign format."""
    rows = np.unique(np.linspace(0, len(examples) - 1, number).astype(np.int64))
    read_image = image_reader(examples)
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    dataset = dataset.map(lambda row: (row, tf.size(preprocessing.decode(read_image(row)))), tf.data.AUTOTUNE)
    seen = [row for row, _ in dataset.ignore_errors(log_warning=False).as_numpy_iterator()]
    check_undecodable([str(path) for path in examples.paths[np.setdiff1d(rows, seen)]], len(rows))


def _inputs_and_labels(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor | dict[str, tf.Tensor]]:
    if "points" not in batch:
        return batch["image"], batch["labels"]
    points = tf.where(batch["found"][:, None, None], batch["points"], float("nan"))
    return batch["image"], {"logits": batch["labels"], "mask_logits": points}
