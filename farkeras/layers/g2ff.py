from typing import Any

import keras
import numpy as np
from keras import layers, ops

GLOBAL_FUSIONS = ("gated", "off", "concatenated", "global_only")
Shapes = tuple[list[tuple[Any, ...]], tuple[Any, ...]]  # shapes of the feature maps, shape of the masks


@keras.saving.register_keras_serializable(package="farkeras")
class G2FF(layers.Layer):
    """Group-Global Feature Fusion: the features under each group's mask, plus the gated features of the whole image.

    Published: the module's name and its purpose, that local precision does not lose context, and the masked maps
    `Gr_i^j = resize(P_j; F_i) * F_i`, where `F_i` are feature maps of several scales and `P_j` is the mask of group j.
    The paper's formula of the fusion was not available to us.

    Our formulation, with `global_fusion="gated"`:

        pooled_ij = sum over positions of Gr_i^j / (sum over positions of resize(P_j; F_i) + 1)
        area_j    = mean of P_j
        group_j   = Wp [pooled_1j ; pooled_2j ; ... ; area_j] + bp
        global    = Wq (mean over positions of the last map) + bq
        u_j       = sigmoid(Wg [group_j ; global] + bg)
        fused_j   = group_j + u_j * global

    The other values of `global_fusion` show what the global feature does: with `off`, `fused_j = group_j`; with
    `concatenated`, `fused_j = [group_j ; global]`; with `global_only`, `fused_j = global`, the same for all groups.

    All groups share the weights. Applying `Wp` to the concatenation is the same as projecting each scale and summing
    the projections. The masked maps are never built: for each scale, pooling is one matrix product of the masks and the
    feature map, so the cost hardly grows with the number of groups. Masks are resized by area averaging: each cell of
    the feature map gets the mean of the mask over the cell's rectangle, exactly, for any two sizes. The 1 in the
    denominator (the area of one cell) gives an absent region pooled features near 0; without it, a faint mask would
    give the average of the whole map.

    Args:
        width: Length of the group vectors and of the global vector, at least 1.
        global_fusion: How the global vector is added: `"gated"`, `"off"`, `"concatenated"` or `"global_only"`.

    Call arguments:
        - `inputs`: A pair `(feature_maps, masks)`: a list of at least one feature map, and the masks as probabilities
          in 0..1. Maps and masks cover the same area of the image; their sizes may differ.

    Input shape:
        `([(batch, h_1, w_1, C_1), (batch, h_2, w_2, C_2), ...], (batch, h, w, K))`; heights and widths must be known.

    Output shape:
        `(batch, K, width)`; with `global_fusion="concatenated"` `(batch, K, 2 width)`.

    Raises:
        ValueError: `width` is not an integer of at least 1, `global_fusion` is unknown, or the inputs have
            other or unknown shapes.

    Reference:
        MGMTN, arXiv 2601.01408 (name and purpose of G2FF; the masked maps).

    Examples:
        >>> maps = [keras.random.uniform((2, 14, 12, 64)), keras.random.uniform((2, 7, 6, 128))]
        >>> print(G2FF(width=32)((maps, keras.random.uniform((2, 56, 48, 8)))).shape)
        (2, 8, 32)
    """

    def __init__(self, width: int = 256, global_fusion: str = "gated", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"`width` must be an integer of at least 1. Received: width={width}")
        if global_fusion not in GLOBAL_FUSIONS:
            expected = ", ".join(GLOBAL_FUSIONS)
            raise ValueError(f"`global_fusion` must be one of {expected}. Received: global_fusion={global_fusion}")
        self.width = width
        self.global_fusion = global_fusion

    def build(self, input_shape: Shapes) -> None:
        maps, masks = _check_shapes(input_shape)
        groups = masks[-1]
        if self.global_fusion != "global_only":
            self.to_group = layers.Dense(self.width, dtype=self.dtype_policy, name="group")
            self.to_group.build((None, groups, sum(shape[-1] for shape in maps) + 1))
        if self.global_fusion != "off":
            self.to_global = layers.Dense(self.width, dtype=self.dtype_policy, name="global")
            self.to_global.build((None, 1, maps[-1][-1]))
        if self.global_fusion == "gated":
            self.to_gate = layers.Dense(self.width, activation="sigmoid", dtype=self.dtype_policy, name="gate")
            self.to_gate.build((None, groups, 2 * self.width))

    def call(self, inputs: tuple[list[keras.KerasTensor], keras.KerasTensor]) -> keras.KerasTensor:
        feature_maps, masks = inputs
        if self.global_fusion == "off":
            return self._groups(feature_maps, masks)
        whole = self.to_global(ops.mean(feature_maps[-1], axis=(1, 2))[:, None, :])  # (B, 1, d)
        if self.global_fusion == "global_only":
            return ops.tile(whole, (1, masks.shape[-1], 1))
        group = self._groups(feature_maps, masks)
        whole = ops.broadcast_to(whole, ops.shape(group))
        both = ops.concatenate([group, whole], axis=-1)
        return both if self.global_fusion == "concatenated" else group + self.to_gate(both) * whole

    def _groups(self, feature_maps: list[keras.KerasTensor], masks: keras.KerasTensor) -> keras.KerasTensor:
        """Computes the group vectors, `(batch, K, width)`: the features under each mask, projected."""
        height, width, groups = masks.shape[1:]
        masks = ops.transpose(masks, (0, 3, 2, 1))  # (B, K, w, h)
        parts = []
        for features in feature_maps:
            rows, columns, channels = features.shape[1:]
            resized = ops.matmul(masks, _constant(area_average(height, rows).T, masks))  # (B, K, w, h_i)
            resized = ops.matmul(ops.swapaxes(resized, 2, 3), _constant(area_average(width, columns).T, masks))
            resized = ops.reshape(resized, (-1, groups, rows * columns))
            flat = ops.reshape(features, (-1, rows * columns, channels))
            parts.append(ops.matmul(resized, flat) / (ops.sum(resized, axis=-1, keepdims=True) + 1.0))  # (B, K, C_i)
        parts.append(ops.mean(masks, axis=(2, 3))[:, :, None])  # the area
        return self.to_group(ops.concatenate(parts, axis=-1))

    def compute_output_shape(self, input_shape: Shapes) -> tuple[int | None, ...]:
        _, masks = _check_shapes(input_shape)
        return (masks[0], masks[-1], self.width * (2 if self.global_fusion == "concatenated" else 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width, "global_fusion": self.global_fusion}


def area_average(source: int, target: int) -> np.ndarray:
    """Returns the matrix `(target, source)` that resizes one axis from `source` to `target` cells by area averaging.

    Target cell i covers the interval `[i, i + 1] / target` of the axis. Row i holds the fraction of that interval that
    each source cell fills. Rows sum to 1 and columns to `target / source`, so resizing keeps the mean. Enlarging
    repeats the source cells; a target cell across the border of two source cells is a mixture of both.
    """
    edges = np.arange(target + 1) * (source / target)  # in source cells
    low, high = np.arange(source), np.arange(1, source + 1)
    overlap = np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low)
    return np.maximum(overlap, 0.0) * (target / source)


def _constant(matrix: np.ndarray, like: keras.KerasTensor) -> keras.KerasTensor:
    return ops.convert_to_tensor(matrix, dtype=like.dtype)


def _check_shapes(input_shape: Shapes) -> Shapes:
    try:
        maps, masks = input_shape
        maps = [tuple(shape) for shape in maps]
        known = bool(maps) and all(len(shape) == 4 and None not in shape[1:] for shape in (*maps, masks))
    except (TypeError, ValueError):
        known = False
    if not known:
        raise ValueError(
            "The input must be ([map, ...], masks), each (batch, height, width, channels) with known sizes. "
            f"Received: input_shape={input_shape}"
        )
    return maps, tuple(masks)
