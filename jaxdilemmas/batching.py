"""What a batch needs: a branch that stays one under `jax.vmap`, and arrays that differ by device in `jax.shard_map`."""

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
        # zeros like a leaf vary over the devices of a `jax.shard_map` where it does, as both branches must
        return jax.tree.map(jnp.zeros_like, jax.eval_shape(function, *operands))

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


def vary_alike(tree: Any, others: Any) -> Any:
    """Lets arrays vary over the devices of a `jax.shard_map` as other arrays do; outside of one nothing changes.

    What a game sets to a constant, such as a clock, is the same on every device until it meets something that is not.
    A loop over steps refuses a state that becomes different by device only then.

    Args:
      tree: a pytree of arrays.
      others: a pytree of arrays and numbers.

    Returns:
      `tree`, whose arrays vary over every axis of the mesh over which anything in `others` does.
    """
    axes = frozenset[str]().union(*(_varying_axes(leaf) for leaf in jax.tree.leaves(others)))
    if not axes:
        return tree

    def cast(leaf: jax.Array) -> jax.Array:
        missing = tuple(sorted(axes - _varying_axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(cast, tree)


def _varying_axes(leaf: Any) -> frozenset[str]:
    """The axes of the mesh over which an array is known to vary."""
    return jax.typeof(leaf).manual_axis_type.varying
