"""AdamW and SGD for fine-tuning: variables that start from trained weights take a share of the learning rate.

    shares = model.backbone_multipliers(0.1)
    model.compile(farkeras.optimizers.AdamW(1e-3, multipliers=shares), loss)

`farkeras.train` uses the same objects if `backbone_lr_multiplier` is set.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from farkeras.errors import FarkerasError

__all__ = ["SGD", "AdamW"]


class _Multiplied(keras.optimizers.Optimizer):
    """The base of optimizers whose variables take different shares of the learning rate.

    The shares are in the order of the variables and part of the configuration, so that a saved model keeps them.
    """

    def __init__(self, learning_rate: Any, multipliers: Sequence[float], **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.multipliers = tuple(float(multiplier) for multiplier in multipliers)
        if any(not multiplier >= 0 for multiplier in self.multipliers):
            raise FarkerasError(f"`multipliers` must be numbers of at least 0. Received: {min(self.multipliers)}.")

    def build(self, variables: list[keras.Variable]) -> None:
        if len(self.multipliers) > len(variables):
            raise FarkerasError(
                f"`multipliers` must have at most one number for each of the {len(variables)} variables. Received: "
                f"{len(self.multipliers)} numbers. Compute them anew after freezing layers, and before `compile`."
            )
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        share = self.multipliers[index] if index < len(self.multipliers) else 1.0
        rate = ops.cast(learning_rate, variable.dtype) * share
        # Here, and not in Keras's own method, because that one knows only the whole learning rate.
        if self.weight_decay is not None and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * ops.cast(self.weight_decay, variable.dtype) * rate)
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        """Does nothing: `update_step` has applied the decay."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multipliers": list(self.multipliers)}


@keras.saving.register_keras_serializable(package="farkeras")
class AdamW(_Multiplied, keras.optimizers.AdamW):
    """Keras's AdamW, in which each variable takes its share of the learning rate, weight decay included.

    Args:
        learning_rate: A number or a schedule.
        multipliers: The share of each variable, at least 0, in the order of `model.trainable_variables`, such as
            `model.backbone_multipliers(0.1)`. Variables after the last take the whole learning rate.
        **options: The other options of `keras.optimizers.AdamW`.

    Raises:
        FarkerasError: A share is negative, or there are more shares than variables.
    """

    def __init__(self, learning_rate: Any = 1e-3, multipliers: Sequence[float] = (), **options: Any) -> None:
        super().__init__(learning_rate, multipliers, **options)


@keras.saving.register_keras_serializable(package="farkeras")
class SGD(_Multiplied, keras.optimizers.SGD):
    """Keras's SGD, in which each variable takes its share of the learning rate, weight decay included.

    Args:
        learning_rate: A number or a schedule.
        multipliers: See `AdamW`.
        **options: The other options of `keras.optimizers.SGD`.

    Raises:
        FarkerasError: A share is negative, or there are more shares than variables.
    """

    def __init__(self, learning_rate: Any = 1e-2, multipliers: Sequence[float] = (), **options: Any) -> None:
        super().__init__(learning_rate, multipliers, **options)
