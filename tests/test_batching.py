from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from jaxdilemmas.batching import batch_last, compute_if_any, compute_once, fold, replace_if_any, vary_alike


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


@pytest.mark.parametrize("is_last", [False, True])
def test_arrays_without_entries_that_are_replaced_differ_by_device_as_before(is_last: bool) -> None:
    def begin(x: jax.Array) -> dict[str, jax.Array]:
        return {"x": 0 * x, "none": jnp.ones(0, bool)}

    def play(x: jax.Array) -> jax.Array:
        state = vary_alike({"x": x[0], "none": jnp.ones(0, bool)}, x)
        replace = partial(replace_if_any, begin, is_batched_last=is_last)
        body = lambda state, ends: (replace(ends, state, state["x"]), state["x"])  # noqa: E731
        return jax.lax.scan(body, state, x > 2)[1]

    x = jnp.arange(1.0, 4.0)[None].repeat(jax.device_count(), axis=0)
    assert (over_devices(jax.vmap(play), x) == 1).all()


def test_outside_of_shard_map_arrays_stay_what_they_are() -> None:
    assert vary_alike(X, X) is X


def outer(x: jax.Array, y: jax.Array, scale: jax.Array) -> dict[str, jax.Array]:
    """`[n, ...]`, `[m, ...]` and `[...]` -> `[n, m, ...]`, and a constant."""
    return {"products": x[:, None] * y[None] * scale, "three": jnp.full(3, 2.0)[0], "sum": x.sum(0)}


SEVERAL = jnp.arange(12.0).reshape(4, 3)


def test_a_function_with_the_batch_last_is_that_of_each_game() -> None:
    scales = jnp.array([1.0, 2.0, -1.0, 0.0])
    for scale, axis in ((scales, 0), (jnp.float32(3.0), None)):
        found = jax.jit(jax.vmap(batch_last(outer), (0, None, axis)))(SEVERAL, X, scale)
        expected = jax.vmap(outer, (0, None, axis))(SEVERAL, X, scale)
        assert jax.tree.map(jnp.shape, found) == jax.tree.map(jnp.shape, expected)
        assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), found, expected))
    twice = jax.vmap(jax.vmap(batch_last(outer), (0, None, 0)), (0, None, 0))(SEVERAL[None], X, scales[None])
    assert (twice["products"][0] == jax.vmap(outer, (0, None, 0))(SEVERAL, X, scales)["products"]).all()


def test_the_batch_is_the_last_axis_of_what_it_computes() -> None:
    shapes: list[Any] = []

    def look(x: jax.Array, scale: jax.Array) -> jax.Array:
        shapes.append((x.shape, scale.shape))
        return x * scale

    jax.vmap(batch_last(look))(SEVERAL, jnp.arange(4.0))
    assert ((3, 4), (4,)) in shapes


def test_it_has_the_gradient_of_the_function() -> None:
    def loss(function: Callable[..., Any], scales: jax.Array) -> jax.Array:
        return jax.vmap(function, (0, None, 0))(SEVERAL, X, scales)["products"].sum()

    scales = jnp.array([1.0, 2.0, -1.0, 0.5])
    assert (jax.grad(partial(loss, batch_last(outer)))(scales) == jax.grad(partial(loss, outer))(scales)).all()


def test_what_is_computed_once_is_a_call_in_the_compiled_program() -> None:
    def function(x: jax.Array) -> jax.Array:
        return compute_once(lambda x: jnp.sin(x) + 1)(x) * 2

    compiled = jax.jit(jax.vmap(function)).lower(SEVERAL).compile().as_text()
    assert compiled is not None
    assert 'inlineable="false"' in compiled
    np.testing.assert_array_equal(jax.jit(function)(X), jax.jit(lambda x: (jnp.sin(x) + 1) * 2)(X))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_folding_combines_all_parts(count: int) -> None:
    parts = jnp.arange(1, count + 1)
    assert fold(jnp.add, list(parts)) == count * (count + 1) // 2
    assert fold(jnp.maximum, list(parts)) == count


@pytest.mark.parametrize("is_batched_last", [False, True])
def test_a_state_is_replaced_only_where_it_ends_and_keeps_its_gradient(is_batched_last: bool) -> None:
    def start(scale: jax.Array) -> dict[str, jax.Array]:
        return {"stock": 10 * scale * jnp.ones(3), "steps": jnp.int32(0)}

    def go_on(ended: jax.Array, stock: jax.Array, scale: jax.Array) -> dict[str, jax.Array]:
        state = {"stock": stock * 2, "steps": jnp.int32(7)}
        return replace_if_any(start, ended, state, scale, is_batched_last=is_batched_last)

    ended, scales = jnp.array([False, True, False, True]), jnp.arange(4.0)
    found = jax.jit(jax.vmap(go_on))(ended, SEVERAL, scales)
    assert found["steps"].tolist() == [7, 0, 7, 0]
    np.testing.assert_array_equal(found["stock"], np.where(ended[:, None], 10 * scales[:, None], 2 * SEVERAL))
    slope = jax.grad(lambda stock, scales: jax.vmap(go_on)(ended, stock, scales)["stock"].sum(), (0, 1))(
        SEVERAL, scales
    )
    np.testing.assert_array_equal(slope[0], np.where(ended[:, None], 0.0, 2.0) * np.ones((4, 3)))
    np.testing.assert_array_equal(slope[1], np.zeros(4))
