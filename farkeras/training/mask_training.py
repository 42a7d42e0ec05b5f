"""Training of the mask network alone, on faces without labels: a start for MGMTN on few images."""

import os

import keras
import numpy as np
import tensorflow as tf

from farkeras.attributes import REGIONS
from farkeras.config import Config
from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples
from farkeras.data.keypoints import Keypoints, load_keypoints
from farkeras.data.learnable import check_batch_size
from farkeras.data.masks import region_masks
from farkeras.data.pipeline import check_undecodable, evaluation_dataset, find_undecodable, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.reading import in_memory
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.source import filled_splits
from farkeras.errors import FarkerasError
from farkeras.inference.forward import mask_overlaps
from farkeras.layers import AML
from farkeras.losses import RegionMaskLoss
from farkeras.metrics.mask_metrics import evaluate_masks
from farkeras.models.fused_batch_norms import fuse_batch_norms
from farkeras.models.mask_weights import check_mask_file, load_mask_weights, save_mask_network
from farkeras.progress import Progress, report
from farkeras.training.datasets import inputs_and_labels
from farkeras.training.devices import make_strategy, precision
from farkeras.training.optimizers import make_optimizer


def train_mask_network(
    config: Config, output: str | os.PathLike, progress: Progress | None = None, unpacking: Progress | None = None
) -> dict:
    """Trains MGMTN's mask network alone, for the setting `mask_weights` of later runs.

    The images need keypoints (`farkeras.annotate_images`) and no labels. The settings of the data, the input,
    the augmentation, the optimizer and the mask network have the same meaning as in `train_and_evaluate`; the loss is
    `farkeras.losses.RegionMaskLoss`. With `mask_weights` set to a path or `shipped`, the network starts from these
    weights; otherwise its weights are random. The same settings give the same weights on the same processor.

    Args:
        config: The settings.
        output: The `.keras` file to write, with weights in float16. It appears only when it is complete.
        progress: Called as `progress(steps_done, steps_total)`.
        unpacking: Called while an archive is extracted, see `open_source`.

    Returns:
        The metrics of the written weights on the validation split, as `evaluate_masks` gives them: `mean_mask_iou`,
        `mask_iou` by region and `mask_images`. Empty if the data have no validation split.

    Raises:
        FarkerasError: Settings and data do not match, keypoints are missing, no face was found in any training image,
            too many images are undecodable, the loss is not finite, or `output` does not end in `.keras` or cannot be
            written.
    """
    path = check_mask_file(output)
    source = open_source(config.source, config.data_dir, unpacking, config.to_dict())
    train, validation = source.split("train"), filled_splits(source).get("validation")
    check_batch_size(train, config.batch_size)
    keypoints = load_keypoints(config.data_dir, train.paths, config.source, config.keypoints_dir)
    if not keypoints.found.any():
        raise FarkerasError(f"No face was found in any training image of {config.data_dir}; expected faces to learn.")
    keras.utils.set_random_seed(config.seed)
    with make_strategy(config.replicas).scope():
        with precision(config.precision):
            model = mask_model(config)
        fuse_batch_norms(model)
        network = model.get_layer("aml")
        if config.mask_weights not in ("auto", "none"):
            load_mask_weights(network, config.mask_weights)
        steps_per_epoch = len(train) / config.batch_size
        steps = max(1, int(config.epochs * steps_per_epoch))
        optimizer = make_optimizer(config, model.trainable_variables, steps, steps_per_epoch)
        model.compile(optimizer, RegionMaskLoss(), jit_compile=False)
    preprocessing = Preprocessing(config.image_size, config.crop)
    if config.cache_images:
        train = in_memory(train)
    _fit(model, _training_batches(config, train, keypoints, preprocessing, steps), steps, progress)
    if int(optimizer.iterations.numpy()) < steps:
        # The dataset has spare examples for the allowed share of undecodable images; more than that are undecodable.
        check_undecodable(find_undecodable(train, preprocessing), len(train))
    save_mask_network(network, config.image_size, path)
    if validation is None:
        return {}
    with precision("float32"):
        written = mask_model(config)
    load_mask_weights(written.get_layer("aml"), path)
    points = load_keypoints(config.data_dir, validation.paths, config.source, config.keypoints_dir)
    return evaluate_mask_network(written, validation, points, preprocessing, config.batch_size)


def mask_model(config: Config) -> keras.Model:
    """Builds the mask network of a run: a model from images to mask logits, with random weights."""
    images = keras.Input((*config.image_size, 3), name="images")
    masks = AML(len(REGIONS), config.mask_widths, config.mask_stride, name="aml")(images)
    return keras.Model(images, masks, name="mask_network")


def evaluate_mask_network(
    model: keras.Model, examples: Examples, keypoints: Keypoints, preprocessing: Preprocessing, batch_size: int = 64
) -> dict:
    """Compares the masks of a network with those drawn from keypoints, at the size of the images.

    Args:
        model: A model from images to mask logits.
        examples: The images.
        keypoints: Their keypoints.
        preprocessing: The preprocessing from an image file to the model's input.
        batch_size: Images per batch.

    Returns:
        The metrics, see `evaluate_masks`.
    """

    @tf.function(reduce_retracing=True)
    def overlaps(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        masks = region_masks(batch["points"], preprocessing.image_size)
        return mask_overlaps(tf.sigmoid(model(batch["image"], training=False)), masks, batch["found"])

    total, seen = np.zeros((2, len(REGIONS)), np.int64), np.zeros(len(examples), bool)
    for batch in evaluation_dataset(examples, preprocessing, batch_size, keypoints):
        total += overlaps(batch).numpy().sum(axis=0)
        shown = batch["example"].numpy()
        seen[shown[shown >= 0]] = True
    check_undecodable([str(path) for path in examples.paths[~seen]], len(examples))
    return evaluate_masks(total, int(keypoints.found[seen].sum()))


def _training_batches(
    config: Config, train: Examples, keypoints: Keypoints, preprocessing: Preprocessing, steps: int
) -> tf.data.Dataset:
    needed = steps * config.batch_size
    dataset = training_dataset(
        train,
        preprocessing,
        Augmentation.of_run(config),
        config.batch_size,
        config.seed,
        0,
        # 2 % more examples replace undecodable images, of which a training allows 1 %.
        needed + needed // 50 + config.batch_size,
        keypoints,
        config.data_service,
    )
    return dataset.map(lambda batch: (batch["image"], inputs_and_labels(batch)[1]["mask_logits"]))


def _fit(model: keras.Model, dataset: tf.data.Dataset, steps: int, progress: Progress | None) -> None:
    def after_step(step: int, logs: dict) -> None:
        if not np.isfinite(logs["loss"]):
            raise FarkerasError(
                f"The loss is not finite at step {step + 1}. Lower `learning_rate`, increase `warmup_epochs`, or use "
                "`precision=float32`."
            )
        report(progress, step + 1, steps)

    report(progress, 0, steps)
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=after_step)
    model.fit(dataset, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[callback])
