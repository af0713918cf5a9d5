"""What a batch needs that `jax.vmap` does not give: a branch that stays one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def compute_if_any(function: Callable[..., Any], predicate: jax.Array, *operands: Any) -> Any:
    """Calls a function only if somebody needs what it returns.

    Under `jax.vmap` a `lax.cond` becomes a choice between two results that are both computed, always. This one asks
    whether the predicate holds anywhere in the batch and computes nothing if it does not. It has no gradient in reverse
    mode: operands that gradients are asked for need `jax.lax.stop_gradient`.

    Args:
      function: of `operands` alone; it must not close over traced arrays.
      predicate: `[]` bool.
      *operands: pytrees of arrays.

    Returns:
      `function(*operands)` where the predicate holds. Where it does not: the same, or zeros; use neither.
    """

    def zeros(*operands: Any) -> Any:
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *operands))

    @jax.custom_batching.custom_vmap
    def compute(predicate: jax.Array, operands: Any) -> Any:
        return jax.lax.cond(predicate, function, zeros, *operands)

    @compute.def_vmap
    def compute_batch(size: int, in_batched: Any, predicate: jax.Array, operands: Any) -> tuple[Any, Any]:
        in_axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, in_batched[1])
        batched = jax.vmap(lambda operands: function(*operands), (in_axes,), axis_size=size)
        result = compute_if_any(batched, predicate.any(), operands)
        return result, jax.tree.map(lambda _: True, result)

    return compute(predicate, operands)
