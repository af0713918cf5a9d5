"""How functions of one game become fast in a batch: branches, stages that are computed once, the batch as last axis.

XLA on a CPU puts cheap operations into every loop that reads their results, and there computes them again.
`compute_once` stops this. With it arrays whose *last* axis is the batch are the fastest: every loop runs over games,
many of which fit into one vector of the processor. `batch_last` gives a function such arrays under `jax.vmap`.
"""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata

BRANCHES_ON: tuple[str, ...] = ("cpu",)
"""Platforms on which what is needed nowhere in the batch is not computed; elsewhere it is computed and not chosen."""

CALLS_ON: tuple[str, ...] = ("cpu",)
"""Platforms on which stages are computed once; elsewhere nobody measured it (`benchmarks.throughput --keep`)."""


def compute_if_any(
    function: Callable[..., Any],
    predicate: jax.Array,
    *operands: Any,
    otherwise: Callable[..., Any] | None = None,
) -> Any:
    """Calls a function only if its result is needed anywhere in the batch.

    Under `jax.vmap` a `lax.cond` becomes a choice between two results that are both always computed. This function asks
    whether the predicate is True anywhere in the batch, and computes nothing if it is not, where branches are cheap
    (`compute_if`). It has no gradient in reverse mode: use `jax.lax.stop_gradient` on operands of which a gradient is
    taken.

    Args:
      function: a function of `operands` only; it must not close over traced arrays.
      predicate: `[]` bool.
      *operands: pytrees of arrays.
      otherwise: a cheap function of `operands` whose result has the same structure; it is called if the predicate is
        True nowhere. None returns zeros.

    Returns:
      `function(*operands)` where the predicate is True. Where it is False the result is either the same or that of
      `otherwise`; zeros must not be used.
    """

    def zeros(*operands: Any) -> Any:
        # `zeros_like` varies over the devices of a `jax.shard_map` as the leaf does; both branches must agree in this
        return jax.tree.map(jnp.zeros_like, jax.eval_shape(function, *operands))

    otherwise = zeros if otherwise is None else otherwise

    @jax.custom_batching.custom_vmap
    def compute(predicate: jax.Array, operands: Any) -> Any:
        return compute_if(function, predicate, *operands, otherwise=otherwise)

    @compute.def_vmap
    def compute_batch(size: int, in_batched: Any, predicate: jax.Array, operands: Any) -> tuple[Any, Any]:
        in_axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, in_batched[1])
        batched, cheap = (
            jax.vmap(lambda operands, branch=branch: branch(*operands), (in_axes,), axis_size=size)
            for branch in (function, otherwise)
        )
        result = compute_if_any(batched, predicate.any(), operands, otherwise=cheap)
        return result, jax.tree.map(lambda _: True, result)

    return compute(predicate, operands)


def compute_if(
    function: Callable[..., Any], predicate: jax.Array, *operands: Any, otherwise: Callable[..., Any]
) -> Any:
    """Calls a function only if its result is needed, where branches are cheap (`BRANCHES_ON`), and elsewhere always.

    A branch on a scalar in a loop makes a GPU wait for its host. There the function is computed at every step.

    Args:
      function: a function of `operands`; its result is right, or is not used, also where the predicate is False.
      predicate: `[]` bool.
      *operands: pytrees of arrays.
      otherwise: a cheap function of `operands` whose result has the same structure.

    Returns:
      `function(*operands)` where the predicate is True. Where it is False the result is either the same or that of
      `otherwise`.
    """
    function = jax.jit(function)  # traced once for all platforms

    def branch(*operands: Any) -> Any:
        return jax.lax.cond(predicate, function, otherwise, *operands)

    return _by_platform(BRANCHES_ON, branch, function, *operands)


def compute_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function whose results XLA computes once, and not again in each loop that reads them.

    On the platforms of `CALLS_ON` the function stays a call in the compiled program (`inlineable`), in a batch and in a
    loop as well. Its own operations are fused as usual. Elsewhere it is a part of the program around it. The results
    are bitwise the same.

    Args:
      function: a function of pytrees of arrays.
    """
    stage = jax.jit(function)  # traced once for all platforms

    def inside(*operands: Any) -> Any:
        with set_xla_metadata(inlineable="true"):
            return stage(*operands)

    def kept(*operands: Any) -> Any:
        with set_xla_metadata(inlineable="false"):
            return jax.jit(inside)(*operands)

    @wraps(function)
    def call(*operands: Any) -> Any:
        return _by_platform(CALLS_ON, kept, inside, *operands)

    return call


def _by_platform(
    platforms: Iterable[str], chosen: Callable[..., Any], default: Callable[..., Any], *operands: Any
) -> Any:
    """Calls one function where the program is compiled for one of these platforms, and elsewhere the other one."""
    return jax.lax.platform_dependent(*operands, **dict.fromkeys(platforms, chosen), default=default)


def batch_last(function: Callable[..., Any], is_read: bool = False) -> Callable[..., Any]:
    """Makes a function of one game that `jax.vmap` computes with the batch as the last axis of every array.

    Args:
      function: a function of pytrees of arrays that also takes arrays with one more axis at their end. Under `jax.vmap`
        an array `[n]` becomes `[n, B]`. A number `[]` becomes `[B]` if it differs between games, and else stays `[]`.
      is_read: whether the arrays are read from memory, and not the results of another such function. Then bools are
        transposed by a call of its own, which takes a quarter of the time that a part of another loop takes.

    Returns:
      The function of the same arguments. Derivatives are those of `function` itself.
    """

    def plain(*operands: Any) -> Any:
        with jax.numpy_rank_promotion("allow"):
            return function(*operands)

    ranks: Any = None  # of the results of one game, which is always traced before a batch of games is

    @jax.custom_batching.custom_vmap
    def compute(*operands: Any) -> Any:
        nonlocal ranks
        results = plain(*operands)
        ranks = jax.tree.map(jnp.ndim, results)
        return results

    @compute.def_vmap
    def compute_batch(size: int, in_batched: Any, *operands: Any) -> tuple[Any, Any]:
        def move(leaf: jax.Array, is_batched: bool) -> jax.Array:
            is_apart = is_read and is_batched and leaf.dtype == bool
            to_last = partial(_batch_to_last, size, is_batched=is_batched)
            return compute_once(to_last)(leaf) if is_apart else to_last(leaf)

        results = plain(*jax.tree.map(move, operands, tuple(in_batched)))
        results = jax.tree.map(partial(_batch_to_first, size), results, ranks)
        return results, jax.tree.map(lambda _: True, results)

    call = jax.custom_jvp(compute)

    @call.defjvp
    def differentiate(operands: Any, tangents: Any) -> tuple[Any, Any]:
        return jax.jvp(plain, operands, tangents)

    return wraps(function)(call)


def batched(method: Callable[..., Any]) -> Callable[..., Any]:
    """Makes `transition` of a game be computed with the batch as the last axis of all its arrays, see `batch_last`.

    So an array that `Environment.transition` calls `[N]` is `[N, ...]` in the method.
    """

    @wraps(method)
    def call(self: Any, *operands: Any) -> Any:
        return batch_last(partial(method, self), is_read=True)(*operands)

    return call


def _batch_to_last(size: int, leaf: jax.Array, is_batched: bool) -> jax.Array:
    """Moves the batch of an array to its end; an array without one is repeated, a number without one stays as it is."""
    if is_batched:
        return jnp.moveaxis(leaf, 0, -1)
    return jnp.broadcast_to(leaf[..., None], (*leaf.shape, size)) if jnp.ndim(leaf) else leaf


def _batch_to_first(size: int, leaf: jax.Array, ndim: int) -> jax.Array:
    """Moves the batch of a result to its front; `ndim` is the number of axes of the result of one game."""
    leaf = jnp.broadcast_to(leaf if leaf.ndim > ndim else leaf[..., None], (*leaf.shape[:ndim], size))
    return jnp.moveaxis(leaf, -1, 0)


def replace_if_any(
    function: Callable[..., Any], predicate: jax.Array, state: Any, *operands: Any, is_batched_last: bool
) -> Any:
    """Replaces a pytree by the result of a function that is called only if it is needed anywhere in the batch.

    Args:
      function: a function of `operands` only; its result has the structure of `state`. No gradient flows into it.
      predicate: `[]` bool.
      state: pytree of arrays.
      *operands: pytrees of arrays.
      is_batched_last: whether `state` is the result of a function with the batch as the last axis, see `batch_last`.
        Then the choice is made there as well, and the state passes the branch without a transpose.

    Returns:
      `function(*operands)` where the predicate is True, and else `state`.
    """

    def choose(predicate: jax.Array, state: Any, operands: Any) -> Any:
        new = compute_if_any(function, predicate, *jax.lax.stop_gradient(operands))
        return _select(predicate, new, state)

    if not is_batched_last:
        return choose(predicate, state, operands)

    @jax.custom_batching.custom_vmap
    def compute(predicate: jax.Array, state: Any, operands: Any) -> Any:
        return choose(predicate, state, operands)

    @compute.def_vmap
    def compute_batch(size: int, in_batched: Any, predicate: jax.Array, state: Any, operands: Any) -> tuple[Any, Any]:
        in_axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, in_batched[2])

        def replace(predicate: jax.Array, last: Any, operands: Any) -> Any:
            new = jax.vmap(lambda operands: function(*operands), (in_axes,), axis_size=size)(operands)
            with jax.numpy_rank_promotion("allow"):
                return _select(predicate, jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), new), last)

        last = jax.tree.map(partial(_batch_to_last, size), state, in_batched[1])
        last = jax.tree.map(lambda leaf: leaf if leaf.ndim else jnp.broadcast_to(leaf, (size,)), last)
        is_any = jnp.broadcast_to(predicate, (size,))
        last = compute_if_any(replace, is_any.any(), is_any, last, operands, otherwise=lambda _, last, __: last)
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0), last), jax.tree.map(lambda _: True, last)

    call = jax.custom_jvp(compute)

    @call.defjvp
    def differentiate(arguments: Any, tangents: Any) -> tuple[Any, Any]:
        return jax.jvp(choose, arguments, tangents)

    return call(predicate, state, operands)


def _select(predicate: jax.Array, new: Any, old: Any) -> Any:
    """`new` where the predicate is True, else `old`. `jnp.where` alone makes a constant of an array without entries."""
    return vary_alike(jax.tree.map(partial(jnp.where, predicate), new, old), predicate)


def fold(operation: Callable[[jax.Array, jax.Array], jax.Array], parts: Iterable[jax.Array]) -> jax.Array:
    """Combines arrays of one shape by an associative operation, such as `jnp.bitwise_or`, in pairs.

    It takes the place of a reduction over an axis. XLA on a CPU makes a reduction the innermost loop, over few entries
    that are far apart; here the innermost loop stays the one over the last axis.

    Args:
      operation: takes two arrays `[...]` and returns one.
      parts: at least one array, `[...]` each.

    Returns:
      `[...]`, of the dtype that `operation` returns.
    """
    left = list(parts)
    while len(left) > 1:
        pairs = [operation(*pair) for pair in zip(left[::2], left[1::2], strict=False)]
        left = pairs + left[2 * len(pairs) :]
    return left[0]


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
