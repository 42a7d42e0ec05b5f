from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from farkeras.attributes import Attributes, as_grouping
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.layers import CGFF, WSGSA, CrossStitch, PrivateChannels
from farkeras.models.backbones import split_at_last_block
from farkeras.models.base import FaceAttributeModel, Outputs, as_network, group_heads

FUSIONS = ("cgff", "cgff_standardized", "none", "cross_stitch")


@keras.saving.register_keras_serializable(package="farkeras")
class FARAMTN(FaceAttributeModel):
    """FAR-AMTN: Face Attribute Recognition - Attention Multi-Task Network.

        image -> trunk -> X -> WSGSA (f = the backbone's own last block) -> (K, C) -> CGFF -> K linear heads -> logits

    Published: ResNet50 shared up to the last block of conv5, WSGSA in place of that block, CGFF, and one fully
    connected layer per group.

    Our formulation: the formula of `CGFF`, the place where other backbones are cut
    (`farkeras.models.backbones.split_at_last_block`), the members of the default grouping, the other values of
    `wsgsa_gate` and `fusion`, and `private_channels`. A model with a single group has no fusion.

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
        reduction: Channel reduction of the gates in `WSGSA` and of the affinity in `CGFF`, at least 1.
        dropout: Dropout rate before the heads, in [0, 1).
        wsgsa_gate: The formula of the gates, `gate` of `WSGSA`: `sigmoid` is the published one.
        private_channels: Number of channels that each group has for itself (`PrivateChannels`) beside the gated ones,
            a multiple of 8; 0: none, as published.
        fusion: How the features of the groups interact after `WSGSA`: `cgff` (`CGFF`),
            `cgff_standardized` (`CGFF` with `standardize`), `none`, or `cross_stitch` (`CrossStitch`).
        name: The name of the model.

    Input shape:
        `(batch, H, W, 3)` float, RGB in 0..255.

    Output shape:
        A dict with `"logits"`: `(batch, attributes)` float, in the order of `model.grouping.attributes`.

    Raises:
        FarkerasError: The grouping or the backbone is invalid, the backbone cannot be cut, `fusion` is unknown, or
            `private_channels` is not a multiple of 8.

    Reference:
        FAR-AMTN, arXiv 2601.01537.

    Examples:
        >>> model = FARAMTN("mgmtn8", backbone="MobileNetV3Small", image_size=(96, 96))
        >>> print(model(keras.random.uniform((2, 96, 96, 3), 0, 255))["logits"].shape)
        (2, 40)
    """

    def __init__(
        self,
        attributes: Attributes = "mgmtn8",
        backbone: str | keras.Model = "ResNet50",
        image_size: Sequence[int] = (224, 224),
        backbone_alpha: float = 1.0,
        backbone_weights: str = "none",
        reduction: int = 16,
        dropout: float = 0.0,
        wsgsa_gate: str = "sigmoid",
        private_channels: int = 0,
        fusion: str = "cgff",
        name: str = "far_amtn",
    ) -> None:
        if fusion not in FUSIONS:
            raise FarkerasError(f"`fusion` must be one of {', '.join(FUSIONS)}. Received: {fusion}.")
        if private_channels < 0 or private_channels % 8:
            raise FarkerasError(f"`private_channels` must be 0 or a multiple of 8. Received: {private_channels}.")
        grouping, network = as_grouping(attributes), as_network(backbone, image_size, backbone_alpha, backbone_weights)
        trunk, block = split_at_last_block(network)
        shared = trunk(network.inputs[0])
        features = WSGSA(len(grouping), reduction, block, wsgsa_gate, name="wsgsa")(shared)  # (B, K, C)
        if private_channels:
            own = PrivateChannels(len(grouping), private_channels, name="private_channels")(shared)
            features = ops.concatenate([features, own], axis=-1)  # (B, K, C + private_channels)
        if len(grouping) > 1 and fusion != "none":  # a single group has no other group to interact with
            standardize = fusion == "cgff_standardized"
            cgff = fusion != "cross_stitch"
            layer = CGFF(reduction, standardize, name="cgff") if cgff else CrossStitch(name="cross_stitch")
            features = layer(features)  # (B, K, C)
        outputs = {"logits": group_heads(features, grouping, dropout)}
        config = {
            "backbone": backbone,
            "backbone_alpha": backbone_alpha,
            "reduction": reduction,
            "dropout": dropout,
            "wsgsa_gate": wsgsa_gate,
            "private_channels": private_channels,
            "fusion": fusion,
        }
        super().__init__(grouping, network, outputs, config, name)

    @staticmethod
    def options_of(config: Config) -> dict[str, Any]:
        return {
            "reduction": config.reduction,
            "dropout": config.dropout,
            "wsgsa_gate": config.wsgsa_gate,
            "private_channels": config.private_channels,
            "fusion": config.fusion,
        }

    @property
    def backbone_layers(self) -> list[keras.layers.Layer]:
        return [self.get_layer("trunk"), self.get_layer("wsgsa").block]

    def explain(self, images: keras.KerasTensor) -> Outputs:
        """Computes what each group attends to, for visualisation.

        Args:
            images: The model's input.

        Returns:
            A dict with `gates`, `(batch, K, C)`, in (0, 1) for the published gate; `maps`, `(batch, K, h, w)`, the mean
            over channels of each group's gated map; with private channels, `attention`, `(batch, K, h, w)`, where a
            group pools them, with the sum 1; and, if the groups interact, `fusion`, `(batch, K, K)`, how much of each
            group is added to each other group: the `gamma A` of `CGFF`, the `a - I` of `CrossStitch`.
        """
        wsgsa = self.get_layer("wsgsa")
        shared = self.get_layer("trunk")(images)
        features, maps = wsgsa(shared, return_maps=True)
        explanation = {"gates": wsgsa.gates(shared), "maps": ops.mean(maps, axis=-1)}
        for layer in self.layers:
            if isinstance(layer, PrivateChannels):
                own, explanation["attention"] = layer(shared, return_attention=True)
                features = ops.concatenate([features, own], axis=-1)
            elif isinstance(layer, CGFF | CrossStitch):
                _, explanation["fusion"] = layer(features, return_fusion=True)
        return explanation
