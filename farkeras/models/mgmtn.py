from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from farkeras.attributes import REGIONS, Attributes, Grouping, as_grouping, region_of
from farkeras.config import Config
from farkeras.layers import AML, G2FF
from farkeras.models.backbones import feature_maps
from farkeras.models.base import FaceAttributeModel, Outputs, as_network, group_heads, head_dtype


@keras.saving.register_keras_serializable(package="farkeras")
class MGMTN(FaceAttributeModel):
    """MGMTN: Mask-Guided Multi-Task Network for face attribute recognition.

        image -> AML -> mask logits (B, h, w, R) -> sigmoid -> the mask of each group's region (B, h, w, K)
        image -> backbone -> maps at strides 8, 16, 32
        maps, masks -> G2FF -> (B, K, width) -> K linear heads -> logits

    Published: a UNet with one head per facial region learns masks from keypoints, ResNeSt50 at 227 x 227 gives the
    maps, each group reads them through its mask, the global feature is added, one fully connected layer per group.
    Ours: the UNet's size, masks used soft, G2FF's formula (see the layer), and that all `R = 8` regions are learned
    whatever the grouping is: a group reads the region of its name, else Object (`farkeras.attributes.region_of`).

    Args: `attributes`, `backbone` (with maps at strides 8, 16 and 32), `image_size`, `backbone_alpha`,
    `backbone_weights` and `dropout` as those of `FARAMTN`; beside them
        mask_widths: Channels of the UNet's levels.
        mask_stride: Pixels of the image to a pixel of the masks: 1, 2, 4 ...
        fusion_width: Length of the group features.
        mask_gradients: Whether the attributes' losses train the mask network too; otherwise only its masks' losses do.

    Input: see `FaceAttributeModel`. Output: a dict of `"logits"` `(batch, attributes)` in the order of
    `model.grouping.attributes` and `"mask_logits"` `(batch, h, w, R)` in the order of `farkeras.attributes.REGIONS`,
    with `(h, w) = model.mask_size`. The mask network is `model.mask_network`.

    Reference:
        MGMTN, arXiv 2601.01408.

    Example:

    >>> model = MGMTN("mgmtn8", "MobileNetV3Small", image_size=(96, 96), mask_widths=(8, 16, 32), mask_stride=2)
    >>> outputs = model(keras.random.uniform((2, 96, 96, 3), 0, 255))
    >>> outputs["logits"].shape, outputs["mask_logits"].shape
    ((2, 40), (2, 48, 48, 8))
    """

    has_masks = True

    def __init__(
        self,
        attributes: Attributes = "mgmtn8",
        backbone: str | keras.Model = "ResNeSt50",
        image_size: Sequence[int] = (227, 227),
        backbone_alpha: float = 1.0,
        backbone_weights: str = "none",
        mask_widths: Sequence[int] = (16, 32, 64, 128),
        mask_stride: int = 1,
        fusion_width: int = 256,
        mask_gradients: bool = False,
        dropout: float = 0.0,
        name: str = "mgmtn",
    ) -> None:
        grouping, network = as_grouping(attributes), as_network(backbone, image_size, backbone_alpha, backbone_weights)
        images = network.inputs[0]
        mask_logits = ops.cast(AML(len(REGIONS), mask_widths, mask_stride, name="aml")(images), head_dtype())
        masks = group_masks(ops.sigmoid(mask_logits), grouping)
        if not mask_gradients:
            masks = ops.stop_gradient(masks)
        features = G2FF(fusion_width, name="g2ff")((feature_maps(network)(images), masks))  # (B, K, width)
        outputs = {"logits": group_heads(features, grouping, dropout), "mask_logits": mask_logits}
        config = {
            "backbone": backbone,
            "backbone_alpha": backbone_alpha,
            "mask_widths": list(mask_widths),
            "mask_stride": mask_stride,
            "fusion_width": fusion_width,
            "mask_gradients": mask_gradients,
            "dropout": dropout,
        }
        super().__init__(grouping, network, outputs, config, name)

    @staticmethod
    def options_of(config: Config) -> dict[str, Any]:
        return {
            "mask_widths": config.mask_widths,
            "mask_stride": config.mask_stride,
            "fusion_width": config.fusion_width,
            "mask_gradients": config.mask_gradients,
            "dropout": config.dropout,
        }

    @property
    def mask_network(self) -> AML:
        """The layer from images to mask logits."""
        return self.get_layer("aml")

    @property
    def mask_size(self) -> tuple[int, int]:
        """Height and width of the masks in pixels."""
        return tuple(self.mask_network.output.shape[1:3])

    def answers(self, images: keras.KerasTensor) -> Outputs:
        outputs = {name: ops.cast(x, "float32") for name, x in self(images, training=False).items()}
        return {"probabilities": ops.sigmoid(outputs["logits"]), "masks": ops.sigmoid(outputs["mask_logits"])}

    def masks(self, images: keras.KerasTensor) -> keras.KerasTensor:
        return ops.sigmoid(ops.cast(self.mask_network(images), "float32"))

    def explain(self, images: keras.KerasTensor) -> Outputs:
        """Where each group looks, for visualisation.

        Args:
            images: As the model's input.

        Returns:
            A dict with `maps` `(batch, K, h, w)` in 0..1: the mask through which each group reads the feature maps.
        """
        return {"maps": ops.transpose(group_masks(self.masks(images), self.grouping), (0, 3, 1, 2))}


def group_masks(masks: keras.KerasTensor, grouping: Grouping) -> keras.KerasTensor:
    """The mask that each group reads: `(batch, h, w, R)` -> `(batch, h, w, K)`."""
    return ops.take(masks, [REGIONS.index(region_of(group)) for group in grouping.names], axis=-1)
