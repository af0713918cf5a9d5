"""Dense layers, and the first layer on stored observations.

On CPU most time of learning goes into the first layer. Its product is bfloat16 and has a gradient of its own: XLA's
fast CPU kernels take a product only when the left operand contracts on its last axis, which the gradient that autodiff
would write does not do.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.experimental.layout import Layout, with_layout_constraint

from baselines.core import devices
from baselines.core.observations import WORD_BITS, ObservationCode

INITIAL_KERNEL = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
Dense = partial(nn.Dense, kernel_init=INITIAL_KERNEL)


def turn(rows: jax.Array) -> jax.Array:
    """Transposes rows, `[M, D]` -> `[D, M]`; on a CPU as a step of its own, and not as a part of the loop that reads.

    A program with a constraint on the layout cannot be exported, so other platforms have none.
    """

    def apart(rows: jax.Array) -> jax.Array:
        return with_layout_constraint(rows.T, Layout((0, 1)))

    return devices.in_parts(partial(jax.lax.platform_dependent, cpu=apart, default=jnp.transpose), (0,), 1)(rows)


def unpack_bits(words: jax.Array) -> jax.Array:
    """Bits of packed words as numbers, `[..., W]` uint32 -> `[..., 32 W]` bfloat16 of 0 and 1, lowest bit first."""
    bits = (words[..., None] >> jnp.arange(WORD_BITS, dtype=jnp.uint32)) & 1
    return bits.astype(jnp.bfloat16).reshape(*words.shape[:-1], -1)


@jax.custom_vjp
def multiply_bits(words: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product of packed bits with a matrix: `[M, W]` uint32 times `[32 W, K]` float32 -> `[M, K]` float32.

    Computed in bfloat16 and summed in float32. The gradient reads the bits once more, transposed, so that it too
    contracts on the last axis of its left operand.
    """
    return jnp.dot(unpack_bits(words), kernel.astype(jnp.bfloat16), preferred_element_type=jnp.float32)


def _multiply_bits_forward(words: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    return multiply_bits(words, kernel), turn(words)


def _multiply_bits_backward(words: jax.Array, gradient: jax.Array) -> tuple[np.ndarray, jax.Array]:
    bits = (words[:, None, :] >> jnp.arange(WORD_BITS, dtype=jnp.uint32)[:, None]) & 1
    bits = bits.astype(jnp.bfloat16).reshape(-1, words.shape[1])
    kernel_gradient = jnp.dot(bits, gradient.astype(jnp.bfloat16), preferred_element_type=jnp.float32)
    return np.zeros(words.shape[::-1], jax.dtypes.float0), kernel_gradient


multiply_bits.defvjp(_multiply_bits_forward, _multiply_bits_backward)


class FirstLayer(nn.Module):
    """A dense layer on stored observations, whatever their code; in windows it is the same for each: a convolution.

    Attributes:
      code: how they are stored.
      features: K.
    """

    code: ObservationCode
    features: int

    @nn.compact
    def __call__(self, stored: jax.Array) -> jax.Array:
        """`[M, ...]` -> `[M, K]`, or `[M, P, K]` in windows, float32."""
        if not self.code.num_bits:
            return Dense(self.features)(self.code.numbers(stored))
        num_words = stored.shape[-1]
        kernel = self.param("kernel", INITIAL_KERNEL, (WORD_BITS * num_words, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        product = multiply_bits(stored.reshape(-1, num_words), kernel)
        return product.reshape(*stored.shape[:-1], self.features) + bias
