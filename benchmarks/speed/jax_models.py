"""The sides of `benchmarks/gpu.py`: Keras on JAX, compiled as `predict` and `fit` compile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import keras
import numpy as np

from farkeras.attributes import REGIONS
from farkeras.losses import MaskedBinaryCrossentropy, RegionMaskLoss
from speed.networks import build


@dataclass
class Forward:
    """A compiled forward pass. A call puts it into the device's queue, and `wait` returns when its result is there."""

    compiled: Any
    arguments: tuple
    result: Any = None

    def __call__(self) -> None:
        self.result = self.compiled(*self.arguments)

    def wait(self) -> None:
        jax.block_until_ready(self.result)


@dataclass
class Step:
    """The training step that `fit` compiles on JAX. As in `fit`, a call puts it into the device's queue.

    Attributes:
        compiled: The compiled step.
        state: Trainable, other, optimizer and metric variables.
        batch: Images and labels.
        logs: The losses of the newest step.
        memory: Memory that the step needs, arguments included, in bytes, as the compiler has planned it.
    """

    compiled: Any
    state: tuple
    batch: tuple
    logs: Any = None
    memory: float = field(init=False)

    def __post_init__(self) -> None:
        planned = self.compiled.memory_analysis()
        self.memory = float(planned.temp_size_in_bytes + planned.argument_size_in_bytes)

    def __call__(self) -> None:
        self.logs, self.state = self.compiled(self.state, self.batch)

    def wait(self) -> None:
        jax.block_until_ready((self.logs, self.state))


def forward(batch_size: int, precision: str = "mixed_bfloat16", **model: Any) -> Forward:
    """Builds the compiled forward pass of `networks.build(**model)`."""
    keras.config.set_dtype_policy(precision)
    network = build(**_settings(model))

    def logits(trainable: Sequence, others: Sequence, images: jax.Array) -> jax.Array:
        return network.stateless_call(trainable, others, images, training=False)[0]["logits"]

    variables = [[v.value for v in of] for of in (network.trainable_variables, network.non_trainable_variables)]
    arguments = (*variables, _images(batch_size, network))
    return Forward(jax.jit(logits).lower(*arguments).compile(), arguments)


def train_step(batch_size: int, precision: str = "mixed_bfloat16", **model: Any) -> Step:
    """Builds the step that `fit` compiles for `networks.build(**model)`, with AdamW and the masked losses."""
    keras.config.set_dtype_policy(precision)
    network, random = build(**_settings(model)), np.random.default_rng(0)
    labels: Any = random.integers(0, 2, (batch_size, 40)).astype(np.int8)
    loss: Any = MaskedBinaryCrossentropy()
    if network.has_masks:
        points = random.uniform(0, 1, (batch_size, 478, 2)).astype(np.float32)
        labels = {"logits": labels, "mask_logits": points}
        loss = {"logits": loss, "mask_logits": RegionMaskLoss()}
        assert network.output["mask_logits"].shape[-1] == len(REGIONS)
    network.compile(keras.optimizers.AdamW(3e-4, weight_decay=0.05), loss, weighting="dws")
    batch = (_images(batch_size, network), jax.tree.map(jax.numpy.asarray, labels), None)
    network._symbolic_build(data_batch=batch)  # as `fit` builds the optimizer and the metrics
    kinds = (
        network.trainable_variables,
        network.non_trainable_variables,
        network.optimizer.variables,
        network.metrics_variables,
    )
    state = tuple([jax.numpy.copy(v.value) for v in kind] for kind in kinds)
    compiled = jax.jit(network.train_step, donate_argnums=0).lower(state, batch).compile()
    return Step(compiled, state, batch)


def _settings(model: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in model.items()}


def _images(batch_size: int, network: keras.Model) -> jax.Array:
    shape = (batch_size, *network.input_shape[1:])
    return jax.numpy.asarray(np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32))
