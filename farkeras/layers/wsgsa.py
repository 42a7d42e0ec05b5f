from collections.abc import Callable
from typing import Any, Self

import keras
from keras import layers, ops

GATES: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "sigmoid": ops.sigmoid,
    "sigmoid_output": ops.sigmoid,
    "residual_tanh": lambda excitation: 1.0 + ops.tanh(excitation),
    "double_sigmoid": lambda excitation: 2.0 * ops.sigmoid(excitation),
    "standardized": lambda excitation: 2.0 * ops.sigmoid(excitation),
}
"""Value of `WSGSA.gate` -> the last function of the gates."""


@keras.saving.register_keras_serializable(package="farkeras")
class WSGSA(layers.Layer):
    """Weight-Shared Group-Specific Attention: one channel gate per attribute group over a shared convolution block.

    `X` is the input map, `f` the convolution block that all groups share, and `g` one of the `K` groups:

        Z      = mean over H, W of X
        Psi_g  = sigmoid(W2_g relu(W1_g Z + b1_g) + b2_g)         W1_g: C -> C / reduction, W2_g: -> F
        X'_g   = f(X) * Psi_g                                      broadcast over H, W
        pooled = mean over H, W of X'_g = (mean over H, W of f(X)) * Psi_g

    The last equation is exact because the gate does not depend on the position. The layer therefore builds the K gated
    maps only on request, and its cost hardly grows with K.

    Published: the gates and the shared weights of `f`.

    Our formulation: the other values of `gate`; with `e_g = W2_g relu(W1_g Z + b1_g) + b2_g`, they are

        sigmoid         Psi_g = sigmoid(e_g)          published; halves the features where e_g is about 0
        sigmoid_output  Psi_g = sigmoid(e_g)          with Z = mean over H, W of f(X), and W1_g: F -> C / reduction
        residual_tanh   Psi_g = 1 + tanh(e_g)         W2_g starts at 0: all groups start with the features of f(X)
        double_sigmoid  Psi_g = 2 sigmoid(e_g)        twice the published gate: about 1 at the start
        standardized    Psi_g = 2 sigmoid(e_g)        Z minus its mean over the images, over its deviation

    Where `X` is the output of a ReLU, all of `Z` is positive. A step of Adam then moves a hidden unit of the gates in
    the same direction for all images, so most units soon are 0 for every image, and the gates hardly depend on the
    image. With `standardized`, batch normalisation without scale and shift takes away what all images share.

    The gate layers have biases, and `f` keeps the identity shortcut and the final ReLU of the residual block that WSGSA
    replaces. So `f` can be the backbone's own last block with its pre-trained weights. The pooled form of the last
    equation is also ours.

    Args:
        num_groups: Number of attribute groups K, at least 1.
        reduction: Channel reduction of the gates, at least 1. Their hidden width is `max(1, C // reduction)`.
        block: The block `f`: a layer or model from `(batch, H, W, C)` to `(batch, H', W', F)`. Defaults to a new
            bottleneck residual block (F = C), as in the last stage of ResNet50.
        gate: The formula of the gates: `"sigmoid"`, `"sigmoid_output"`, `"residual_tanh"`, `"double_sigmoid"`
            or `"standardized"`.

    Call arguments:
        - `inputs`: The shared map `X`.
        - `return_maps`: Whether to return the gated maps `X'_g` as well.
        - `training`: Whether `f` and the standardisation run in training mode.

    Input shape:
        `(batch, H, W, C)`.

    Output shape:
        `(batch, K, F)`; with `return_maps=True` a pair of `(batch, K, F)` and `(batch, K, H', W', F)`.

    Raises:
        ValueError: `num_groups` or `reduction` is not an integer of at least 1, `block` is not a Keras layer, or `gate`
            is unknown.

    Reference:
        FAR-AMTN, arXiv 2601.01537 (module WSGSA).

    Examples:
        >>> print(WSGSA(num_groups=8)(keras.random.uniform((2, 7, 7, 64))).shape)
        (2, 8, 64)
    """

    def __init__(
        self,
        num_groups: int,
        reduction: int = 16,
        block: layers.Layer | None = None,
        gate: str = "sigmoid",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_groups, int) or num_groups < 1:
            raise ValueError(f"`num_groups` must be an integer of at least 1. Received: num_groups={num_groups}")
        if not isinstance(reduction, int) or reduction < 1:
            raise ValueError(f"`reduction` must be an integer of at least 1. Received: reduction={reduction}")
        if block is not None and not isinstance(block, layers.Layer):
            raise ValueError(f"`block` must be a Keras layer, a model or None. Received: block={block}")
        if gate not in GATES:
            raise ValueError(f"`gate` must be one of {', '.join(GATES)}. Received: gate={gate}")
        self.num_groups = num_groups
        self.reduction = reduction
        self.block = block
        self.gate = gate
        self.input_spec = layers.InputSpec(ndim=4)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        channels = input_shape[-1]
        self._block = self.block or BottleneckBlock(dtype=self.dtype_policy, name="block")
        if not self._block.built:
            self._block.build(input_shape)
        features = self._block.compute_output_shape(input_shape)[-1]
        hidden = max(1, channels // self.reduction)
        if self.gate == "standardized":
            options = {"center": False, "scale": False, "dtype": self.dtype_policy}
            self.standardize = layers.BatchNormalization(**options, name="standardize")
            self.standardize.build((input_shape[0], channels))
        # One tensor holds the kernels of all groups, initialised as if each group had its own Dense layers.
        per_group = StackedInitializer("glorot_uniform")
        groups = self.num_groups
        read = features if self.gate == "sigmoid_output" else channels
        last = "zeros" if self.gate == "residual_tanh" else per_group
        self.squeeze_kernel = self.add_weight((groups, read, hidden), per_group, name="squeeze_kernel")
        self.squeeze_bias = self.add_weight((groups, hidden), "zeros", name="squeeze_bias")
        self.excite_kernel = self.add_weight((groups, hidden, features), last, name="excite_kernel")
        self.excite_bias = self.add_weight((groups, features), "zeros", name="excite_bias")

    @property
    def gate_weights(self) -> list[keras.Variable]:
        """The weights of the gates, with the groups on their first axis; all other weights are shared."""
        return [self.squeeze_kernel, self.squeeze_bias, self.excite_kernel, self.excite_bias]

    def gates(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Computes the gates `Psi`.

        Args:
            inputs: The shared map `X`, `(batch, H, W, C)`.

        Returns:
            `(batch, K, F)`, values in (0, 1) for `sigmoid` and `sigmoid_output`, else in (0, 2).
        """
        return self._gates(self._block(inputs, training=False) if self.gate == "sigmoid_output" else inputs, False)

    def _gates(self, features: keras.KerasTensor, training: bool | None) -> keras.KerasTensor:
        """Computes the gates from the map that they read."""
        z = ops.mean(features, axis=(1, 2))  # (B, C)
        if self.gate == "standardized":
            z = self.standardize(z, training=training)
        # The groups are the batch of the products. With the images as the batch, the gradient would hold a kernel for
        # each image. OpenVINO's products do not broadcast, so Z is repeated.
        z = ops.tile(z[None], (self.num_groups, 1, 1))  # (K, B, C)
        hidden = ops.relu(ops.matmul(z, self.squeeze_kernel) + self.squeeze_bias[:, None])  # (K, B, C / r)
        excitation = ops.matmul(hidden, self.excite_kernel) + self.excite_bias[:, None]
        return GATES[self.gate](ops.transpose(excitation, (1, 0, 2)))

    def call(
        self, inputs: keras.KerasTensor, return_maps: bool = False, training: bool | None = None
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        shared = self._block(inputs, training=training)  # (B, H', W', F)
        psi = self._gates(shared if self.gate == "sigmoid_output" else inputs, training)  # (B, K, F)
        pooled = ops.mean(shared, axis=(1, 2))[:, None, :] * psi
        return (pooled, shared[:, None] * psi[:, :, None, None, :]) if return_maps else pooled

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        block = self.block or BottleneckBlock()
        return (input_shape[0], self.num_groups, block.compute_output_shape(input_shape)[-1])

    def compute_output_spec(
        self, inputs: keras.KerasTensor, return_maps: bool = False, training: bool | None = None
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        pooled = keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)
        batch, *maps = (self.block or BottleneckBlock()).compute_output_shape(inputs.shape)
        gated = keras.KerasTensor((batch, self.num_groups, *maps), self.compute_dtype)
        return (pooled, gated) if return_maps else pooled

    def get_config(self) -> dict[str, Any]:
        block = self.block and keras.saving.serialize_keras_object(self.block)
        own = {"num_groups": self.num_groups, "reduction": self.reduction, "block": block, "gate": self.gate}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        block = config.get("block") and keras.saving.deserialize_keras_object(config["block"])
        return cls(**{**config, "block": block})


@keras.saving.register_keras_serializable(package="farkeras")
class BottleneckBlock(layers.Layer):
    """The bottleneck residual block of ResNet with an identity shortcut.

    The block has 1x1, 3x3 and 1x1 convolutions without biases to C / 4, C / 4 and C channels. Batch normalisation
    follows each convolution, and ReLU follows the first two and the sum with the shortcut.

    Input shape:
        `(batch, H, W, C)`.

    Output shape:
        `(batch, H, W, C)`.

    Reference:
        He et al., Deep Residual Learning, CVPR 2016, figure 5.
    """

    def build(self, input_shape: tuple[Any, ...]) -> None:
        channels = input_shape[-1]
        width = max(1, channels // 4)
        self.stack = keras.Sequential(name="stack")
        for filters, size in ((width, 1), (width, 3), (channels, 1)):
            options = {"padding": "same", "use_bias": False, "data_format": "channels_last"}
            self.stack.add(layers.Conv2D(filters, size, **options, dtype=self.dtype_policy))
            self.stack.add(layers.BatchNormalization(epsilon=1.001e-5, dtype=self.dtype_policy))
            if len(self.stack.layers) < 6:
                self.stack.add(layers.ReLU(dtype=self.dtype_policy))
        self.stack.build(input_shape)

    def call(self, inputs: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:
        return ops.relu(inputs + self.stack(inputs, training=training))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@keras.saving.register_keras_serializable(package="farkeras")
class StackedInitializer(keras.initializers.Initializer):
    """Initialises a tensor `(groups, fan_in, fan_out)` as `groups` separate kernels `(fan_in, fan_out)`.

    Keras's initializers would count the first axis as a receptive field and draw values that are too small.

    Args:
        initializer: The initializer of one kernel.
    """

    def __init__(self, initializer: str | dict | keras.initializers.Initializer) -> None:
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> keras.KerasTensor:
        return ops.stack([self.initializer.clone()(shape[1:], dtype=dtype) for _ in range(shape[0])])

    def get_config(self) -> dict[str, Any]:
        return {"initializer": keras.saving.serialize_keras_object(self.initializer)}
