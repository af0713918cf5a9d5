"""Two functions for batches: a branch that stays a branch under `jax.vmap`, and arrays that vary over devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def compute_if_any(function: Callable[..., Any], predicate: jax.Array, *operands: Any) -> Any:
    """Calls a function only if its result is needed anywhere in the batch.

    Under `jax.vmap` a `lax.cond` becomes a choice between two results that are both always computed. This function asks
    whether the predicate is True anywhere in the batch, and computes nothing if it is not. It has no gradient in
    reverse mode: use `jax.lax.stop_gradient` on operands of which a gradient is taken.

    Args:
      function: a function of `operands` only; it must not close over traced arrays.
      predicate: `[]` bool.
      *operands: pytrees of arrays.

    Returns:
      `function(*operands)` where the predicate is True. Where it is False the result is either the same or zeros, and
      must not be used.
    """

    def zeros(*operands: Any) -> Any:
        # `zeros_like` varies over the devices of a `jax.shard_map` as the leaf does; both branches must agree in this
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
    """Makes arrays vary over the devices of a `jax.shard_map` as other arrays do; outside of one it does nothing.

    A game sets some values, such as the clock, to a constant. JAX treats a constant as equal on all devices until it
    meets a value that varies. A loop over steps refuses a state that starts to vary only then.

    Args:
      tree: a pytree of arrays.
      others: a pytree of arrays and numbers.

    Returns:
      `tree`, whose arrays vary over every axis of the mesh over which an array in `others` varies.
    """
    axes = frozenset[str]().union(*(_varying_axes(leaf) for leaf in jax.tree.leaves(others)))
    if not axes:
        return tree

    def cast(leaf: jax.Array) -> jax.Array:
        missing = tuple(sorted(axes - _varying_axes(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(cast, tree)


def _varying_axes(leaf: Any) -> frozenset[str]:
    """The axes of the mesh over which an array varies, as far as JAX knows."""
    return jax.typeof(leaf).manual_axis_type.varying
