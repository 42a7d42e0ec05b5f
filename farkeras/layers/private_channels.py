from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="farkeras")
class PrivateChannels(layers.Layer):
    """A few channels of its own for each attribute group, beside the convolutions that all groups share.

        a_g = softmax over positions p of (v_g . X_p)
        O_g = sum over p of a_gp relu(norm(V_g X_p))              V_g: C -> channels, a 1x1 convolution

    `X` is the shared map, `norm` batch normalisation, and `g` one of the `K` groups. `v_g` starts at 0, so `O_g` starts
    as the mean over the positions. The gates of `WSGSA` can only weigh the means of features that all groups share;
    these channels let a group compute something else, where it looks, for a small part of the parameters of a private
    block. The convolutions of all groups are computed as one.

    Our addition: our sources on FAR-AMTN name no such layer. With the setting `private_channels`, `FARAMTN` appends
    `O_g` to the features that `WSGSA` gives a group. Published: small convolutions of each task beside shared ones
    (parallel residual adapters), and small private networks beside a shared one for face attributes (PS-MCNN).

    Args:
        num_groups: Number of attribute groups K, at least 1.
        channels: Number of channels of each group, at least 1.

    Call arguments:
        - `inputs`: The shared map `X`.
        - `training`: Whether the normalisation runs in training mode.

    Input shape:
        `(batch, H, W, C)`.

    Output shape:
        `(batch, K, channels)`.

    Raises:
        ValueError: An argument is not an integer of at least 1.

    References:
        - Rebuffi, Bilen, Vedaldi, Efficient Parametrization of Multi-Domain Deep Neural Networks, CVPR 2018.
        - Cao, Li, Zhang, Partially Shared Multi-Task Convolutional Neural Network with Local Constraint for Face
          Attribute Learning, CVPR 2018.

    Examples:
        >>> print(PrivateChannels(num_groups=8, channels=32)(keras.random.uniform((2, 7, 7, 64))).shape)
        (2, 8, 32)
    """

    def __init__(self, num_groups: int, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in {"num_groups": num_groups, "channels": channels}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be an integer of at least 1. Received: {name}={value}")
        self.num_groups = num_groups
        self.channels = channels
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        options = {"use_bias": False, "data_format": "channels_last", "dtype": self.dtype_policy}
        width = self.num_groups * self.channels
        self.convolution = layers.Conv2D(width, 1, **options, name="convolution")
        self.convolution.build(input_shape)
        self.norm = layers.BatchNormalization(dtype=self.dtype_policy, name="norm")
        self.norm.build((*input_shape[:-1], width))
        self.position_kernel = self.add_weight((input_shape[-1], self.num_groups), "zeros", name="position_kernel")

    def attention(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Computes the weights of the positions.

        Args:
            inputs: The shared map `X`, `(batch, H, W, C)`.

        Returns:
            `(batch, H W, K)`; the weights of a group sum to 1.
        """
        _, height, width, _ = ops.shape(inputs)
        scores = ops.matmul(inputs, self.position_kernel)
        return ops.softmax(ops.reshape(scores, (-1, height * width, self.num_groups)), axis=1)

    def call(self, inputs: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        attention = self.attention(inputs)
        maps = ops.relu(self.norm(self.convolution(inputs), training=training))
        maps = ops.reshape(maps, (-1, ops.shape(attention)[1], self.num_groups, self.channels))
        return ops.sum(maps * attention[..., None], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.num_groups, self.channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_groups": self.num_groups, "channels": self.channels}
