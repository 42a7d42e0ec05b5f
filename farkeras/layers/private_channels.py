import math
from typing import Any

import keras
from keras import layers, ops

NUM_WAVES = 4
"""Cosines of the height, and of the width, that tell the attention where a position is."""


@keras.saving.register_keras_serializable(package="farkeras")
class PrivateChannels(layers.Layer):
    """A few channels of its own for each attribute group, beside the convolutions that all groups share.

        a_gh = softmax over positions p of (v_gh . X_p + u_gh . e_p)
        O_gh = sum over p of a_ghp relu(norm(V_gh X_p))           V_gh: C -> channels / heads, a 1x1 convolution

    `X` is the shared map, `norm` batch normalisation, `g` one of the `K` groups, and `h` one of its heads. Each head
    looks at a place of its own, because a group can have attributes at the ears and at the eyes. `e_p` are 15 numbers
    that tell where `p` is, products of cosines of its height and width, so that a head can prefer a region of an
    aligned face. `v_gh` and `u_gh` start at 0, so `O_gh` starts as the mean over the positions.

    The gates of `WSGSA` can only weigh the means of features that all groups share. These channels let a group compute
    something else, where it looks, for a small part of the parameters of a private block. The convolutions of all
    groups are computed as one.

    Our addition: our sources on FAR-AMTN name no such layer. With the setting `private_channels`, `FARAMTN` appends
    `O_g` to the features that `WSGSA` gives a group. Published: small convolutions of each task beside shared ones
    (parallel residual adapters), and small private networks beside a shared one for face attributes (PS-MCNN).

    Args:
        num_groups: Number of attribute groups K, at least 1.
        channels: Number of channels of each group, a multiple of `heads`.
        heads: Number of places at which a group looks, at least 1.

    Call arguments:
        - `inputs`: The shared map `X`.
        - `return_attention`: Whether to also return where each group looks: the weights of the positions, mean over
          the heads, `(batch, K, H, W)`, with the sum 1.
        - `training`: Whether the normalisation runs in training mode.

    Input shape:
        `(batch, H, W, C)`.

    Output shape:
        `(batch, K, channels)`.

    Raises:
        ValueError: An argument is not an integer of at least 1, or `channels` is not a multiple of `heads`.

    References:
        - Rebuffi, Bilen, Vedaldi, Efficient Parametrization of Multi-Domain Deep Neural Networks, CVPR 2018.
        - Cao, Li, Zhang, Partially Shared Multi-Task Convolutional Neural Network with Local Constraint for Face
          Attribute Learning, CVPR 2018.

    Examples:
        >>> print(PrivateChannels(num_groups=8, channels=32)(keras.random.uniform((2, 7, 7, 64))).shape)
        (2, 8, 32)
    """

    def __init__(self, num_groups: int, channels: int, heads: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in {"num_groups": num_groups, "channels": channels, "heads": heads}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be an integer of at least 1. Received: {name}={value}")
        if channels % heads:
            raise ValueError(f"`channels` must be a multiple of heads={heads}. Received: channels={channels}")
        self.num_groups = num_groups
        self.channels = channels
        self.heads = heads
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        options = {"use_bias": False, "data_format": "channels_last", "dtype": self.dtype_policy}
        width = self.num_groups * self.channels
        self.convolution = layers.Conv2D(width, 1, **options, name="convolution")
        self.convolution.build(input_shape)
        self.norm = layers.BatchNormalization(dtype=self.dtype_policy, name="norm")
        self.norm.build((*input_shape[:-1], width))
        places = self.num_groups * self.heads
        self.feature_kernel = self.add_weight((input_shape[-1], places), "zeros", name="feature_kernel")
        self.position_kernel = self.add_weight((NUM_WAVES**2 - 1, places), "zeros", name="position_kernel")

    def call(
        self, inputs: keras.KerasTensor, return_attention: bool = False, training: bool | None = None
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        _, height, width, _ = ops.shape(inputs)
        scores = ops.matmul(inputs, self.feature_kernel)  # (B, H, W, K heads)
        scores = scores + ops.matmul(self._waves(height, width), self.position_kernel)
        attention = ops.softmax(ops.reshape(scores, (-1, height * width, self.num_groups * self.heads)), axis=1)
        maps = ops.relu(self.norm(self.convolution(inputs), training=training))
        maps = ops.reshape(maps, (-1, height * width, self.num_groups * self.heads, self.channels // self.heads))
        pooled = ops.sum(maps * attention[..., None], axis=1)  # (B, K heads, channels / heads)
        pooled = ops.reshape(pooled, (-1, self.num_groups, self.channels))
        if not return_attention:
            return pooled
        looks = ops.reshape(attention, (-1, height, width, self.num_groups, self.heads))
        return pooled, ops.transpose(ops.mean(looks, axis=-1), (0, 3, 1, 2))

    def _waves(self, height: int, width: int) -> keras.KerasTensor:
        """Returns the numbers `e_p`, `(H, W, 15)`, in -1..1."""

        def cosines(count: int) -> keras.KerasTensor:
            places = (ops.arange(count, dtype="float32") + 0.5) / ops.cast(count, "float32")
            return ops.cos(math.pi * places[:, None] * ops.arange(NUM_WAVES, dtype="float32"))

        waves = cosines(height)[:, None, :, None] * cosines(width)[None, :, None, :]
        waves = ops.reshape(waves, (height, width, NUM_WAVES**2))[..., 1:]  # without the constant
        return ops.cast(waves, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.num_groups, self.channels)

    def compute_output_spec(
        self, inputs: keras.KerasTensor, return_attention: bool = False, training: bool | None = None
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        batch, height, width, _ = inputs.shape
        pooled = keras.KerasTensor((batch, self.num_groups, self.channels), self.compute_dtype)
        looks = keras.KerasTensor((batch, self.num_groups, height, width), self.compute_dtype)
        return (pooled, looks) if return_attention else pooled

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_groups": self.num_groups,
            "channels": self.channels,
            "heads": self.heads,
        }
