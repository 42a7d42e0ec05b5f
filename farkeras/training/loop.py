"""Training and validation of one run: `train_and_evaluate(config, workdir)`."""

import dataclasses
import inspect
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping, load_grouping
from farkeras.config import Config
from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples
from farkeras.data.keypoints import Keypoints, load_keypoints
from farkeras.data.pipeline import ShuffledOrder, check_undecodable, find_undecodable, left_out, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.procedural import is_procedural
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError
from farkeras.files import write_text
from farkeras.flagfiles import read_flagfile, save_flagfile
from farkeras.inference.forward import compile_forward, predict_examples
from farkeras.losses import balanced_positive_weights
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.models import MODELS
from farkeras.models.model_file import (
    MODEL_FILE,
    ModelMetadata,
    copy_matching_weights,
    current_versions,
    load_model,
    save_model,
)
from farkeras.progress import Progress
from farkeras.training.checkpoints import RunState
from farkeras.training.devices import make_strategy, precision, set_batch_norm_momentum, synchronize_batch_norm
from farkeras.training.optimizers import averaged_weights, make_optimizer
from farkeras.training.reporting import Listener, MetricsFile, TensorBoard
from farkeras.training.step import MaskStep, TrainStep
from farkeras.weighting import make_weighting

FLAGS_FILE = "flags.txt"
GROUPING_FILE = "grouping.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Data:
    """What a run trains and validates on; keypoints where the model learns masks from them."""

    grouping: Grouping
    train: Examples
    validation: Examples
    preprocessing: Preprocessing
    augmentation: Augmentation
    train_keypoints: Keypoints | None = None
    validation_keypoints: Keypoints | None = None


def open_data(config: Config, progress: Progress | None = None) -> Data:
    """Opens the source and checks that settings and data fit.

    Args:
        config: The settings.
        progress: Told of an archive's extraction, see `open_source`.

    Raises:
        FarkerasError: From the source or the grouping, or a split is too small.
    """
    source = open_source(config.source, config.data_dir, progress, config.to_dict())
    grouping = load_grouping(config.grouping, source.attributes).without(config.excluded)
    train = source.split("train").select(grouping.attributes)
    if len(train) < config.batch_size:
        raise FarkerasError(
            f"The training split has {len(train)} images, fewer than --batch_size={config.batch_size}; lower it."
        )
    augmentation = Augmentation(
        **{name: getattr(config, f"augment_{name}") for name in Augmentation.__dataclass_fields__}
    )
    validation = source.split("validation").select(grouping.attributes)
    keypoints = ()
    if learns_masks(config):
        keypoints = (load_keypoints(config.data_dir, split.paths, config.source) for split in (train, validation))
    preprocessing = Preprocessing(config.image_size, config.crop)
    return Data(grouping, train, validation, preprocessing, augmentation, *keypoints)


def learns_masks(config: Config) -> bool:
    """Whether the model has a mask network, which needs keypoints in training."""
    return hasattr(MODELS[config.model], "masks")


def build_model(config: Config, grouping: Grouping) -> keras.Model:
    """The model of a run with its first weights, in the current precision policy."""
    model_class = MODELS[config.model]
    settings = config.to_dict() | {"backbone_weights": "none" if config.init_from else config.backbone_weights}
    options = {name: settings[name] for name in inspect.signature(model_class).parameters if name in settings}
    model = model_class(grouping, **options)
    if config.batch_norm_momentum:
        set_batch_norm_momentum(model, config.batch_norm_momentum)
    return model


def check_workdir(config: Config, grouping: Grouping, workdir: Path) -> None:
    """Refuses a workdir that was started with other settings, or with other groups in a grouping file of that name.

    Raises:
        FarkerasError: Names each changed setting with both values.
    """
    path = workdir / FLAGS_FILE
    if not path.exists():
        return
    before = read_flagfile(path)
    if changed := config.changed_from(before):
        listed = ", ".join(f"--{name} (was {getattr(before, name)}, now {getattr(config, name)})" for name in changed)
        raise FarkerasError(
            f"{workdir} was started with other settings: {listed}. Use another --workdir, or the settings of {path}."
        )
    path = workdir / GROUPING_FILE
    if path.exists() and path.read_text(encoding="utf-8") != grouping_text(grouping):
        raise FarkerasError(
            f"{workdir} was started with other groups: --grouping={config.grouping} has changed since. Use another "
            f"--workdir, or the groups of {path}."
        )


def grouping_text(grouping: Grouping) -> str:
    """The groups as a grouping file."""
    return json.dumps({name: list(members) for name, members in grouping.groups.items()}, indent=1) + "\n"


class Run:
    """Everything that a run holds; `train` takes it to its end, from wherever its workdir stands."""

    def __init__(self, config: Config, workdir: Path, data: Data, strategy=None, listeners: Sequence[Listener] = ()):
        self.config, self.workdir, self.data = config, workdir, data
        self.strategy = strategy or make_strategy(config.replicas)
        replicas = self.strategy.num_replicas_in_sync
        if config.batch_size % replicas:
            raise FarkerasError(f"--batch_size={config.batch_size} does not divide among {replicas} replicas.")
        self.steps_per_epoch = len(data.train) / config.batch_size
        # First the mask network alone, where that is asked for, then the epochs of the attributes.
        self.mask_steps = int(config.mask_epochs * self.steps_per_epoch) if learns_masks(config) else 0
        self.total_steps = self.mask_steps + max(1, int(config.epochs * self.steps_per_epoch))
        self.eval_every_steps = max(1, round(config.eval_every_epochs * self.steps_per_epoch))
        self.undecodable: set[str] = set()
        self.undecodable_validation: list[str] = []
        self.started_anew: list[str] = []  # with --init_from: the weights that the other run did not have
        keras.utils.set_random_seed(config.seed)
        with self.strategy.scope():
            self._build()
        self.state = RunState(workdir / CHECKPOINTS, self.model, self.optimizers, self.weighting)
        self.metrics = MetricsFile(workdir / "metrics.jsonl")
        self.listeners = [self.metrics, TensorBoard(workdir / "tensorboard"), *listeners]

    def _build(self):
        config, grouping = self.config, self.data.grouping
        if tf.train.latest_checkpoint(str(self.workdir / CHECKPOINTS)):
            # All weights come from there; what the run started from may be gone by now.
            config = dataclasses.replace(config, init_from="", backbone_weights="none")
        with precision(config.precision):
            self.model = build_model(config, grouping)
            dtype = keras.config.dtype_policy().variable_dtype
        if config.init_from:
            self.started_anew = copy_matching_weights(load_model(config.init_from)[0], self.model)
        if config.sync_batch_norm:
            synchronize_batch_norm(self.model)
        with precision("float32"):
            # What is validated is what is saved: always float32, with averaged weights where averaging is on.
            self.final_model = type(self.model).from_config(self.model.get_config())
        self.forward = compile_forward(self.final_model, self.strategy)
        self.weighting = make_weighting(config, grouping, self.steps_per_epoch, dtype)
        self.mask_step = None
        variables, mask_loss_weight = self.model.trainable_variables, 0.0
        self.optimizers = {}
        if learns_masks(config):
            mask_variables = self.model.get_layer("aml").trainable_variables
            if self.mask_steps:
                # An optimizer of its own: the attributes' then starts with its own first step, warm-up and averages.
                alone = dataclasses.replace(config, schedule="constant", ema_decay=0.0)
                optimizer = make_optimizer(alone, mask_variables, self.mask_steps, self.steps_per_epoch)
                self.optimizers["mask_optimizer"] = optimizer
                self.mask_step = MaskStep(self.model, optimizer, mask_variables, self.strategy)
            if self.freezes_masks:
                frozen = {id(v) for v in mask_variables}
                variables = [v for v in variables if id(v) not in frozen]
            else:
                mask_loss_weight = config.mask_loss_weight
        self.variables = variables + self.weighting.trainable_variables
        self.optimizer = make_optimizer(
            config, self.variables, self.total_steps - self.mask_steps, self.steps_per_epoch
        )
        self.optimizers["optimizer"] = self.optimizer
        positive_weights = None
        if config.positive_weights == "balanced":
            positive_weights = balanced_positive_weights(self.data.train.labels)
        self.train_step = TrainStep(
            self.model,
            self.optimizer,
            variables,
            self.strategy,
            self.weighting,
            grouping,
            positive_weights,
            config.focal_gamma,
            mask_loss_weight,
        )

    @property
    def freezes_masks(self) -> bool:
        """Whether the mask network, once trained alone, stays as it is."""
        return self.mask_steps > 0 and not self.config.mask_gradients

    def train(self) -> None:
        """Trains to the end, with validations and checkpoints on the way."""
        with self.strategy.scope():
            resumed = self.state.restore()
        step = int(self.state.step)
        self.metrics.cut_back(step)
        for record in self.metrics.read():
            self.undecodable.update(record.get("undecodable", ()))
            self.undecodable_validation = record.get("validation", {}).get("undecodable", self.undecodable_validation)
        for listener in self.listeners:
            listener.on_start(self, step if resumed else 0)
        if step < self.total_steps:
            dataset = self.training_dataset(int(self.state.next_counter))
            iterator = iter(self.strategy.experimental_distribute_dataset(dataset))
        while step < self.total_steps:
            step = self._train_some(iterator, step)
            validate = step % self.eval_every_steps == 0 or step == self.total_steps
            if validate:
                self._validate(step)
            if validate or step % self.config.checkpoint_every_steps == 0:
                with self.strategy.scope():
                    self.state.save()
        for listener in self.listeners:
            listener.on_end(self)

    def training_dataset(self, start: int) -> tf.data.Dataset:
        """The run's training batches from example counter `start` on."""
        data, config = self.data, self.config
        needed = self.total_steps * config.batch_size
        # Room for images that are left out; when it is used up the run has far too many of them.
        stop = needed + needed // 50 + config.batch_size
        return training_dataset(
            data.train,
            data.preprocessing,
            data.augmentation,
            config.batch_size,
            config.seed,
            start,
            stop,
            data.train_keypoints,
            config.data_service,
        )

    def _next_stop(self, step: int) -> int:
        """The step after which the host has something to do."""
        config = self.config
        marks = [(step // every + 1) * every for every in (self.eval_every_steps, config.checkpoint_every_steps)]
        end = self.mask_steps if step < self.mask_steps else self.total_steps
        return min(*marks, step + config.steps_per_loop, end)

    def _train_some(self, iterator, step: int) -> int:
        new_step = self._next_stop(step)
        began = time.perf_counter()
        masks_alone = step < self.mask_steps
        if self.freezes_masks:
            self.model.get_layer("aml").trainable = masks_alone  # frozen: batch statistics stay, too
        train_step = self.mask_step if masks_alone else self.train_step
        try:
            figures = train_step.run(iterator, tf.constant(new_step - step))
            figures = {name: value.numpy() for name, value in figures.items()}
        except (tf.errors.OutOfRangeError, StopIteration):
            # The dataset has room for the share that may be undecodable; it ended, so there are more.
            undecodable = find_undecodable(self.data.train, self.data.preprocessing)
            check_undecodable(undecodable, len(self.data.train))
            raise
        seconds = time.perf_counter() - began
        start, counters = int(self.state.next_counter), figures["counter"].reshape(-1)
        stop = int(counters.max()) + 1
        newly_left_out = self._name_left_out(counters, start, stop)
        names = self.data.grouping.names
        record = {
            "step": new_step,
            "steps": new_step - step,
            "epoch": new_step / self.steps_per_epoch,
            "learning_rate": float(train_step.optimizer.learning_rate),
            "steps_per_second": (new_step - step) / seconds,
            "images_per_second": (new_step - step) * self.config.batch_size / seconds,
            "data_wait": min(1.0, float(figures["data_wait"]) / seconds),
        }
        for name in ("loss", "mask_loss"):
            if name in figures:
                record[name] = float(figures[name].mean())
        if "group_loss" in figures:
            record["group_loss"] = dict(zip(names, figures["group_loss"].mean(axis=0).tolist(), strict=True))
            record["group_weight"] = dict(zip(names, figures["group_weight"][-1].tolist(), strict=True))
        if newly_left_out:
            record["undecodable"] = newly_left_out
        check_finite(figures, names, step)
        self.state.step.assign(new_step)
        self.state.next_counter.assign(stop)
        for listener in self.listeners:
            listener.on_train(self, record)
        return new_step

    def _name_left_out(self, seen: np.ndarray, start: int, stop: int) -> list[str]:
        counters = left_out(seen, start, stop)
        if not len(counters):
            return []
        order = ShuffledOrder(len(self.data.train), self.config.seed)
        paths = [str(path) for path in self.data.train.paths[order.index(tf.constant(counters)).numpy()]]
        new = sorted(set(paths) - self.undecodable)
        self.undecodable.update(new)
        check_undecodable(self.undecodable, len(self.data.train))
        return new

    def _validate(self, step: int) -> None:
        if step > self.mask_steps:
            weights = averaged_weights(self.optimizer, self.variables, self.model)
        else:
            weights = self.model.get_weights()
        self.final_model.set_weights(weights)
        data = self.data
        labels, probabilities, self.undecodable_validation, mask_figures = predict_examples(
            self.final_model,
            data.validation,
            data.preprocessing,
            self.config.batch_size,
            self.strategy,
            self.forward,
            data.validation_keypoints,
        )
        evaluation = evaluate_attributes(labels, probabilities, data.grouping)
        groups = evaluation["groups"]
        names = ("mean_accuracy", "mean_balanced_accuracy", "mean_roc_auc", "majority_accuracy")
        figures = {
            **{name: evaluation[name] for name in names},
            **validation_losses(labels, probabilities, data.grouping),
            "group_balanced_accuracy": {name: groups[name]["balanced_accuracy"] for name in groups},
            **mask_figures,
            **({"undecodable": self.undecodable_validation} if self.undecodable_validation else {}),
        }
        figure = figures[self.config.select_by]
        # While masks are trained alone the attributes are chance.
        best = step > self.mask_steps and figure is not None and figure > float(self.state.best)
        if best:
            self.state.best.assign(figure)
            metadata = ModelMetadata(
                data.grouping,
                data.preprocessing,
                self.config.to_dict(),
                {"step": step, **figures},
                current_versions(),
                is_procedural(self.config.data_dir),
            )
            save_model(self.final_model, metadata, self.workdir / MODEL_FILE)
        record = {"step": step, "epoch": step / self.steps_per_epoch, "best": best, "validation": figures}
        for listener in self.listeners:
            listener.on_validation(self, record)


def check_finite(figures: dict, groups: Sequence[str], first_step: int) -> None:
    """Stops a run whose loss is no longer a number.

    Raises:
        FarkerasError: Names the step and the groups.
    """
    losses = {"all groups": figures["loss"]} if "loss" in figures else {}
    losses |= dict(zip(groups, figures["group_loss"].T, strict=True)) if "group_loss" in figures else {}
    losses |= {"masks": figures["mask_loss"]} if "mask_loss" in figures else {}
    bad = {name: ~np.isfinite(values) for name, values in losses.items()}
    if not any(steps.any() for steps in bad.values()):
        return
    at = min(int(np.argmax(steps)) for steps in bad.values() if steps.any())
    names = [name for name, steps in bad.items() if steps[at]]
    names = [name for name in names if name != "all groups"] or names  # the sum says little beside its parts
    raise FarkerasError(
        f"The loss is not finite at step {first_step + at + 1} ({', '.join(names)}). Lower "
        "--learning_rate, lengthen --warmup_epochs, or use --precision=float32; the last checkpoint is intact."
    )


def validation_losses(labels: np.ndarray, probabilities: np.ndarray, grouping: Grouping) -> dict:
    """Unweighted cross-entropy: `loss` over all known labels and `group_loss` by group (None without a label)."""
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    known = labels >= 0
    losses = np.where(known, -np.log(np.where(labels == 1, p, 1 - p)), 0.0)
    group_of = np.array(grouping.group_of)

    def mean(columns):
        count = known[:, columns].sum()
        return float(losses[:, columns].sum() / count) if count else None

    by_group = {name: mean(group_of == g) for g, name in enumerate(grouping.names)}
    return {"loss": mean(slice(None)), "group_loss": by_group}


def train_and_evaluate(
    config: Config, workdir: str | Path, listeners: Sequence[Listener] = (), progress: Progress | None = None
) -> Run:
    """Trains as `config` says, in `workdir`; a run that was stopped continues where it was.

    Writes `flags.txt`, `grouping.json`, `metrics.jsonl`, `checkpoints/`, `tensorboard/` and `model.keras`, the weights
    with the best validation figure.

    Args:
        config: All settings.
        workdir: Folder of the run.
        listeners: Told of progress, beside the metrics file and TensorBoard.
        progress: Told of an archive's extraction, see `open_source`.

    Returns:
        The finished run.

    Raises:
        FarkerasError: Settings and data do not fit, the workdir is of another run, or the loss is not finite.
    """
    workdir = Path(workdir)
    data = open_data(config, progress)
    check_workdir(config, data.grouping, workdir)
    run = Run(config, workdir, data, listeners=listeners)
    save_flagfile(config, workdir / FLAGS_FILE)
    write_text(workdir / GROUPING_FILE, grouping_text(data.grouping))
    run.train()
    return run
