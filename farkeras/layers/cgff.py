from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="farkeras")
class CGFF(layers.Layer):
    """Cross-Group Feature Fusion: attention through which the features of K attribute groups interact.

        A  = softmax((G Wq) (G Wk)^T / sqrt(d))       Wq, Wk: C -> d, d = C / reduction
        G' = G + gamma (A G)                          gamma: a learned scalar that starts at 0

    Published: the module's name and its purpose, that groups interact high in the network. The paper's formula was not
    available to us.

    Our formulation: the equations above. The number of parameters does not depend on the number of groups, and training
    starts from independent groups because `gamma` starts at 0.

    With `standardize`, the affinity reads each channel of `G` minus its mean over images and groups, over its
    deviation. `G` is positive after a ReLU, and a step of Adam then moves all entries of the affinity together, until
    the softmax picks one group, the same for all images.

    Args:
        reduction: Channel reduction of the affinity, at least 1. The affinity has width `d = max(1, C // reduction)`.
        standardize: Whether the affinity reads standardised features, by batch normalisation without scale and shift.

    Call arguments:
        - `inputs`: The group features `G`.
        - `return_fusion`: Whether to return `gamma A` as well. Its entry (i, j) is the factor with which the features
          of group j are added to those of group i.
        - `training`: Whether the standardisation runs in training mode.

    Input shape:
        `(batch, K, C)`.

    Output shape:
        `(batch, K, C)`; with `return_fusion=True` a pair of `(batch, K, C)` and `(batch, K, K)`.

    Raises:
        ValueError: `reduction` is not an integer of at least 1.

    Reference:
        FAR-AMTN, arXiv 2601.01537 (name and purpose of CGFF).

    Examples:
        >>> print(CGFF()(keras.random.uniform((2, 8, 64))).shape)
        (2, 8, 64)
    """

    def __init__(self, reduction: int = 16, standardize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(reduction, int) or reduction < 1:
            raise ValueError(f"`reduction` must be an integer of at least 1. Received: reduction={reduction}")
        self.reduction = reduction
        self.standardize = standardize
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        channels = input_shape[-1]
        width = max(1, channels // self.reduction)
        self.scale = width**-0.5
        self.standardizer = None
        if self.standardize:
            options = {"center": False, "scale": False, "dtype": self.dtype_policy}
            self.standardizer = layers.BatchNormalization(**options, name="standardize")
            self.standardizer.build(input_shape)
        self.query_kernel = self.add_weight(shape=(channels, width), initializer="glorot_uniform", name="query_kernel")
        self.key_kernel = self.add_weight(shape=(channels, width), initializer="glorot_uniform", name="key_kernel")
        self.gamma = self.add_weight(shape=(), initializer="zeros", name="gamma")

    def call(
        self, inputs: keras.KerasTensor, return_fusion: bool = False, training: bool | None = None
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        read = inputs if self.standardizer is None else self.standardizer(inputs, training=training)
        query = ops.matmul(read, self.query_kernel)  # (B, K, d)
        key = ops.matmul(read, self.key_kernel)  # (B, K, d)
        affinity = ops.matmul(query, ops.transpose(key, (0, 2, 1))) * self.scale
        fusion = self.gamma * ops.softmax(affinity, axis=-1)  # (B, K, K)
        fused = inputs + ops.matmul(fusion, inputs)
        return (fused, fusion) if return_fusion else fused

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def compute_output_spec(
        self, inputs: keras.KerasTensor, return_fusion: bool = False, training: bool | None = None
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        fused = keras.KerasTensor(inputs.shape, self.compute_dtype)
        batch, groups, _ = inputs.shape
        return (fused, keras.KerasTensor((batch, groups, groups), self.compute_dtype)) if return_fusion else fused

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction, "standardize": self.standardize}
