from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from farkeras.attributes import Attributes, as_grouping
from farkeras.config import Config
from farkeras.models.base import FaceAttributeModel, as_network, head_dtype


@keras.saving.register_keras_serializable(package="farkeras")
class SharedTrunk(FaceAttributeModel):
    """The shared-trunk baseline: backbone, global average pooling, and one linear layer for all attributes.

    The grouping affects only the weights of the loss and the order of reports.

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
        dropout: Dropout rate before the head, in [0, 1).
        name: The name of the model.

    Input shape:
        `(batch, H, W, 3)` float, RGB in 0..255.

    Output shape:
        A dict with `"logits"`: `(batch, attributes)` float, in the order of `model.grouping.attributes`.

    Raises:
        FarkerasError: The grouping or the backbone is invalid.
    """

    def __init__(
        self,
        attributes: Attributes = "mgmtn8",
        backbone: str | keras.Model = "ResNet50",
        image_size: Sequence[int] = (224, 224),
        backbone_alpha: float = 1.0,
        backbone_weights: str = "none",
        dropout: float = 0.0,
        name: str = "shared_trunk",
    ) -> None:
        grouping, network = as_grouping(attributes), as_network(backbone, image_size, backbone_alpha, backbone_weights)
        pooled = layers.GlobalAveragePooling2D("channels_last", name="pool")(network.output)
        head = layers.Dense(len(grouping.attributes), dtype=head_dtype(), name="head")
        outputs = {"logits": head(layers.Dropout(dropout, name="dropout")(pooled))}
        config = {"backbone": backbone, "backbone_alpha": backbone_alpha, "dropout": dropout}
        super().__init__(grouping, network, outputs, config, name)

    @staticmethod
    def options_of(config: Config) -> dict[str, Any]:
        return {"dropout": config.dropout}

    @property
    def backbone_layers(self) -> list[keras.layers.Layer]:
        return [layer for layer in self.layers if layer.name not in ("pool", "dropout", "head")]

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        return {"head": self.grouping.attributes}
