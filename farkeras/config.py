"""All settings of a training run, in one frozen dataclass. `flagfiles.py` makes flags and flagfiles of it."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farkeras.attributes import GROUPINGS, with_subjective
from farkeras.config_rules import check_names, check_together, checked_value
from farkeras.settings import setting


@dataclass(frozen=True)
class Config:
    """The settings of a run, such as `Config(data_dir="/data/celeba", epochs=3)`. Each is also a flag of that name.

    A tuple may be given as a list, a float as an integer, and a path as a `pathlib.Path`.

    Raises:
        FarkerasError: A value has the wrong type or is outside its range. The message names the setting, the expected
            and the received value.
    """

    # Data
    data_dir: str = setting(
        "",
        "Folder of the data set; with `source=table` the CSV or Parquet file, or a folder of Parquet files; with "
        "`source=tfds` the folder that TFDS has prepared.",
        path=True,
    )
    source: str = setting("celeba", "Kind of data set.", choices=("celeba", "lfwa", "packed", "table", "tfds"))
    grouping: str = setting(
        "mgmtn8",
        "Attribute groups: mgmtn8, mcnn9, one (a single group), or a JSON file {group: [attributes to train]}.",
        path=True,
        words=(*GROUPINGS, "one"),
    )
    exclude_attributes: tuple[str, ...] = setting(
        (), "Attributes that are not trained; 'subjective' stands for the subjective set. Empty: none."
    )
    image_size: tuple[int, int] = setting((224, 192), "Height,width of the model's input in pixels.", at_least=32)
    crop: tuple[float, float, float, float] = setting(
        (0.0, 0.0, 1.0, 1.0),
        "Top,left,bottom,right of the part of the face to use, as fractions of the height and width of CelebA's "
        "aligned frame. 0,0,1,1: the whole frame.",
        at_least=0,
    )
    train_fraction: float = setting(
        1.0,
        "Share of the training split to train on: the same images for every `seed`, and part of any larger share.",
        at_least=0.0001,
        at_most=1,
    )
    keypoints_dir: str = setting(
        "",
        "Folder of the data set's keypoints; each data set needs its own. Empty: keypoints in the data set's folder.",
        free=True,
        path=True,
    )

    # A table of your own
    image_column: str = setting(
        "image", "Table: column with the images: paths, absolute or relative to the table's folder, or encoded images."
    )
    group_column: str = setting(
        "", "Table: column, such as the person; all images with the same value stay in one split. Empty: none."
    )
    ignore_columns: tuple[str, ...] = setting((), "Table: columns that are not attributes. Empty: none.")
    split_ratios: tuple[float, ...] = setting(
        (0.8, 0.1, 0.1), "Table without splits: shares of train,validation,test, which add up to 1.", at_least=0
    )

    # Model
    model: str = setting(
        "far_amtn",
        "Model: far_amtn, mgmtn, or a baseline: shared_trunk (one linear layer for all attributes), private_blocks (a "
        "private last block of the backbone for each group), private_stage (a private last stage for each group), or "
        "score_fusion (private_blocks and a layer from all scores to all scores).",
        choices=("far_amtn", "mgmtn", "private_blocks", "private_stage", "score_fusion", "shared_trunk"),
    )
    backbone: str = setting(
        "ResNet50",
        "Backbone: a class name of keras.applications, ResNetTiny, or a network of PyTorch: ResNeSt50, TorchResNet50, "
        "TorchMobileNetV2, TorchMobileNetV3Small, TorchMobileNetV3Large, TorchEfficientNetB0 or EfficientNetLite0.",
    )
    backbone_alpha: float = setting(
        1.0, "Width multiplier of a MobileNet or ResNetTiny backbone; 1 for any other backbone.", at_least=0.05
    )
    backbone_weights: str = setting(
        "imagenet",
        "Initial weights of the backbone: imagenet (Keras downloads them), none (random), or a file: .weights.h5, "
        ".keras, or for a network of PyTorch .pth, .pt or .safetensors.",
        path=True,
        words=("imagenet", "none"),
    )
    init_from: str = setting(
        "",
        "Workdir or .keras file of another run to take the initial weights from; layers that do not match, such as "
        "other heads, start anew. Empty: none.",
        path=True,
    )
    reduction: int = setting(
        16, "FAR-AMTN: ratio of the channels C to those inside WSGSA's gates and CGFF's affinity.", at_least=1
    )
    wsgsa_gate: str = setting(
        "sigmoid",
        "FAR-AMTN: WSGSA's gates: sigmoid (published), sigmoid_output (computed from the block's output), "
        "residual_tanh (1 + tanh, exactly 1 at the start), double_sigmoid (twice the published gate), or standardized "
        "(double_sigmoid with standardised inputs, which keeps the gates dependent on the image).",
        choices=("sigmoid", "sigmoid_output", "residual_tanh", "double_sigmoid", "standardized"),
    )
    private_channels: int = setting(
        0,
        "FAR-AMTN: channels of each group's own beside the gated ones, a multiple of 8; 0: none (published).",
        at_least=0,
    )
    fusion: str = setting(
        "cgff",
        "FAR-AMTN: how the groups' features interact: cgff, cgff_standardized (its affinity reads standardised "
        "features), none, or cross_stitch (a learned mixture that is the same for all images).",
        choices=("cgff", "cgff_standardized", "none", "cross_stitch"),
    )
    dropout: float = setting(0.0, "Dropout rate before the heads; 0: no dropout.", at_least=0, at_most=0.95)

    # Masks (MGMTN)
    mask_widths: tuple[int, ...] = setting(
        (16, 32, 64, 128), "MGMTN: channels of the mask network at strides 1, 2, 4, ...", at_least=1
    )
    mask_stride: int = setting(
        2, "MGMTN: stride of the masks: a power of two below 2^n for n `mask_widths`.", at_least=1
    )
    mask_weights: str = setting(
        "auto",
        "MGMTN: initial weights of the mask network: the workdir or .keras file of another run with masks, a file of "
        "farkeras.pretrain_masks, shipped (the file that farkeras ships for `mask_widths` and `mask_stride`), none "
        "(random), or auto: shipped if there is such a file and the training split has fewer than 2,000 images, else "
        "none.",
        path=True,
        words=("auto", "shipped", "none"),
    )
    fusion_width: int = setting(256, "MGMTN: channels of the fused group features.", at_least=1)
    mask_condition: str = setting(
        "learned",
        "MGMTN: masks through which the groups read the features: learned, or a control: ones (the whole image), or "
        "shuffled (each group gets another group's mask). The mask network is trained in each case.",
        choices=("learned", "ones", "shuffled"),
    )
    global_fusion: str = setting(
        "gated",
        "MGMTN: how G2FF adds the global feature to those of a group: gated, off (not at all), concatenated, or "
        "global_only (in their place).",
        choices=("gated", "off", "concatenated", "global_only"),
    )
    mask_epochs: float = setting(
        0.0,
        "MGMTN: epochs that train only the mask network, before `epochs`. It is then frozen, unless `mask_gradients` "
        "is set. 0: masks and attributes are trained jointly.",
        at_least=0,
    )
    mask_gradients: bool = setting(False, "MGMTN: let the attribute losses train the mask network, too.")
    mask_loss_weight: float = setting(
        1.0, "MGMTN: weight of the mask loss relative to the attribute loss; 0: no mask loss.", at_least=0
    )

    # Loss
    weighting: str = setting(
        "dws",
        "Weights of the group losses: dws (Dynamic Weighting Strategy), uniform, dwa (Dynamic Weight Average), "
        "uncertainty (homoscedastic uncertainty), or famo (Fast Adaptive Multitask Optimization).",
        choices=("dws", "uniform", "dwa", "uncertainty", "famo"),
    )
    dws_alpha: float = setting(1.0, "DWS: exponent of the scale term; 0: no effect.", at_least=0, at_most=1)
    dws_beta: float = setting(1.0, "DWS: exponent of the lag term; 0: no effect.", at_least=0, at_most=1)
    weighting_warmup_epochs: float = setting(0.1, "DWS: epochs of uniform weights; at least 10 steps.", at_least=0)
    weighting_decay: float = setting(
        0.99, "DWS: decay per step of the running mean losses; 0: last step only.", at_least=0, at_most=0.99999
    )
    dwa_temperature: float = setting(2.0, "DWA: softmax temperature T; higher is more even.", at_least=0.01)
    positive_weights: str = setting(
        "none",
        "Weight of an attribute's positive labels: none (weight 1), or balanced (negatives / positives in the training "
        "split, clipped to 0.1..10).",
        choices=("none", "balanced"),
    )
    focal_gamma: float = setting(0.0, "Exponent of the focal loss; 0: plain cross-entropy.", at_least=0)
    loss_factors: tuple[str, ...] = setting(
        (), "Factors of the losses of groups before they are weighted, for studies: Hair=10,... Empty: none."
    )
    label_noise: tuple[str, ...] = setting(
        (), "Shares of the training labels of groups to make wrong, for studies: Hair=0.3 or all=0.1. Empty: none."
    )

    # Optimizer
    epochs: float = setting(
        20.0,
        "Passes over the training split, without those of `mask_epochs` and `frozen_epochs`. 0: a single step.",
        at_least=0,
    )
    frozen_epochs: float = setting(
        0.0,
        "Epochs before `epochs` in which the backbone stays as it is, batch normalisation included, and everything "
        "else learns at a constant rate. 0: none.",
        at_least=0,
    )
    batch_size: int = setting(64, "Images per step over all replicas, a multiple of their number.", at_least=1)
    optimizer: str = setting("adamw", "Optimizer.", choices=("adamw", "sgd"))
    learning_rate: float = setting(3e-4, "Peak learning rate, reached after the warm-up.", at_least=0)
    backbone_lr_multiplier: float = setting(
        1.0,
        "Share of the learning rate that the backbone takes, below 1 for a pre-trained one. 0: the backbone stays as "
        "it is, as in `frozen_epochs`.",
        at_least=0,
    )
    schedule: str = setting(
        "cosine",
        "Learning rate after the warm-up: cosine or linear decay to 0, or constant.",
        choices=("cosine", "linear", "constant"),
    )
    warmup_epochs: float = setting(1.0, "Epochs of linear learning rate warm-up; 0: none.", at_least=0)
    momentum: float = setting(0.9, "SGD: Nesterov momentum; 0: plain SGD.", at_least=0, at_most=0.9999)
    weight_decay: float = setting(
        0.01, "Decoupled weight decay of kernels, multiplied by the learning rate; 0: none.", at_least=0
    )
    ema_decay: float = setting(
        0.0,
        "Decay per step of the weights' moving average, which is validated and saved; 0: no averaging.",
        at_least=0,
        at_most=0.99999,
    )
    batch_norm_momentum: float = setting(
        0.0,
        "Momentum of batch normalisation's moving statistics. 0: each layer keeps its own; a short run lowers it, but "
        "not below 0.9.",
        at_least=0,
        at_most=0.9999,
    )
    precision: str = setting(
        "float32",
        "Arithmetic of training. bfloat16 is mixed precision: weights stay float32.",
        choices=("float32", "bfloat16", "float64"),
    )

    # Augmentation
    augment_flip: bool = setting(True, "Mirror each training image with probability 1/2.")
    augment_shift: float = setting(
        0.0, "Largest random shift, as a fraction of the image's height and width; 0: none.", at_least=0, at_most=0.5
    )
    augment_scale: float = setting(0.0, "Largest relative change of size; 0: none.", at_least=0, at_most=0.5)
    augment_rotation: float = setting(0.0, "Largest random rotation in degrees; 0: none.", at_least=0, at_most=180)
    augment_brightness: float = setting(0.0, "Largest relative change of brightness; 0: none.", at_least=0, at_most=1)
    augment_contrast: float = setting(0.0, "Largest relative change of contrast; 0: none.", at_least=0, at_most=1)
    augment_saturation: float = setting(0.0, "Largest relative change of saturation; 0: none.", at_least=0, at_most=1)

    # Run
    seed: int = setting(
        0, "Seed of the initial weights, the order of images and augmentation.", at_least=0, at_most=2**31 - 1
    )
    replicas: int = setting(0, "Number of logical CPU replicas. 0: one per GPU, or one CPU without GPUs.", at_least=0)
    sync_batch_norm: bool = setting(
        False,
        "Share batch normalisation statistics between replicas; the number of replicas may then change when the run "
        "continues.",
    )
    eval_every_epochs: float = setting(1.0, "Epochs between validations; the last step has one, too.", at_least=0.001)
    select_by: str = setting(
        "mean_balanced_accuracy",
        "Validation metric that selects the best model.",
        choices=("mean_accuracy", "mean_balanced_accuracy", "mean_roc_auc"),
    )
    patience: int = setting(
        0,
        "Number of validations in a row without a better `select_by` after which the run ends, counted from the end of "
        "`frozen_epochs`. 0: the run takes all its steps.",
        at_least=0,
    )
    steps_per_loop: int = setting(
        20, "Training steps per call of the compiled loop; no effect on the results.", at_least=1, free=True
    )
    data_service: tuple[str, ...] = setting(
        (),
        "Other machines that make the training examples, started with farkeras.serve_data: grpc://machine:5050,... "
        "They do not change the examples or their order. Empty: this machine makes them.",
        free=True,
    )
    cache_images: bool = setting(
        False,
        "Decode the training and validation images once, and keep them in memory; no effect on the results.",
        free=True,
    )
    cluster: str = setting(
        "auto",
        "Whether to train with the other machines that TF_CONFIG or SLURM's srun names (auto), or alone (none).",
        choices=("auto", "none"),
        free=True,
    )
    worker_timeout: int = setting(600, "Seconds to wait for the other machines at the start.", at_least=1, free=True)
    checkpoint_every_steps: int = setting(
        500, "Steps between checkpoints; each validation also writes one.", at_least=1, free=True
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, checked_value(field, getattr(self, field.name)))
        check_together(vars(self))

    @property
    def excluded(self) -> tuple[str, ...]:
        """The attributes that are not trained, with the names of the subjective set in place of `subjective`."""
        return with_subjective(self.exclude_attributes)

    def paths(self) -> dict[str, str]:
        """Returns the files and folders that settings name, by the name of the setting."""
        values = {field: getattr(self, field.name) for field in dataclasses.fields(self) if field.metadata["path"]}
        return {field.name: value for field, value in values.items() if value and value not in field.metadata["words"]}

    def absolute(self) -> "Config":
        """Returns a copy with absolute paths, which are valid in every working directory."""
        paths: dict[str, Any] = {name: os.path.abspath(path) for name, path in self.paths().items()}
        return dataclasses.replace(self, **paths)

    def changed_from(self, other: "Config") -> list[str]:
        """Returns the names of the settings that differ from `other` and change the results of a run."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if not field.metadata["free"] and getattr(self, field.name) != getattr(other, field.name)
        ]

    def data_settings(self) -> dict:
        """Returns the settings that decide which images and labels a model sees in training, JSON-ready by name."""
        sources = "data_dir source grouping exclude_attributes image_column group_column ignore_columns split_ratios"
        names = [*sources.split(), *"keypoints_dir image_size crop batch_size seed train_fraction label_noise".split()]
        return {k: v for k, v in self.absolute().to_dict().items() if k in names or k.startswith("augment_")}

    def to_dict(self) -> dict:
        """Returns all settings as JSON-ready values by name."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Creates the settings from a dict of `to_dict`.

        Raises:
            FarkerasError: A name is not a setting in this version of farkeras, or a value is invalid.
        """
        check_names(values, [field.name for field in dataclasses.fields(cls)])
        return cls(**values)
