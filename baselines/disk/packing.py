"""Pytrees of arrays as dictionaries of plain arrays by path, which is how they are written to disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxdilemmas.arguments import require


def pack(tree: Any) -> dict[str, jax.Array]:
    """The arrays of a pytree by path, PRNG keys as their bits, without those that hold nothing."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_name(path): jax.random.key_data(leaf) if _is_key(leaf) else leaf for path, leaf in leaves if leaf.size}


def unpack(arrays: Mapping[str, Any], template: Any) -> Any:
    """The inverse of `pack`.

    Args:
      arrays: by path.
      template: a pytree with the shapes and dtypes, as of `jax.eval_shape`.

    Returns:
      A pytree of JAX arrays.

    Raises:
      ValueError: an array is missing, left over, or of another shape or dtype; the message names it.
    """
    _check_same(arrays, jax.eval_shape(pack, template))
    return jax.tree_util.tree_map_with_path(lambda path, leaf: _unpack_leaf(arrays.get(_name(path)), leaf), template)


def check_shapes(path: Path, arrays: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises a ValueError that names the file unless its arrays are numbers of these names and shapes."""
    require(arrays.keys() == shapes.keys(), f"{path}: names", sorted(arrays), f"{', '.join(sorted(shapes))}")
    for name, array in arrays.items():
        is_fit = array.shape == shapes[name] and array.dtype.kind in "bif"
        require(is_fit, f"{path}: {name}", (str(array.dtype), array.shape), f"numbers of shape {shapes[name]}")


def _check_same(arrays: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for name in sorted(arrays.keys() | expected.keys()):
        if name not in arrays:
            raise ValueError(f"the array {name!r} is missing")
        if name not in expected:
            raise ValueError(f"the array {name!r} does not belong there")
        found, wanted = arrays[name], expected[name]
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise ValueError(
                f"the array {name!r} is {found.dtype} {found.shape} where {wanted.dtype} {wanted.shape} is expected"
            )


def _unpack_leaf(array: Any, leaf: Any) -> jax.Array:
    if array is None:
        return jnp.zeros(leaf.shape, leaf.dtype)
    return jax.random.wrap_key_data(jnp.asarray(array)) if _is_key(leaf) else jnp.asarray(array)


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
