"""The parts of a run: its data in `Data`; its model, phases and state in `Run`."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping, load_grouping
from farkeras.config import Config
from farkeras.data.augmentation import Augmentation
from farkeras.data.check import Finding, failure
from farkeras.data.examples import Examples
from farkeras.data.keypoints import Keypoints, load_keypoints
from farkeras.data.learnable import check_attributes, check_batch_size, check_classes, check_selection
from farkeras.data.pipeline import training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.reading import in_memory
from farkeras.data.shares import Share
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError
from farkeras.inference.forward import compile_forward
from farkeras.metrics.history import ended_early, read_history
from farkeras.models import MODELS
from farkeras.models.base import FaceAttributeModel
from farkeras.models.batch_norms import batch_norms, suit_batch_norms
from farkeras.models.fused_batch_norms import fuse_batch_norms
from farkeras.models.mask_weights import load_mask_weights, start_of_masks
from farkeras.models.model_file import MODEL_FILE, copy_matching_weights, load_model
from farkeras.progress import Progress
from farkeras.training.checkpoints import RunState, newest_checkpoint
from farkeras.training.devices import local_strategy, make_strategy, precision
from farkeras.training.handicaps import with_wrong_labels
from farkeras.training.phases import FROZEN_BACKBONE, make_phases
from farkeras.training.preemption import StopRequest
from farkeras.training.workers import Workers
from farkeras.weighting import make_weighting

CHECKPOINTS = "checkpoints"
METRICS_FILE = "metrics.jsonl"


@dataclass(frozen=True)
class Data:
    """The data that a run trains and validates on.

    Attributes:
        grouping: The attributes that are trained, in groups.
        left_out: Attributes of the data that are not trained, because they are excluded or in no group.
        train: The training split.
        validation: The validation split.
        preprocessing: The preprocessing from an image file to the model's input.
        augmentation: Random changes of the training images.
        train_keypoints: Keypoints of the training split; None for a model without masks.
        validation_keypoints: Keypoints of the validation split; None for a model without masks.
    """

    grouping: Grouping
    left_out: tuple[str, ...]
    train: Examples
    validation: Examples
    preprocessing: Preprocessing
    augmentation: Augmentation
    train_keypoints: Keypoints | None = None
    validation_keypoints: Keypoints | None = None


def open_data(config: Config, progress: Progress | None = None) -> Data:
    """Opens the source and checks that settings and data match.

    Args:
        config: The settings.
        progress: Called while an archive is extracted, see `open_source`.

    Raises:
        FarkerasError: The source or the grouping is invalid, the training split is smaller than a batch, keypoints are
            missing, no attribute has labels of both classes, or `config.cache_images` is set with too little memory or
            with a data service.
    """
    if config.cache_images and config.data_service:
        raise FarkerasError("With `data_service`, other machines decode the images. Leave out `cache_images`.")
    source = open_source(config.source, config.data_dir, progress, config.to_dict())
    check_attributes(source.attributes)
    grouping = load_grouping(config.grouping, source.attributes, config.excluded)
    train, validation = (source.split(name).select(grouping.attributes) for name in ("train", "validation"))
    train = with_wrong_labels(train.share(config.train_fraction), config, grouping)
    check_batch_size(train, config.batch_size)
    check_classes(train)
    if config.cache_images:
        train, validation = in_memory(train), in_memory(validation)
    keypoints = []
    if MODELS[config.model].has_masks:
        where = (config.source, config.keypoints_dir)
        keypoints = [load_keypoints(config.data_dir, split.paths, *where) for split in (train, validation)]
    preprocessing = Preprocessing(config.image_size, config.crop)
    left_out = tuple(name for name in source.attributes if name not in grouping.attributes)
    augmentation = Augmentation.of_run(config)
    return Data(grouping, left_out, train, validation, preprocessing, augmentation, *keypoints)


def build_model(config: Config, grouping: Grouping) -> FaceAttributeModel:
    """Builds the model of a run with its initial weights, in the current precision policy."""
    if config.init_from:
        config = replace(config, backbone_weights="none")
    return MODELS[config.model].from_settings(config, grouping)


class Run:
    """A training run: its settings, data, model and state. `farkeras.training.loop.run_phases` trains it.

    Args:
        config: All settings.
        workdir: Folder of the run.
        data: The data, from `open_data`.
        strategy: The devices; by default those of `config.replicas`.
        stop: The request that may stop the run.
        workers: The workers of the run; by default this process alone.

    Attributes:
        phases: The phases of training, in order.
        started_anew: With `config.init_from`, paths of the weights that were not taken from the other run.
        mask_weights: Where the weights of the mask network come from: `shipped`, `none` (random) or a path; "" for a
            model without masks.
        undecodable: Paths of the training images that were left out so far.
        known_undecodable: With several workers, all undecodable training examples, int64 in ascending order.
        local: The strategy over the devices of this machine.
        undecodable_validation: Paths of the images that the last validation left out.
        without_better: Number of validations since the last one with a better model, if `config.patience` is set.
        ended_early: The sentence with which `config.patience` ended the run; "" as long as it has not.

    Raises:
        FarkerasError: The batch size is not a multiple of the number of replicas, `config.select_by` is undefined on
            the validation split, or the model cannot be built.
    """

    def __init__(
        self,
        config: Config,
        workdir: Path,
        data: Data,
        strategy: tf.distribute.Strategy | None = None,
        stop: StopRequest | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.config, self.workdir, self.data, self.workers = config, workdir, data, workers or Workers()
        self.asked = stop or StopRequest()
        # Workers stop after the same step: a request to one of them becomes one to all when they gather.
        self.stop = self.asked if self.workers.count == 1 else StopRequest()
        self.strategy = strategy or make_strategy(config.replicas)
        replicas = self.strategy.num_replicas_in_sync
        if config.batch_size % replicas:
            raise FarkerasError(
                f"`batch_size` must be a multiple of the {replicas} replicas. Received: {config.batch_size}."
            )
        check_selection(data.validation, config.select_by)
        self.steps_per_epoch = len(data.train) / config.batch_size
        self.started_anew: list[str] = []
        self.mask_weights = ""
        self.undecodable: set[str] = set()
        self.known_undecodable = np.zeros(0, np.int64)
        self.undecodable_validation: list[str] = []
        self.without_better, self.ended_early = 0, ""
        keras.utils.set_random_seed(config.seed)
        self.local = local_strategy(self.strategy)
        with self.strategy.scope():
            dtype = self._build_model()
        with self.local.scope(), precision("float32"):
            # The model that is validated and saved: always float32, with averaged weights if `ema_decay` is set.
            self.final_model = type(self.model).from_config(self.model.get_config())
        self.forward = compile_forward(self.final_model, self.local)
        with self.strategy.scope():
            self._build_phases(dtype)
        self.total_steps = self.phases[-1].end
        self.optimizers = {phase.optimizer_name: phase.step.optimizer for phase in self.phases}
        self.state = RunState(workdir / CHECKPOINTS, self.model, self.optimizers, self.weighting)

    def _build_model(self) -> str:
        """Builds the model with its initial weights, and returns the type of its variables."""
        config, grouping = self.config, self.data.grouping
        started = self.workers.chief and newest_checkpoint(self.workdir / CHECKPOINTS) is not None
        if self.workers.from_chief({"started": started})["started"]:
            # The checkpoint holds all weights; the files of the initial weights may be gone.
            config = replace(config, init_from="", backbone_weights="none", mask_weights="none")
        with precision(config.precision):
            self.model = build_model(config, grouping)
            dtype = keras.config.dtype_policy().variable_dtype
        if config.init_from:
            other, metadata = load_model(config.init_from)
            try:
                self.started_anew = copy_matching_weights(other, self.model)
            except FarkerasError as error:
                names = [name for name in ("model", "backbone", "backbone_alpha") if name in metadata.config]
                same = ", ".join(f"`{name}={metadata.config[name]}`" for name in names)
                raise FarkerasError(f"{error} It has {same}." if same else str(error)) from None
        if self.model.has_masks:
            self.mask_weights = self._start_masks(config)
        if config.sync_batch_norm:  # off by default: each layer then communicates
            for layer in batch_norms(self.model):
                layer.synchronized = True
        fuse_batch_norms(self.model)
        return dtype

    def _build_phases(self, dtype: str) -> None:
        config, grouping = self.config, self.data.grouping
        sizes = [len(members) for members in grouping.groups.values()]
        self.weighting = make_weighting(config, self.steps_per_epoch).build(sizes, dtype)
        labels, steps_per_epoch = self.data.train.labels, self.steps_per_epoch
        self.phases = make_phases(config, self.model, self.weighting, grouping, labels, steps_per_epoch, self.strategy)
        learning = [phase for phase in self.phases if phase.name != FROZEN_BACKBONE]
        shortest = min(phase.end - phase.start for phase in learning)
        suit_batch_norms(self.model, shortest, config.batch_norm_momentum)

    @property
    def finished(self) -> bool:
        """Whether the run has taken all its steps, or `config.patience` has ended it."""
        return int(self.state.step) >= self.total_steps or bool(self.ended_early)

    def recall(self, history: list[dict]) -> None:
        """Takes what a run knows besides its checkpoint from the lines of its metrics file."""
        self.ended_early = ended_early(history)
        for record in history:
            self.undecodable.update(record.get("undecodable", ()))
            if "validation" in record:
                self.undecodable_validation = record["validation"].get("undecodable", self.undecodable_validation)
                self.without_better = record.get("without_better", 0)
                if record["best"]:  # the checkpoint may be older than the validation, see `run_phases`
                    self.state.best.assign(record["validation"][self.config.select_by])

    def _start_masks(self, config: Config) -> str:
        """Gives the mask network its initial weights, and returns where they come from."""
        network = self.model.mask_network
        weights = {weight.path for weight in network.weights}
        if config.init_from and config.mask_weights in ("auto", "none") and not weights & set(self.started_anew):
            return config.init_from
        start = start_of_masks(config.mask_weights, network, len(self.data.train))
        if start != "none":
            load_mask_weights(network, start)
            self.started_anew = [path for path in self.started_anew if path not in weights]
        return start

    def check_room(self) -> None:
        """Raises `FarkerasError` unless the disk has room for the model file and the checkpoints of the run."""
        kept = [v for optimizer in self.optimizers.values() for v in optimizer.variables]
        model, state = (
            sum(v.value.shape.num_elements() * v.value.dtype.size for v in variables)
            for variables in (self.model.variables, [*self.model.variables, *kept])
        )
        # Of two checkpoints and one model file, the next is written before one is removed.
        written = [*(self.workdir / CHECKPOINTS).glob("*"), self.workdir / MODEL_FILE]
        needed = 3 * state + 2 * model - sum(path.stat().st_size for path in written if path.is_file())
        folders = (self.workdir.absolute(), *self.workdir.absolute().parents)
        free = shutil.disk_usage(next(folder for folder in folders if folder.exists())).free
        if needed > free:
            raise FarkerasError(
                f"The model file and the checkpoints need {needed / 1e6:,.0f} MB in {self.workdir}, and the disk has "
                f"{free / 1e6:,.0f} MB left. Make room, or choose another `workdir`."
            )

    def training_dataset(self, start: int, finished: bool = True) -> tf.data.Dataset:
        """Returns the training batches of the run, from example counter `start` on.

        With `finished=False`, `Step.run` rotates and colours the images, on the training device.
        """
        data, config = self.data, self.config
        needed = self.total_steps * config.batch_size
        return training_dataset(
            data.train,
            data.preprocessing,
            data.augmentation,
            config.batch_size,
            config.seed,
            start,
            # 2 % more examples replace undecodable images, of which a run allows 1 %.
            needed + needed // 50 + config.batch_size,
            data.train_keypoints,
            config.data_service,
            self._share(),
            finished,
        )

    def _share(self) -> Share | None:
        workers = self.workers
        if workers.count == 1:
            return None
        return Share(workers.number, workers.count, self.strategy.num_replicas_in_sync, self.known_undecodable)

    def distributed_batches(self, start: int) -> Iterator:
        """Returns an iterator over the training batches on all replicas, from example counter `start` on."""
        if self.workers.count == 1:
            return iter(self.strategy.experimental_distribute_dataset(self.training_dataset(start, finished=False)))
        # An endless dataset needs no exchange between the workers before each step.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        batches = self.training_dataset(start, finished=False).apply(endless)
        return iter(self.strategy.distribute_datasets_from_function(lambda _: batches))


def start_findings(config: Config, workdir: Path) -> list[Finding]:
    """Returns, as findings, what a run would refuse after opening its data and before its first step.

    These are devices, a checkpoint or a file with weights of the backbone that do not fit the settings, and a disk
    without room. The model is built to learn its size; nothing is downloaded or written.

    Args:
        config: All settings.
        workdir: Folder of the run, which need not exist.

    Raises:
        FarkerasError: From `open_data`.
    """
    weights = "none" if config.backbone_weights == "imagenet" else config.backbone_weights
    config = replace(config, init_from="", backbone_weights=weights, cache_images=False)
    data = open_data(config)
    try:
        run = Run(config, workdir, data)
        with run.strategy.scope():
            run.state.restore()
    except FarkerasError as error:
        return [Finding("settings", str(error), training_fails=True)]
    run.recall(read_history(workdir / METRICS_FILE))
    return [] if run.finished else failure("room", run.check_room)
