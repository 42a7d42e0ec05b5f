"""The base class of all weightings, which is also the uniform one."""

from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="farkeras")
class TaskWeighting:
    """Uniform weights, and the base class of the other weightings.

    The state is held in `keras.Variable` objects. It is the same on all replicas and part of a run's checkpoint. A
    weighting is not a layer, so its state is not part of the files and exports of a model that `fit` trains with it.

    Attributes:
        sizes: The number of attributes in each group; for other tasks, the factor of each task's loss.
        dtype: The dtype of the state and the weights.
        variables: The state, after `build`.
    """

    def __init__(self) -> None:
        self.sizes: tuple[float, ...] = ()
        self.dtype = ""
        self.variables: list[keras.Variable] = []

    def build(self, sizes: Sequence[float], dtype: str | None = None) -> Self:
        """Creates the state.

        Args:
            sizes: The number of attributes `n_g` in each group; for other tasks, the factor of each task's loss.
            dtype: The dtype of the state and the weights; `keras.config.floatx()` by default.

        Raises:
            ValueError: The weighting already has a state, from another training.
        """
        if self.variables:
            raise ValueError(
                f"This {type(self).__name__} object already has the state of another training. Create a new object for "
                "each call of `compile`."
            )
        self.sizes, self.dtype = tuple(sizes), dtype or keras.config.floatx()
        self.make_state()
        return self

    def make_state(self) -> None:
        """Creates the variables; `sizes` and `dtype` are already set."""
        self.updates = self.state("updates", ())

    def state(self, name: str, shape: tuple[int, ...] | None = None, trainable: bool = False) -> keras.Variable:
        """Creates a variable that starts at 0, by default with one number per group."""
        shape = (len(self.sizes),) if shape is None else shape
        aggregation = "none" if trainable else "only_first_replica"
        variable = keras.Variable("zeros", shape, self.dtype, trainable, aggregation=aggregation, name=name)
        self.variables.append(variable)
        return variable

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The variables that the optimizer trains."""
        return [v for v in self.variables if v.trainable]

    @property
    def shares(self) -> keras.KerasTensor:
        """The shares `n_g / sum_h n_h`, `(K,)`."""
        return ops.convert_to_tensor([size / sum(self.sizes) for size in self.sizes], self.dtype)

    def weights_now(self) -> keras.KerasTensor:
        """Returns the weights `w_g` of the current step, `(K,)`."""
        return ops.ones(len(self.sizes), dtype=self.dtype)

    def total(self, losses: keras.KerasTensor, num_replicas: int = 1) -> keras.KerasTensor:
        """Computes the training loss.

        Args:
            losses: `(K,)`: this replica's part of each `L_g`. The parts of all replicas sum to `L_g`.
            num_replicas: The number of replicas.
        """
        return ops.sum(ops.stop_gradient(self.weights_now()) * self.shares * losses)

    def update(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        """Updates the state after a training step.

        Args:
            losses: `(K,)`: each `L_g` over the global batch. A loss that is not finite counts as absent, because a step
                that overflows in float16 is skipped and must not change the state.
            present: `(K,)`: 1 if the batch had a known label of the group, else 0.
        """
        finite = ops.isfinite(losses)
        self.updates.assign(self.updates + 1)
        self.observe(ops.where(finite, losses, 0.0), present * ops.cast(finite, self.dtype))

    def observe(self, losses: keras.KerasTensor, present: keras.KerasTensor) -> None:
        """Updates the state beyond the number of updates; takes the arguments of `update`, with finite losses."""
        del losses, present  # AutoGraph warns about a function that has only a docstring

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, without the state."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raises a `ValueError` unless the value of an argument is in `low..high`."""
    if not low <= value <= high:
        raise ValueError(f"`{name}` must be a number from {low} to {high}. Received: {name}={value}")
