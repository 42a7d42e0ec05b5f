"""All settings of a training run in one frozen dataclass; flags and flagfiles are made from it (see `flagfiles.py`)."""

import dataclasses
import difflib
import numbers
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farkeras.attributes import GROUPINGS, SUBJECTIVE_ATTRIBUTES, check_name
from farkeras.errors import FarkerasError


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    at_least: float | None = None,
    at_most: float | None = None,
    free: bool = False,
    path: bool = False,
    words: tuple[str, ...] = (),
) -> Any:
    """A field with what the flag needs. `free`: may differ when a run is continued, for it changes no number. `path`:
    names a file or folder, unless it is one of `words`.
    """
    metadata = {"help": help, "choices": choices, "at_least": at_least, "at_most": at_most, "free": free}
    metadata |= {"path": path, "words": words}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """The settings of a run, `Config(data_dir="/data/celeba", epochs=3)`. Each is also a flag of that name.

    A list may stand for a tuple, a whole number for a fraction, and a `pathlib.Path` for a text.

    Raises:
        FarkerasError: A value of another type or outside its range; names the setting, what was expected and what came.
    """

    # Data
    data_dir: str = setting(
        "", "Folder of the data set, the table (CSV or Parquet) of --source=table, or what TFDS prepared.", path=True
    )
    source: str = setting("celeba", "Kind of data set.", choices=("celeba", "lfwa", "packed", "table", "tfds"))
    grouping: str = setting(
        "mgmtn8",
        "Attribute groups: mgmtn8, mcnn9, one, or a JSON file {group: [attributes]} of those to train.",
        path=True,
        words=(*GROUPINGS, "one"),
    )
    exclude_attributes: tuple[str, ...] = setting((), "Attributes to leave out; 'subjective' for the subjective set.")
    image_size: tuple[int, int] = setting((224, 192), "Height, width of the model's input in pixels.", at_least=32)
    crop: tuple[float, float, float, float] = setting(
        (0.0, 0.0, 1.0, 1.0),
        "Top, left, bottom, right of the part of a face to use, as fractions of CelebA's aligned frame.",
        at_least=0,
    )

    keypoints_dir: str = setting(
        "",
        "Folder of the data set's key points, one for each data set; by default 'keypoints' beside the images.",
        free=True,
        path=True,
    )

    # A table of your own
    image_column: str = setting("image", "Table: column of the images: paths from the table's folder, or images.")
    group_column: str = setting("", "Table: column, such as a person, of which no value may be in two splits.")
    ignore_columns: tuple[str, ...] = setting((), "Table: columns that are no attributes.")
    split_ratios: tuple[float, ...] = setting(
        (0.8, 0.1, 0.1), "Table without the column 'split': shares of train, validation, test.", at_least=0
    )

    # Model
    model: str = setting("far_amtn", "Model.", choices=("far_amtn", "mgmtn", "shared_trunk"))
    backbone: str = setting("ResNet50", "Backbone: a class name of keras.applications, ResNeSt50 or ResNetTiny.")
    backbone_alpha: float = setting(1.0, "Width multiplier of a MobileNet or ResNetTiny backbone.", at_least=0.05)
    backbone_weights: str = setting(
        "imagenet",
        "First weights of the backbone: imagenet (Keras downloads them), none, or a .weights.h5 or .keras file.",
        path=True,
        words=("imagenet", "none"),
    )
    init_from: str = setting(
        "",
        "Workdir or model file of another run to start from; layers that do not fit (other heads) start anew.",
        path=True,
    )
    reduction: int = setting(16, "Reduction of the gates in WSGSA and the affinity in CGFF.", at_least=1)
    dropout: float = setting(0.0, "Dropout rate before the heads.", at_least=0, at_most=0.95)

    # Masks (MGMTN)
    mask_widths: tuple[int, ...] = setting(
        (16, 32, 64, 128), "Channels of the mask network at strides 1, 2, 4, ...", at_least=1
    )
    mask_stride: int = setting(2, "Stride of the masks: a power of two below 2 ** len(mask_widths).", at_least=1)
    fusion_width: int = setting(256, "Channels of the fused group features.", at_least=1)
    mask_epochs: float = setting(
        0.0,
        "Epochs that train the mask network alone, before the others; it then stays as it is, unless "
        "--mask_gradients. 0: masks and attributes are trained jointly.",
        at_least=0,
    )
    mask_gradients: bool = setting(False, "Whether the attributes' losses train the mask network, too.")
    mask_loss_weight: float = setting(1.0, "Weight of the mask loss beside the attributes'.", at_least=0)

    # Loss
    weighting: str = setting("dws", "Group loss weights.", choices=("dws", "uniform", "dwa", "uncertainty"))
    dws_alpha: float = setting(0.5, "DWS: strength of the scale term.", at_least=0, at_most=1)
    dws_beta: float = setting(0.5, "DWS: strength of the lag term.", at_least=0, at_most=1)
    weighting_warmup_epochs: float = setting(1.0, "Epochs of uniform weights before DWS starts.", at_least=0)
    weighting_decay: float = setting(0.99, "Decay per step of DWS's running mean losses.", at_least=0, at_most=0.99999)
    dwa_temperature: float = setting(2.0, "DWA: softmax temperature T.", at_least=0.01)
    positive_weights: str = setting(
        "none",
        "Weight of positive labels: none, or balanced (negatives / positives in training, at most 10).",
        choices=("none", "balanced"),
    )
    focal_gamma: float = setting(0.0, "Focal loss exponent; 0 is plain cross-entropy.", at_least=0)

    # Optimizer
    epochs: float = setting(20.0, "Passes over the training split.", at_least=0)
    batch_size: int = setting(64, "Global batch size, over all replicas.", at_least=1)
    optimizer: str = setting("adamw", "Optimizer.", choices=("adamw", "sgd"))
    learning_rate: float = setting(3e-4, "Peak learning rate.", at_least=0)
    schedule: str = setting("cosine", "Learning rate after the warm-up.", choices=("cosine", "linear", "constant"))
    warmup_epochs: float = setting(1.0, "Epochs of linear learning rate warm-up.", at_least=0)
    momentum: float = setting(0.9, "SGD momentum (Nesterov).", at_least=0, at_most=0.9999)
    weight_decay: float = setting(0.01, "Decoupled weight decay of kernels.", at_least=0)
    ema_decay: float = setting(0.0, "Weight averaging: decay per step, 0 for none.", at_least=0, at_most=0.99999)
    batch_norm_momentum: float = setting(
        0.0,
        "Momentum of the moving batch statistics; 0: the backbone's own, lowered where the run is short.",
        at_least=0,
        at_most=0.9999,
    )
    precision: str = setting("float32", "Arithmetic of training.", choices=("float32", "bfloat16", "float64"))

    # Augmentation
    augment_flip: bool = setting(True, "Mirror half of the training images.")
    augment_shift: float = setting(0.0, "Largest random shift, fraction of the image.", at_least=0, at_most=0.5)
    augment_scale: float = setting(0.0, "Largest random relative change of size.", at_least=0, at_most=0.5)
    augment_rotation: float = setting(0.0, "Largest random rotation, degrees.", at_least=0, at_most=180)
    augment_brightness: float = setting(0.0, "Largest random relative change of brightness.", at_least=0, at_most=1)
    augment_contrast: float = setting(0.0, "Largest random relative change of contrast.", at_least=0, at_most=1)
    augment_saturation: float = setting(0.0, "Largest random relative change of saturation.", at_least=0, at_most=1)

    # Run
    seed: int = setting(0, "Seed of weights, order and augmentation.", at_least=0, at_most=2**31 - 1)
    replicas: int = setting(0, "Logical CPU replicas; 0: all GPUs, or one CPU.", at_least=0)
    sync_batch_norm: bool = setting(
        False, "Share batch normalisation statistics between replicas; their number may change then."
    )
    eval_every_epochs: float = setting(1.0, "Epochs between validations.", at_least=0.001)
    select_by: str = setting(
        "mean_balanced_accuracy",
        "Validation figure that chooses the best model.",
        choices=("mean_accuracy", "mean_balanced_accuracy", "mean_roc_auc"),
    )
    steps_per_loop: int = setting(20, "Training steps per host trip.", at_least=1, free=True)
    data_service: tuple[str, ...] = setting(
        (),
        "Other machines that make the training examples, started with farkeras.serve_data: grpc://machine:5050,... "
        "Examples and their order stay the same, whatever their number.",
        free=True,
    )
    checkpoint_every_steps: int = setting(
        500, "Steps between checkpoints, beside those at validations.", at_least=1, free=True
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, limits = _as_type_of(field.default, getattr(self, field.name), field.name), field.metadata
            if limits["path"] and value not in limits["words"]:
                value = os.path.expanduser(value)
            object.__setattr__(self, field.name, value)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, str) and not limits["path"]:
                    check_name(f"`{field.name}`: the name", number)
                low, high = limits["at_least"], limits["at_most"]
                if (low is not None and number < low) or (high is not None and number > high) or number != number:
                    bounds = f"at least {low}" + (f" and at most {high}" if high is not None else "")
                    raise FarkerasError(f"`{field.name}` must be {bounds}. Received: {number}.")
            if limits["choices"] and value not in limits["choices"]:
                raise FarkerasError(f"`{field.name}` must be one of {', '.join(limits['choices'])}. Received: {value}.")
        if len(self.image_size) != 2:
            raise FarkerasError(f"`image_size` must be height,width. Received: {self.image_size}.")
        if len(self.crop) != 4 or not (self.crop[0] < self.crop[2] <= 1 and self.crop[1] < self.crop[3] <= 1):
            raise FarkerasError(
                f"`crop` must be top,left,bottom,right with 0 <= top < bottom <= 1. Received: {self.crop}."
            )
        if len(self.split_ratios) != 3 or abs(sum(self.split_ratios) - 1) > 1e-6:
            raise FarkerasError(
                "`split_ratios` must be three shares, of train, validation and test, that make 1. "
                f"Received: {self.split_ratios}."
            )
        if self.mask_stride & (self.mask_stride - 1) or self.mask_stride >= 2 ** len(self.mask_widths):
            raise FarkerasError(
                f"`mask_stride` must be a power of two below {2 ** len(self.mask_widths)}, the stride that the "
                f"{len(self.mask_widths)} `mask_widths` end before. Received: {self.mask_stride}."
            )
        if self.model == "mgmtn" and not (self.mask_loss_weight or self.mask_epochs or self.mask_gradients):
            raise FarkerasError(
                "`mask_loss_weight=0` leaves the mask network untrained; expected a weight above 0, `mask_epochs` or "
                "`mask_gradients`."
            )

    @property
    def excluded(self) -> tuple[str, ...]:
        """The attributes to leave out, `subjective` spelled out."""
        names: list[str] = []
        for name in self.exclude_attributes:
            names += SUBJECTIVE_ATTRIBUTES if name == "subjective" else (name,)
        return tuple(dict.fromkeys(names))

    def paths(self) -> dict[str, str]:
        """The settings that name a file or folder."""
        values = {field: getattr(self, field.name) for field in dataclasses.fields(self) if field.metadata["path"]}
        return {field.name: value for field, value in values.items() if value and value not in field.metadata["words"]}

    def absolute(self) -> "Config":
        """The same with absolute paths, which mean the same in every folder."""
        paths: dict[str, Any] = {name: os.path.abspath(path) for name, path in self.paths().items()}
        return dataclasses.replace(self, **paths)

    def changed_from(self, other: "Config") -> list[str]:
        """Names of the settings that differ and change a run's numbers."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if not field.metadata["free"] and getattr(self, field.name) != getattr(other, field.name)
        ]

    def data_settings(self) -> dict:
        """The settings, JSON-ready, that say which images and labels a model is shown in training."""
        sources = "data_dir source grouping exclude_attributes image_column group_column ignore_columns split_ratios"
        names = [*sources.split(), "keypoints_dir", "image_size", "crop", "batch_size", "seed"]
        return {k: v for k, v in self.absolute().to_dict().items() if k in names or k.startswith("augment_")}

    def to_dict(self) -> dict:
        """JSON-ready values by name."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of `to_dict`; unknown names are an error.

        Raises:
            FarkerasError: A name that this version of the package does not know.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            close = difflib.get_close_matches(unknown[0], known, 1)
            raise FarkerasError(
                f"Unknown settings {', '.join(unknown)}: "
                + (f"did you mean {close[0]}?" if close else "perhaps written by another version of farkeras.")
            )
        return cls(**values)


def published(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings, `Config.to_dict()`, as exports and pages tell them: of files and folders only the last name."""
    paths = {field.name for field in dataclasses.fields(Config) if field.metadata["path"]}
    return {name: Path(value).name if name in paths else value for name, value in settings.items()}


def _as_type_of(default: Any, value: Any, name: str) -> Any:
    """`value` as the type of a setting's default; a `FarkerasError` where it is of another one."""
    kind = type(default)
    if kind is tuple and isinstance(value, list | tuple):
        # A setting without a default item lists names.
        return tuple(_as_type_of(default[0] if default else "", item, name) for item in value)
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    number = not isinstance(value, bool)  # a bool is an int, too
    if kind is float and number and isinstance(value, numbers.Real):
        return float(value)
    if kind is int and number and isinstance(value, numbers.Integral):
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    raise FarkerasError(f"`{name}` must be of type {kind.__name__}. Received: {value!r}.")
