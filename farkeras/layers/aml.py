from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="farkeras")
class AML(layers.Layer):
    """Adaptive Mask Learning: a UNet that predicts one mask per facial region from an image.

    Published: a UNet with one prediction head per group, trained as pixel-wise binary classification on masks made from
    keypoints.

    Our formulation: the UNet's widths and strides, strided convolutions instead of pooling, and a decoder that adds
    each skip connection instead of concatenating it, which halves the cost of the widest maps:

        stem       for each level i finer than `output_stride`: one 3x3 convolution to widths[i] channels, stride 2
        encoder    for each other level i, at stride 2^i: two 3x3 convolutions to widths[i] channels; the first has
                   stride 2 (stride 1 at level 0) and is left out directly after a stem, which ends at this stride
        decoder    from coarse to fine: 1x1 convolution to the finer level's channels, bilinear resize to its size,
                   addition of the finer level's encoder output, 3x3 convolution
        heads      one 1x1 convolution with `num_masks` filters: an independent 1x1 head per mask

    Batch normalisation and ReLU follow each 3x3 convolution. The layer itself scales its input from 0..255 to -1..1.

    Args:
        num_masks: Number of masks, at least 1.
        widths: Channels of each level. Level i works at stride `2^i`; in the stem it leads from that stride to the
            next.
        output_stride: Stride of the masks, in image pixels per mask pixel: 1, 2, 4, ..., below `2^len(widths)`.

    Call arguments:
        - `inputs`: Images, RGB in 0..255.
        - `training`: Whether batch normalisation uses the statistics of the batch.

    Input shape:
        `(batch, H, W, 3)`; `H` and `W` must be known.

    Output shape:
        `(batch, ceil(H / output_stride), ceil(W / output_stride), num_masks)`. The values are logits: the sigmoid of
        channel j is the soft mask j.

    Raises:
        ValueError: An argument is out of its range, or the height or width of the images is unknown.

    Reference:
        MGMTN, arXiv 2601.01408 (module AML).

    Examples:
        >>> images = keras.random.uniform((2, 113, 96, 3), 0, 255)
        >>> print(AML(num_masks=8, widths=(8, 16, 32), output_stride=2)(images).shape)
        (2, 57, 48, 8)
    """

    def __init__(
        self, num_masks: int, widths: Sequence[int] = (16, 32, 64, 128), output_stride: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_masks, int) or num_masks < 1:
            raise ValueError(f"`num_masks` must be an integer of at least 1. Received: num_masks={num_masks}")
        if not isinstance(widths, list | tuple) or not widths or not all(isinstance(w, int) and w > 0 for w in widths):
            raise ValueError(f"`widths` must be a list of integers of at least 1. Received: widths={widths}")
        strides = [2**level for level in range(len(widths))]
        if not isinstance(output_stride, int) or output_stride not in strides:
            expected = f"`output_stride` must be one of {strides} with {len(widths)} widths"
            raise ValueError(f"{expected}. Received: output_stride={output_stride}")
        self.num_masks = num_masks
        self.widths = tuple(widths)
        self.output_stride = output_stride
        self.input_spec = layers.InputSpec(ndim=4, axes={-1: 3})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if None in input_shape[1:]:
            raise ValueError(f"The images' height and width must be known. Received: input_shape={input_shape}")
        images = keras.Input(input_shape[1:], dtype=self.compute_dtype, name="images")
        x = layers.Rescaling(1 / 127.5, offset=-1, dtype=self.dtype_policy, name="rescaling")(images)
        first = self.output_stride.bit_length() - 1
        for level in range(first):
            x = self._convolution(x, self.widths[level], 2, f"stem{level}")
        skips = []
        for level in range(first, len(self.widths)):
            if level == 0 or level > first:  # otherwise the stem already ends at this stride
                x = self._convolution(x, self.widths[level], 2 if level else 1, f"level{level}_1")
            x = self._convolution(x, self.widths[level], 1, f"level{level}_2")
            skips.append(x)
        options = {"dtype": self.dtype_policy, "data_format": "channels_last"}
        for level in reversed(range(first, len(self.widths) - 1)):
            skip = skips[level - first]
            # Reducing the channels before the resize makes the resize cheaper.
            x = layers.Conv2D(self.widths[level], 1, **options, name=f"up{level}_1_conv")(x)
            x = ops.image.resize(x, skip.shape[1:3], interpolation="bilinear", data_format="channels_last") + skip
            x = self._convolution(x, self.widths[level], 1, f"up{level}_2")
        logits = layers.Conv2D(self.num_masks, 1, **options, name="heads")(x)
        self.network = keras.Model(images, logits, name="unet")

    def _convolution(self, x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
        policy = self.dtype_policy
        x = layers.Conv2D(
            filters, 3, stride, "same", "channels_last", use_bias=False, dtype=policy, name=f"{name}_conv"
        )(x)
        # Momentum 0.9 suits short runs, as in ResNetTiny.
        x = layers.BatchNormalization(momentum=0.9, dtype=policy, name=f"{name}_bn")(x)
        return layers.ReLU(dtype=policy, name=f"{name}_relu")(x)

    def call(self, inputs: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        return self.network(inputs, training=training)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *size, _ = input_shape
        return (batch, *(None if n is None else -(-n // self.output_stride) for n in size), self.num_masks)

    def get_config(self) -> dict[str, Any]:
        config = {"num_masks": self.num_masks, "widths": list(self.widths), "output_stride": self.output_stride}
        return {**super().get_config(), **config}
