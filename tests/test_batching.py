from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from jaxdilemmas.batching import compute_if_any, vary_alike


def double(x: jax.Array, scale: jax.Array) -> dict[str, jax.Array]:
    return {"twice": 2 * x * scale, "whole": (x > 1).astype(jnp.int32)}


def choose(predicate: jax.Array, x: jax.Array, scale: jax.Array) -> dict[str, jax.Array]:
    return compute_if_any(double, predicate, x, scale)


X = jnp.arange(3.0)


def test_the_function_is_called_where_the_predicate_holds() -> None:
    result = jax.jit(choose)(jnp.bool_(True), X, jnp.float32(3.0))
    assert result["twice"].tolist() == [0, 6, 12]
    assert result["whole"].tolist() == [0, 0, 1]
    assert result["whole"].dtype == jnp.int32


def test_nothing_is_computed_where_it_holds_nowhere() -> None:
    for batched, size in ((choose, ()), (jax.vmap(choose, (0, 0, None)), (2,))):
        x = jnp.broadcast_to(X, (*size, 3))
        result = batched(jnp.zeros(size, bool), x, jnp.float32(3.0))
        assert not result["twice"].any()
        assert not result["whole"].any()


def test_a_batch_in_which_it_holds_somewhere_has_the_results_of_those_for_whom_it_does() -> None:
    x = jnp.stack([X, X + 1, X + 2])
    predicate = jnp.array([False, True, False])
    result = jax.jit(jax.vmap(choose, (0, 0, None)))(predicate, x, jnp.float32(1.0))
    assert result["twice"][1].tolist() == [2, 4, 6]


@pytest.mark.parametrize("is_held", [False, True])
def test_it_stays_a_branch_in_a_batch(is_held: bool) -> None:
    calls: list[int] = []

    def function(x: jax.Array) -> jax.Array:
        jax.debug.callback(lambda: calls.append(1))
        return x

    batched = jax.jit(jax.vmap(lambda predicate, x: compute_if_any(function, predicate, x)))
    predicate = jnp.array([False, False, is_held, False])
    jax.block_until_ready(batched(predicate, jnp.arange(4)))
    jax.effects_barrier()
    assert bool(calls) == is_held


def test_batches_of_batches_compute_the_same() -> None:
    x = jnp.arange(24.0).reshape(2, 4, 3)
    predicate = jnp.array([[True, False, False, True], [False, False, False, True]])
    twice = jax.jit(jax.vmap(jax.vmap(choose, (0, 0, None)), (0, 0, 0)))(predicate, x, jnp.array([1.0, 3.0]))["twice"]
    expected = 2 * x * jnp.array([1.0, 3.0])[:, None, None]
    assert (np.asarray(twice)[np.asarray(predicate)] == np.asarray(expected)[np.asarray(predicate)]).all()


def test_operands_may_be_keys_and_plain_numbers() -> None:
    keys = jax.random.split(jax.random.key(0), 5)

    def draw(key: jax.Array, least: float) -> jax.Array:
        return compute_if_any(lambda key, least: least + jax.random.uniform(key), jnp.bool_(True), key, least)

    expected = jax.vmap(jax.random.uniform)(keys) + 2
    assert (jax.vmap(draw, (0, None))(keys, 2.0) == expected).all()


def over_devices(function: Callable[..., Any], *arguments: jax.Array) -> Any:
    """`jax.shard_map` of a function over all devices there are, with its default checks."""
    mesh = Mesh(np.array(jax.devices()), ("devices",))
    split = PartitionSpec("devices")
    return jax.shard_map(function, mesh=mesh, in_specs=split, out_specs=split)(*arguments)


def test_a_branch_may_differ_by_device() -> None:
    def choose_any(x: jax.Array) -> jax.Array:
        found = compute_if_any(double, x.any(), x, jnp.float32(1.0))
        return found["twice"] + found["whole"]

    x = jnp.arange(2.0 * jax.device_count())
    assert (jax.jit(lambda x: over_devices(choose_any, x))(x) == 2 * x + (x > 1)).all()


def test_a_loop_may_begin_with_a_constant_that_will_differ_by_device() -> None:
    def count(x: jax.Array, is_alike: bool) -> jax.Array:
        start = {"sum": jnp.zeros((), jnp.float32)}
        start = vary_alike(start, (x, 2.0)) if is_alike else start
        return jax.lax.scan(lambda carry, part: ({"sum": carry["sum"] + part}, part), start, x)[0]["sum"][None]

    x = jnp.arange(2.0 * jax.device_count())
    assert over_devices(partial(count, is_alike=True), x).sum() == x.sum()
    with pytest.raises(TypeError, match="carry"):
        over_devices(partial(count, is_alike=False), x)


def test_outside_of_shard_map_arrays_stay_what_they_are() -> None:
    assert vary_alike(X, X) is X
