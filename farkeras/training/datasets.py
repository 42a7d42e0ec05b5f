"""`tf.data` datasets for `fit`, from the settings of a run."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.data.examples import Examples
from farkeras.data.pipeline import check_undecodable, evaluation_dataset, training_dataset
from farkeras.data.reading import image_decoder
from farkeras.progress import Progress
from farkeras.training.building import open_data

_ENDLESS = 2**48  # images


class Datasets(NamedTuple):
    """The result of `load_datasets`.

    Attributes:
        train: Endless batches `(images, labels)`: images float32 `[B, H, W, 3]` in 0..255; labels int8 `[B, A]`, 1 for
            positive, 0 for negative, -1 for unknown. For a model with masks, labels are a dict: `"logits"` has the
            labels above, and `"mask_logits"` has keypoints, float32 `[B, 478, 2]`, for
            `farkeras.losses.RegionMaskLoss`; NaN for an image without a face.
        validation: One pass over the validation split, in batches of the same form, without augmentation; the last
            batch may be smaller. Each undecodable image is left out, and a black image with unknown labels is added
            at the end.
        steps_per_epoch: Number of batches of `train` per epoch. `fit` needs it, because `train` does not end.
        grouping: The attributes in the order of the labels, and their groups; the first argument of the models.
        train_examples: The training split, with its `labels`.
        validation_examples: The validation split, with its `labels`.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    steps_per_epoch: int
    grouping: Grouping
    train_examples: Examples
    validation_examples: Examples


def load_datasets(config: Config, progress: Progress | None = None, first_step: int = 0) -> Datasets:
    """Loads the training and validation data of a run, for `fit`.

    The training batches are the same as those of `train_and_evaluate` with the same settings: `source`, `data_dir`,
    `grouping`, `exclude_attributes`, `image_size`, `crop`, `augment_...`, `batch_size`, `seed`. Order and augmentation
    depend only on the seed and the step.

    Args:
        config: The settings. With `model=mgmtn`, the data must have keypoints (`python -m farkeras.annotate`).
        progress: Called while an archive is extracted, see `open_source`.
        first_step: Number of steps taken before: `initial_epoch * steps_per_epoch` to continue a training.

    Returns:
        The datasets, a `Datasets`.

    Raises:
        FarkerasError: The data are incomplete or invalid, a setting does not match them, or more than 1 % of a sample
            of 100 images of a split is undecodable.
    """
    data = open_data(config, progress)
    for examples in (data.train, data.validation):
        _check_sample(examples)
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
        train.map(inputs_and_labels).apply(endless),
        validation.map(inputs_and_labels),
        len(data.train) // config.batch_size,
        data.grouping,
        data.train,
        data.validation,
    )


def _check_sample(examples: Examples, number: int = 100) -> None:
    """Decodes a sample of a split, because `fit` would wait forever if all images were undecodable."""
    rows = np.unique(np.linspace(0, len(examples) - 1, number).astype(np.int64))
    decoded = image_decoder(examples)
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    dataset = dataset.map(lambda row: (row, tf.size(decoded(row))), tf.data.AUTOTUNE)
    seen = [row for row, _ in dataset.ignore_errors(log_warning=False).as_numpy_iterator()]
    check_undecodable([str(path) for path in examples.paths[np.setdiff1d(rows, seen)]], len(rows))


def inputs_and_labels(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor | dict[str, tf.Tensor]]:
    """Converts a batch of `farkeras.data.pipeline` to a pair for `fit`, see `Datasets.train`."""
    if "points" not in batch:
        return batch["image"], batch["labels"]
    points = tf.where(batch["found"][:, None, None], batch["points"], float("nan"))
    return batch["image"], {"logits": batch["labels"], "mask_logits": points}
