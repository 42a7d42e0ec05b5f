from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from farkeras.attributes import REGIONS, Attributes, Grouping, as_grouping, region_of
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.layers import AML, G2FF
from farkeras.models.backbones import feature_maps
from farkeras.models.base import FaceAttributeModel, Outputs, as_network, group_heads, head_dtype

MASK_CONDITIONS = ("learned", "ones", "shuffled")


@keras.saving.register_keras_serializable(package="farkeras")
class MGMTN(FaceAttributeModel):
    """MGMTN: Mask-Guided Multi-Task Network for face attribute recognition.

        image -> AML -> mask logits (B, h, w, R) -> sigmoid -> the mask of each group's region (B, h, w, K)
        image -> backbone -> maps at strides 8, 16, 32
        maps, masks -> G2FF -> (B, K, width) -> K linear heads -> logits

    Published: a UNet with one head per facial region learns masks from keypoints, ResNeSt50 at 227 x 227 computes the
    feature maps, each group reads them through its mask, the global feature is added, and each group has one fully
    connected layer.

    Our formulation: the size of the UNet, soft masks, and the formula of `G2FF`. The UNet learns all `R = 8` regions
    for every grouping: a group reads the mask of the region with the group's name, or that of Object if there is none
    (`farkeras.attributes.region_of`).

    Args:
        attributes: A `farkeras.attributes.Grouping`, the name of a grouping (`mgmtn8`, `mcnn9`, `one`) of the 40
            CelebA attributes, the path of a grouping's JSON file, or a list of attribute names (one group).
        backbone: The name of a backbone (`ResNeSt50`, `TorchMobileNetV2`, a class of keras.applications, or another
            value of the setting `backbone`), or a functional Keras model from `(batch, H, W, 3)`, RGB in 0..255, to
            `(batch, h, w, C)`. It needs feature maps at strides 8, 16 and 32.
        image_size: Height and width of the input in pixels, for a backbone given by name.
        backbone_alpha: Width multiplier, for families that have one (MobileNet, ResNetTiny).
        backbone_weights: `none`, `imagenet` (downloaded by Keras), or the path of a `.weights.h5` or `.keras` file or,
            for a backbone that equals a network of PyTorch, of a `.pth`, `.pt` or `.safetensors` file.
        mask_widths: Channels of the UNet's levels.
        mask_stride: Stride of the masks, in image pixels per mask pixel: 1, 2, 4, ...
        fusion_width: Length of the group features.
        mask_gradients: Whether the attribute losses also train the mask network. If False, only the mask loss trains
            it.
        dropout: Dropout rate before the heads, in [0, 1).
        mask_condition: The masks through which the groups read the feature maps: `learned`, or a control: `ones` (the
            whole image), or `shuffled` (group j gets the mask of the group that is half the number of groups further).
        global_fusion: How `G2FF` adds the global feature: `gated`, `off`, `concatenated` or `global_only`.
        name: The name of the model.

    Attributes:
        mask_network: The `AML` layer, from images to mask logits.
        mask_size: Height and width of the masks in pixels.

    Input shape:
        `(batch, H, W, 3)` float, RGB in 0..255.

    Output shape:
        A dict with `"logits"`, `(batch, attributes)` float in the order of `model.grouping.attributes`, and
        `"mask_logits"`, `(batch, *mask_size, R)` float in the order of `farkeras.attributes.REGIONS`.

    Raises:
        FarkerasError: The grouping or the backbone is invalid, the backbone has no map at stride 8, 16 or 32,
            `mask_condition` is unknown, or it is `shuffled` and all groups read the same region.

    Reference:
        MGMTN, arXiv 2601.01408.

    Examples:
        >>> model = MGMTN("mgmtn8", "MobileNetV3Small", image_size=(96, 96), mask_widths=(8, 16, 32), mask_stride=2)
        >>> outputs = model(keras.random.uniform((2, 96, 96, 3), 0, 255))
        >>> print(outputs["logits"].shape, outputs["mask_logits"].shape)
        (2, 40) (2, 48, 48, 8)
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
        mask_condition: str = "learned",
        global_fusion: str = "gated",
        name: str = "mgmtn",
    ) -> None:
        grouping, network = as_grouping(attributes), as_network(backbone, image_size, backbone_alpha, backbone_weights)
        images = network.inputs[0]
        mask_logits = ops.cast(AML(len(REGIONS), mask_widths, mask_stride, name="aml")(images), head_dtype())
        masks = group_masks(ops.sigmoid(mask_logits), grouping, mask_condition)
        if not mask_gradients:
            masks = ops.stop_gradient(masks)
        fuse = G2FF(fusion_width, global_fusion, name="g2ff")
        features = fuse((feature_maps(network)(images), masks))  # (B, K, width)
        outputs = {"logits": group_heads(features, grouping, dropout), "mask_logits": mask_logits}
        config = {
            "backbone": backbone,
            "backbone_alpha": backbone_alpha,
            "mask_widths": list(mask_widths),
            "mask_stride": mask_stride,
            "fusion_width": fusion_width,
            "mask_gradients": mask_gradients,
            "dropout": dropout,
            "mask_condition": mask_condition,
            "global_fusion": global_fusion,
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
            "mask_condition": config.mask_condition,
            "global_fusion": config.global_fusion,
        }

    @property
    def backbone_layers(self) -> list[keras.layers.Layer]:
        return [self.get_layer("feature_maps")]

    @property
    def mask_network(self) -> AML:
        """The `AML` layer, from images to mask logits."""
        return self.get_layer("aml")

    @property
    def mask_size(self) -> tuple[int, int]:
        """Height and width of the masks in pixels."""
        return tuple(self.mask_network.output.shape[1:3])

    def answers(self, images: keras.KerasTensor) -> Outputs:
        outputs = self(images, training=False)
        masks = ops.sigmoid(ops.cast(outputs["mask_logits"], "float32"))
        return {"probabilities": self._probabilities(outputs["logits"]), "masks": masks}

    def masks(self, images: keras.KerasTensor) -> keras.KerasTensor:
        return ops.sigmoid(ops.cast(self.mask_network(images), "float32"))

    def explain(self, images: keras.KerasTensor) -> Outputs:
        """Computes where each group looks, for visualisation.

        Args:
            images: The model's input.

        Returns:
            A dict with `maps`, `(batch, K, h, w)` in 0..1: the mask through which each group reads the feature maps.
        """
        masks = group_masks(self.masks(images), self.grouping, self._config["mask_condition"])
        return {"maps": ops.transpose(masks, (0, 3, 1, 2))}


def group_masks(masks: keras.KerasTensor, grouping: Grouping, condition: str = "learned") -> keras.KerasTensor:
    """Returns the mask that each group reads: `(batch, h, w, R)` -> `(batch, h, w, K)`; see `MGMTN.mask_condition`."""
    if condition not in MASK_CONDITIONS:
        raise FarkerasError(f"`mask_condition` must be one of {', '.join(MASK_CONDITIONS)}. Received: {condition}.")
    regions = [region_of(group) for group in grouping.names]
    if condition == "shuffled":
        half = len(regions) // 2
        shuffled = regions[half:] + regions[:half]
        if shuffled == regions:
            raise FarkerasError(
                "`mask_condition=shuffled` needs groups that read the masks of different regions. Received: the groups "
                f"{', '.join(grouping.names)}, which read {', '.join(dict.fromkeys(regions))}."
            )
        regions = shuffled
    masks = ops.take(masks, [REGIONS.index(region) for region in regions], axis=-1)
    return ops.ones_like(masks) if condition == "ones" else masks
