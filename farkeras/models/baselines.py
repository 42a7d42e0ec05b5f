import keras
from keras import layers

from farkeras.models.base import FaceAttributeModel, head_dtype


@keras.saving.register_keras_serializable(package="farkeras")
class SharedTrunk(FaceAttributeModel):
    """The plain multi-task baseline: backbone, global average pooling, one linear layer for all attributes.

    Args: as `FARAMTN`, without `reduction`.
    Input and output: see `FaceAttributeModel`. The grouping only weights the loss and orders reports.
    """

    def __init__(
        self,
        attributes="mgmtn8",
        backbone="ResNet50",
        image_size=(224, 224),
        backbone_alpha=1.0,
        backbone_weights="none",
        dropout=0.0,
        name="shared_trunk",
    ):
        super().__init__(attributes, backbone, image_size, backbone_alpha, backbone_weights, name, dropout=dropout)

    @property
    def heads(self):
        return {"head": self.grouping.attributes}

    @staticmethod
    def build_outputs(backbone, grouping, dropout):
        pooled = layers.GlobalAveragePooling2D(name="pool")(backbone.output)
        head = layers.Dense(len(grouping.attributes), dtype=head_dtype(), name="head")
        return {"logits": head(layers.Dropout(dropout, name="dropout")(pooled))}
