from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="farkeras")
class CrossStitch(layers.Layer):
    """A cross-stitch unit: each attribute group gets a learned mixture of the features of all K groups.

        G'_i = sum_j a_ij G_j            a: a learned matrix (K, K), the same for all images

    Published: the equation, and the start near the identity: 0.9 for a group's own features, and 0.1 in all for those
    of the others. The paper has such units between convolutional networks of two tasks, with a matrix for each channel.

    Our formulation: one unit for K groups, on their pooled features, with one matrix for all channels. It takes the
    place of `CGFF` in FAR-AMTN (`fusion=cross_stitch`), whose mixture depends on the image.

    Args:
        own: The weight of a group's own features at the start, in 0..1.

    Call arguments:
        - `inputs`: The group features `G`.
        - `return_fusion`: Whether to return `a - I` as well. Its entry (i, j) is the factor with which the features of
          group j are added to those of group i, as for `CGFF`.

    Input shape:
        `(batch, K, C)`; K must be known.

    Output shape:
        `(batch, K, C)`; with `return_fusion=True` a pair of `(batch, K, C)` and `(batch, K, K)`.

    Raises:
        ValueError: `own` is not a number in 0..1.

    Reference:
        Misra, Shrivastava, Gupta, Hebert, Cross-Stitch Networks for Multi-Task Learning, CVPR 2016.

    Examples:
        >>> print(CrossStitch()(keras.random.uniform((2, 8, 64))).shape)
        (2, 8, 64)
    """

    def __init__(self, own: float = 0.9, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(own, bool) or not isinstance(own, int | float) or not 0 <= own <= 1:
            raise ValueError(f"`own` must be a number in 0..1. Received: own={own}")
        self.own = own
        self.input_spec = layers.InputSpec(ndim=3)

    def build(self, input_shape: tuple[Any, ...]) -> None:
        groups = input_shape[1]
        # The name has no "kernel", so that weight decay leaves it alone: its start is not 0.
        self.mixture = self.add_weight((groups, groups), self._start, name="mixture")

    def _start(self, shape: tuple[int, int], dtype: str | None = None) -> keras.KerasTensor:
        """Returns `own` on the diagonal, and equal parts of the rest elsewhere; each row sums to 1."""
        groups = shape[0]
        others = (1.0 - self.own) / max(1, groups - 1)
        own = self.own if groups > 1 else 1.0
        return (own - others) * ops.eye(groups, dtype=dtype) + others

    def call(
        self, inputs: keras.KerasTensor, return_fusion: bool = False
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        mixture = ops.convert_to_tensor(self.mixture)
        mixed = ops.matmul(mixture, inputs)
        if not return_fusion:
            return mixed
        fusion = mixture - ops.eye(mixture.shape[0], dtype=mixture.dtype)
        return mixed, ops.broadcast_to(fusion, (ops.shape(inputs)[0], *fusion.shape))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def compute_output_spec(
        self, inputs: keras.KerasTensor, return_fusion: bool = False
    ) -> keras.KerasTensor | tuple[keras.KerasTensor, ...]:
        mixed = keras.KerasTensor(inputs.shape, self.compute_dtype)
        batch, groups, _ = inputs.shape
        return (mixed, keras.KerasTensor((batch, groups, groups), self.compute_dtype)) if return_fusion else mixed

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "own": self.own}
