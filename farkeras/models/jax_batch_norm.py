"""Batch normalisation of a training step for JAX, with its gradient.

XLA makes one pass over the feature map for the statistics, one for the result, and two for the gradient. With Keras's
operations, the variance needs the mean first, and autodiff adds terms to the gradient whose sum is zero.
"""

from functools import partial

import jax
import jax.numpy as jnp

Statistics = tuple[jax.Array, jax.Array, jax.Array]  # the normalised maps, mean and variance of each channel


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalize(images: jax.Array, scale: jax.Array, offset: jax.Array, epsilon: float) -> Statistics:
    """Normalises feature maps as `farkeras.models.tensorflow_batch_norm.normalize` does, which describes the arguments.

    The gradient is that of the maps; mean and variance have none.
    """
    return _forward(images, scale, offset, epsilon)[0]


def _forward(
    images: jax.Array, scale: jax.Array, offset: jax.Array, epsilon: float
) -> tuple[Statistics, tuple[jax.Array, ...]]:
    positions = tuple(range(images.ndim - 1))
    # In one pass, the variance is the mean square less the squared mean. That rounds well only if the mean is small, so
    # it is taken of the distances from the mean of the first image.
    near = jnp.mean(images[:1].astype(jnp.float32), positions)
    distance = images.astype(jnp.float32) - near
    mean = jnp.mean(distance, positions)
    variance = jnp.maximum(jnp.mean(jnp.square(distance), positions) - jnp.square(mean), 0.0)
    mean += near
    inverse = jax.lax.rsqrt(variance + epsilon)
    outputs = (images.astype(jnp.float32) - mean) * (inverse * scale) + offset
    return (outputs.astype(images.dtype), mean, variance), (images, scale, mean, inverse)


def _backward(epsilon: float, saved: tuple[jax.Array, ...], gradients: Statistics) -> tuple[jax.Array, ...]:
    images, scale, mean, inverse = saved
    positions, values = tuple(range(images.ndim - 1)), images.size // images.shape[-1]
    gradient = gradients[0].astype(jnp.float32)
    normal = (images.astype(jnp.float32) - mean) * inverse
    of_offset, of_scale = jnp.sum(gradient, positions), jnp.sum(gradient * normal, positions)
    of_images = (scale * inverse) * (gradient - of_offset / values - normal * (of_scale / values))
    return of_images.astype(images.dtype), of_scale, of_offset


normalize.defvjp(_forward, _backward)
