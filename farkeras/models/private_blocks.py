from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers, ops

from farkeras.attributes import Attributes, as_grouping
from farkeras.config import Config
from farkeras.models.backbones import split_at_last_block, split_at_last_stage
from farkeras.models.base import FaceAttributeModel, as_network, group_heads, head_dtype, layer_name


@keras.saving.register_keras_serializable(package="farkeras")
class PrivateBlocks(FaceAttributeModel):
    """The traditional multi-task network: each group has a private copy of the backbone's last block.

        image -> trunk -> X -> K blocks, one for each group -> global average pooling -> K linear heads -> logits

    This is the network whose private blocks WSGSA replaces in FAR-AMTN by one shared block with gates. Published: that
    such networks share the low layers and have private high ones. Our formulation: it is cut where FAR-AMTN is
    (`farkeras.models.backbones.split_at_last_block`), and each copy starts with the weights of the backbone's block.

    Args:
        attributes: A `farkeras.attributes.Grouping`, the name of a grouping (`mgmtn8`, `mcnn9`, `one`) of the 40
            CelebA attributes, the path of a grouping's JSON file, or a list of attribute names (one group).
        backbone: The name of a backbone (`ResNeSt50`, `TorchMobileNetV2`, a class of keras.applications, or another
            value of the setting `backbone`), or a functional Keras model from `(batch, H, W, 3)`, RGB in 0..255, to
            `(batch, h, w, C)`.
        image_size: Height and width of the input in pixels, for a backbone given by name.
        backbone_alpha: Width multiplier, for families that have one (MobileNet, ResNetTiny).
        backbone_weights: `none`, `imagenet` (downloaded by Keras), or the path of a `.weights.h5` or `.keras` file or,
            for a backbone that equals a network of PyTorch, of a `.pth`, `.pt` or `.safetensors` file.
        dropout: Dropout rate before the heads, in [0, 1).
        name: The name of the model, by default that of the setting `model`.

    Input shape:
        `(batch, H, W, 3)` float, RGB in 0..255.

    Output shape:
        A dict with `"logits"`: `(batch, attributes)` float, in the order of `model.grouping.attributes`.

    Raises:
        FarkerasError: The grouping or the backbone is invalid, or the backbone cannot be cut.

    Reference:
        FAR-AMTN, arXiv 2601.01537 (the traditional network that it improves).

    Examples:
        >>> model = PrivateBlocks("mgmtn8", backbone="ResNetTiny", image_size=(96, 96))
        >>> print(model(keras.random.uniform((2, 96, 96, 3), 0, 255))["logits"].shape)
        (2, 40)
    """

    _default_name = "private_blocks"
    _split: Callable[[keras.Model], tuple[keras.Model, keras.Model]] = staticmethod(split_at_last_block)

    def __init__(
        self,
        attributes: Attributes = "mgmtn8",
        backbone: str | keras.Model = "ResNet50",
        image_size: Sequence[int] = (224, 224),
        backbone_alpha: float = 1.0,
        backbone_weights: str = "none",
        dropout: float = 0.0,
        name: str | None = None,
    ) -> None:
        grouping, network = as_grouping(attributes), as_network(backbone, image_size, backbone_alpha, backbone_weights)
        trunk, block = self._split(network)
        shared = trunk(network.inputs[0])
        blocks = [private_copy(block, f"block_{layer_name(group)}") for group in grouping.names]
        features = ops.stack([ops.mean(own(shared), axis=(1, 2)) for own in blocks], axis=1)  # (B, K, C)
        outputs = {"logits": self._scores(group_heads(features, grouping, dropout))}
        config = {"backbone": backbone, "backbone_alpha": backbone_alpha, "dropout": dropout}
        super().__init__(grouping, network, outputs, config, name or self._default_name)

    @staticmethod
    def _scores(logits: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the model's logits, from those of the heads."""
        return logits

    @staticmethod
    def options_of(config: Config) -> dict[str, Any]:
        return {"dropout": config.dropout}

    @property
    def backbone_layers(self) -> list[keras.layers.Layer]:
        blocks = [self.get_layer(f"block_{layer_name(group)}") for group in self.grouping.names]
        return [self.get_layer("trunk"), *blocks]


@keras.saving.register_keras_serializable(package="farkeras")
class PrivateStage(PrivateBlocks):
    """The traditional multi-task network with a private copy of the backbone's last stage (conv5 in ResNet50).

    It is `PrivateBlocks`, with the cut of `farkeras.models.backbones.split_at_last_stage`. In ResNet50, each group has
    15 million parameters of its own.
    """

    _default_name = "private_stage"
    _split = staticmethod(split_at_last_stage)


@keras.saving.register_keras_serializable(package="farkeras")
class ScoreFusion(PrivateBlocks):
    """A network in the manner of MCNN-AUX: private blocks, and a layer from all scores to all scores on top.

        final scores = scores + W scores + b            W: (attributes, attributes) and b start at 0

    Published: a network that shares its low layers, has private high layers for each group, and passes the scores of
    all attributes through a fully connected layer, the auxiliary network, which gives the final scores.

    Our formulation: the backbone with its private last blocks (`PrivateBlocks`), and the sum with the scores, so that
    training starts from them. The scores are logits, and both parts are trained together.

    The arguments and shapes are those of `PrivateBlocks`.

    Reference:
        Hand, Chellappa, Attributes for Improved Attributes: A Multi-Task Network Utilizing Implicit and Explicit
        Relationships for Facial Attribute Classification, AAAI 2017.
    """

    _default_name = "score_fusion"

    @staticmethod
    def _scores(logits: keras.KerasTensor) -> keras.KerasTensor:
        change = layers.Dense(logits.shape[-1], kernel_initializer="zeros", dtype=head_dtype(), name="auxiliary")
        return logits + change(logits)

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        return {**super().heads, "auxiliary": self.grouping.attributes}


def private_copy(block: keras.Model, name: str) -> keras.Model:
    """Returns a copy of a functional model with the same weights, in layers and variables of its own."""

    def renamed(layer: layers.Layer) -> layers.Layer:
        # The names, which are part of the paths of the weights, must differ between the copies.
        return type(layer).from_config({**layer.get_config(), "name": f"{layer.name}_{name}"})

    copy = keras.models.clone_model(block, clone_function=renamed)
    copy.set_weights(block.get_weights())
    copy.name = name
    return copy
