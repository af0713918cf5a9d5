"""Environments and minibatches on several devices: each device has its part of the rows, all have the same networks.

A program of a learner is written as for one device. Under a mesh (`on_mesh`) JAX divides it: `in_parts` plays the
environments of each device on that device, without a word to the others; `split` and `whole` say where rows are divided
and where every device needs all of them. What a program computes does not depend on the number of devices, except for
the order in which sums over rows are added up. Without a mesh these functions do nothing.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from baselines.disk.packing import pack, unpack
from jaxdilemmas.arguments import require

AXIS = "devices"
"""The only axis of the mesh."""


def on_mesh(mesh: Mesh | None) -> contextlib.AbstractContextManager[Any]:
    """While it is entered, this thread traces programs for the devices of a mesh; None is for one device."""
    return contextlib.nullcontext() if mesh is None else jax.set_mesh(mesh)


def make_mesh(chosen: list[jax.Device]) -> Mesh | None:
    """The mesh of some devices; None for a single one."""
    return None if len(chosen) == 1 else Mesh(np.array(chosen), (AXIS,), axis_types=(AxisType.Auto,))


def shardings(mesh: Mesh | None) -> dict[str, Any]:
    """Arguments of `jax.jit` for a function whose inputs and outputs are whole on every device."""
    if mesh is None:
        return {}
    everywhere = NamedSharding(mesh, PartitionSpec())
    return {"in_shardings": everywhere, "out_shardings": everywhere}


def put_on(mesh: Mesh | None, tree: Any) -> Any:
    """The arrays of a pytree, whole on every device of all hosts; each host has them as a whole."""
    if mesh is None:
        return tree
    template = jax.eval_shape(lambda: tree)
    place = jax.jit(lambda arrays: unpack(arrays, template), **shardings(mesh))
    return place(jax.device_get(pack(tree)))


def in_parts(function: Callable[..., Any], in_axes: Any, out_axes: Any) -> Callable[..., Any]:
    """Runs a function on each device, with its part of the rows.

    Args:
      function: of pytrees of arrays; each row is computed by itself.
      in_axes: a tuple with, for each argument, the axis of its rows or a pytree of such axes, as of `jax.vmap`; None
        for what every device has whole.
      out_axes: the same for the result; what is whole must be equal on all devices.

    Returns:
      A function of the whole arguments that returns the whole result.
    """
    if not _axis_is(AxisType.Auto):
        return function
    specs = jax.tree.map(_spec, (in_axes, out_axes), is_leaf=lambda axis: axis is None)
    return jax.shard_map(function, in_specs=specs[0], out_specs=specs[1], check_vma=False)


def num_rows(num_own: int) -> int:
    """How many rows there are on all devices, where this one has `num_own` of them."""
    return num_own * jax.lax.axis_size(AXIS) if _axis_is(AxisType.Manual) else num_own


def own_rows(array: jax.Array) -> jax.Array:
    """The rows of this device, of an array with the rows of all: so that draws do not depend on the number of devices.

    Within a function that `in_parts` runs, `[D * M, ...]` -> `[M, ...]`; elsewhere the array itself.
    """
    if not _axis_is(AxisType.Manual):
        return array
    size = len(array) // jax.lax.axis_size(AXIS)
    return jax.lax.dynamic_slice_in_dim(array, jax.lax.axis_index(AXIS) * size, size)


def split(tree: Any, axis: int = 0) -> Any:
    """Divides arrays among the devices along an axis, so that each device computes with its part."""
    return _constrain(tree, _spec(axis))


def whole(tree: Any) -> Any:
    """Gives every device all rows of arrays, as whoever takes rows by number needs them."""
    return _constrain(tree, PartitionSpec())


def check_split(config: Any, num_devices: int) -> None:
    """Raises a ValueError unless what devices share out divides among them.

    Args:
      config: settings with a property `split_over_devices`; see `trainer.Algorithm`.
      num_devices: D.
    """
    for name, number in config.split_over_devices.items():
        require(number % num_devices == 0, name, number, f"a multiple of the number of devices, {num_devices}")


def _constrain(tree: Any, spec: PartitionSpec) -> Any:
    return jax.lax.with_sharding_constraint(tree, spec) if _axis_is(AxisType.Auto) else tree


def _spec(axis: int | None) -> PartitionSpec:
    return PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, AXIS)


def _axis_is(kind: AxisType) -> bool:
    """Whether the program is traced for a mesh of ours: divided by JAX (Auto), or for one device of it (Manual)."""
    mesh = jax.sharding.get_abstract_mesh()
    return AXIS in (mesh.auto_axes if kind == AxisType.Auto else mesh.manual_axes)
