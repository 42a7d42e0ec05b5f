"""The base classes of all models: named attributes in groups, and a dict of outputs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self
from urllib.parse import quote, unquote

import keras
import numpy as np
from keras import layers, ops

from farkeras.attributes import Attributes, Grouping, as_grouping
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.losses import MaskedBinaryCrossentropy, sum_by_group
from farkeras.models.backbones import build_backbone
from farkeras.models.multi_task import MultiTaskModel, Tensors, WeighedTasks, mean_part, output_part
from farkeras.models.presets import find_preset

Outputs = dict[str, keras.KerasTensor]


@keras.saving.register_keras_serializable(package="farkeras")
class LogitsModel(MultiTaskModel):
    """A functional Keras model from images to a dict of outputs that contains `"logits"`, `(batch, attributes)`.

    Prediction, evaluation and the exporters accept any such model: `LogitsModel(inputs, {"logits": logits})`. In `fit`,
    labels that are not a dict belong to `"logits"`. `MultiTaskModel` describes `compile`.

    Attributes:
        has_masks: Whether the model predicts masks of facial regions. If it does, it implements `masks` and
            `mask_size`.
        calibration: `float32 [2, attributes]`: `answers` multiplies the logits by the first row and adds the second; or
            None. It is a constant of the loaded model, not a weight: `farkeras.models.model_file.load_model` sets it.
    """

    main_output = "logits"
    has_masks = False
    calibration: np.ndarray | None = None

    def answers(self, images: keras.KerasTensor) -> Outputs:
        """Computes `"probabilities"` and, if the model has masks, `"masks"` in one forward pass in inference mode.

        Args:
            images: The model's input.

        Returns:
            A dict of float32 tensors in 0..1, with the shapes that `probabilities` and `masks` give.
        """
        return {"probabilities": self._probabilities(self(images, training=False)["logits"])}

    def probabilities(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Computes the attributes' probabilities: the model's input -> `(batch, attributes)` float32 in 0..1."""
        return self.answers(images)["probabilities"]

    def _probabilities(self, logits: keras.KerasTensor) -> keras.KerasTensor:
        logits = ops.cast(logits, "float32")
        if self.calibration is not None:
            scale, shift = self.calibration
            logits = logits * scale + shift
        return ops.sigmoid(logits)

    def masks(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Computes the masks of the facial regions.

        Args:
            images: The model's input.

        Returns:
            `(batch, *mask_size, regions)` float32 in 0..1, with regions in the order of `farkeras.attributes.REGIONS`.

        Raises:
            NotImplementedError: The model has no masks.
        """
        raise NotImplementedError(f"The model '{self.name}' has no masks.")

    def explain(self, images: keras.KerasTensor) -> Outputs:
        """Computes tensors that show what each group bases its predictions on, by name; by default an empty dict."""
        return {}


class FaceAttributeModel(LogitsModel):
    """A functional Keras model from an image to one logit per attribute.

    If `compile` gets a `weighting` (see `MultiTaskModel`), the tasks are the groups of attributes. With `L_g` the mean
    loss over the known labels of group g in the batch, `n_g` its number of attributes and `w_g` its weight, the loss is

        total = sum_g w_g n_g L_g / sum_g n_g

    plus the losses of the other outputs. The loss of `"logits"` must be `farkeras.losses.MaskedBinaryCrossentropy`.

    The constructor of a subclass takes `attributes`, `backbone`, `image_size`, `backbone_alpha`, `backbone_weights`,
    `name` and its own options, which `options_of` reads from the settings.

    Args:
        grouping: The attributes and their groups.
        network: The backbone, from `as_network`.
        outputs: The outputs of the model, computed from `network.inputs`.
        config: The constructor's arguments that cannot be read from `network` and `grouping`, for saving.
        name: The name of the model.

    Input shape:
        `(batch, height, width, 3)` float, RGB in 0..255.

    Output shape:
        A dict that contains `"logits"`: `(batch, attributes)` float, in the order of `model.grouping.attributes`.
    """

    def __init__(
        self, grouping: Grouping, network: keras.Model, outputs: Outputs, config: dict[str, Any], name: str
    ) -> None:
        super().__init__(network.inputs[0], outputs, name=name)
        self.grouping, self.image_size, self._config = grouping, tuple(network.input_shape[1:3]), config

    @classmethod
    def from_settings(cls, config: Config, grouping: Grouping, **options: Any) -> Self:
        """Builds the model of a run with its initial weights.

        Args:
            config: The settings of the run.
            grouping: The attributes and their groups.
            **options: Arguments of the constructor that replace those of the settings.
        """
        common: dict[str, Any] = {
            "attributes": grouping,
            "backbone": config.backbone,
            "image_size": config.image_size,
            "backbone_alpha": config.backbone_alpha,
            "backbone_weights": config.backbone_weights,
        }
        return cls(**common | cls.options_of(config) | options)

    @classmethod
    def from_preset(
        cls, name: str, attributes: Attributes | None = None, backbone_weights: str = "none", **options: Any
    ) -> Self:
        """Builds the model of a preset: `FARAMTN.from_preset("far_amtn_resnet50")`.

        Args:
            name: A preset of this class; `python -m farkeras.presets` lists them.
            attributes: The attributes and their groups, as for the constructor; by default those of the preset.
            backbone_weights: As for the constructor. No preset has trained weights of its own.
            **options: Other arguments of the constructor, which replace those of the preset.

        Raises:
            FarkerasError: There is no such preset, or it is one of another model.
        """
        preset = find_preset(name)
        if preset.model not in (each.__name__ for each in cls.__mro__):
            raise FarkerasError(f"{name} is a preset of {preset.model}, not of {cls.__name__}. Use {preset.model}.")
        config = replace(preset.config, backbone_weights=backbone_weights)
        grouping = as_grouping(config.grouping if attributes is None else attributes)
        return cls.from_settings(config, grouping, **options)

    @staticmethod
    def options_of(config: Config) -> dict[str, Any]:
        """Returns the arguments of the constructor that are specific to this class, from their settings."""
        raise NotImplementedError

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        """Name of each head (a fully connected layer) -> the attributes of its outputs."""
        return {head_name(group): members for group, members in self.grouping.groups.items()}

    @property
    def backbone_layers(self) -> list[layers.Layer]:
        """The layers with the variables of the backbone, which may start from trained weights.

        To freeze the backbone, batch normalisation included, set their `trainable` to False before `compile`.
        """
        raise NotImplementedError

    def backbone_multipliers(self, multiplier: float, variables: Sequence[keras.Variable] | None = None) -> list[float]:
        """Returns the share of the learning rate of each variable, for `farkeras.optimizers`.

        Args:
            multiplier: The share of the backbone's variables; all other variables have 1.
            variables: The variables, by default `trainable_variables`.
        """
        backbone = {id(variable) for layer in self.backbone_layers for variable in layer.variables}
        variables = self.trainable_variables if variables is None else variables
        return [multiplier if id(variable) in backbone else 1.0 for variable in variables]

    def _losses_by_output(self, loss: Any) -> dict[str, keras.losses.Loss]:
        losses = super()._losses_by_output(loss)
        own = losses.get("logits")
        if not isinstance(own, MaskedBinaryCrossentropy) or own.reduction != "mean_with_sample_weight":
            raise ValueError(
                "`weighting` weights the losses of attribute groups, so 'logits' needs the loss "
                f"farkeras.losses.MaskedBinaryCrossentropy with its default reduction. Received: loss={loss}"
            )
        return losses

    def _task_sizes(self, weighed: WeighedTasks) -> dict[str, float]:
        return {group: len(members) for group, members in self.grouping.groups.items()}

    def _scale(self, weighed: WeighedTasks) -> float:
        return weighed.loss_weights["logits"]

    def _task_losses(
        self, weighed: WeighedTasks, y: Tensors, y_pred: Tensors, sample_weight: Any
    ) -> tuple[keras.KerasTensor, keras.KerasTensor, Any]:
        weight = sample_weight.get("logits") if isinstance(sample_weight, dict) else sample_weight
        sums = weighed.losses["logits"].sums(y["logits"], y_pred["logits"], weight)
        losses, present = mean_part(*(sum_by_group(values, self.grouping) for values in sums))
        others = [
            weighed.loss_weights[name] * output_part(weighed, name, y, y_pred, sample_weight)[0]
            for name in weighed.losses
            if name != "logits"
        ]
        return losses, present, sum(others)

    def get_config(self) -> dict[str, Any]:
        config = {"image_size": list(self.image_size), **self._config, "name": self.name}
        if isinstance(config["backbone"], keras.Model):
            config["backbone"] = keras.saving.serialize_keras_object(config["backbone"])
        return {"attributes": self.grouping.get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        config = dict(config)
        grouping = Grouping.from_config(config.pop("attributes"))
        if isinstance(config["backbone"], dict):
            config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"], custom_objects)
        return cls(grouping, **config)


def as_network(backbone: str | keras.Model, image_size: Sequence[int], alpha: float, weights: str) -> keras.Model:
    """Returns the backbone as a model: itself, or built by name with the other arguments (see `build_backbone`)."""
    return build_backbone(backbone, tuple(image_size), alpha, weights) if isinstance(backbone, str) else backbone


def group_heads(features: keras.KerasTensor, grouping: Grouping, dropout: float) -> keras.KerasTensor:
    """Applies K independent fully connected layers: `(batch, K, C)` features -> `(batch, attributes)` logits."""
    logits = []
    for g, (group, members) in enumerate(grouping.groups.items()):
        head = layers.Dense(len(members), dtype=head_dtype(), name=head_name(group))
        logits.append(head(layers.Dropout(dropout, name=f"dropout_{layer_name(group)}")(features[:, g])))
    # From the order of the groups to the order of the attributes.
    listed = [member for members in grouping.groups.values() for member in members]
    order = [listed.index(attribute) for attribute in grouping.attributes]
    return ops.take(ops.concatenate(logits, axis=-1), order, axis=-1)


def head_dtype() -> str:
    """Returns the dtype of logits, which is that of the weights: float32 also under `mixed_bfloat16`."""
    return keras.config.dtype_policy().variable_dtype


def head_name(group: str) -> str:
    """Returns the name of a group's head."""
    return f"head_{layer_name(group)}"


def layer_name(group: str) -> str:
    """Encodes a group's name for Keras and TensorFlow, which reject most signs: `Hair/top` -> `Hair>2Ftop`.

    The encoding is that of a URL, with `>` for `%`. Different groups get different names. A name of ASCII letters,
    digits, `_`, `-` and `.` stays the same.
    """
    return quote(group, safe="").replace("~", "%7E").replace("%", ">")


def shown_name(layer: str) -> str:
    """Returns the name of a layer with the group's name decoded: the inverse of `layer_name`."""
    return unquote(layer.replace(">", "%")) if ">" in layer else layer
