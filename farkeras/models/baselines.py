from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from farkeras.attributes import Attributes, as_grouping
from farkeras.config import Config
from farkeras.models.base import FaceAttributeModel, as_network, head_dtype


@keras.saving.register_keras_serializable(package="farkeras")
class SharedTrunk(FaceAttributeModel):
    """The plain multi-task baseline: backbone, global average pooling, one linear layer for all attributes.

    Args: as `FARAMTN`, without `reduction`.
    Input and output: see `FaceAttributeModel`. The grouping only weights the loss and orders reports.
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
    def heads(self) -> dict[str, tuple[str, ...]]:
        return {"head": self.grouping.attributes}
