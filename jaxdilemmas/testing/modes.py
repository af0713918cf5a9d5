"""Checks in the modes of JAX that users turn on."""

from collections import defaultdict
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from jaxdilemmas.testing.probe import Check, Inputs, Probe, claim, claim_equal, claim_same_structure

NUM_DEVICES = 2


def strict_promotion_is_no_error(probe: Probe) -> None:
    """`reset` and `step` trace if JAX refuses to promote ranks and dtypes by itself."""
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(probe.play, probe.inputs, probe.short_params)


def keys_of_both_kinds_are_taken(probe: Probe) -> None:
    """Keys of `jax.random.PRNGKey` give the same shapes and dtypes as keys of `jax.random.key`."""
    inputs = probe.inputs
    legacy = Inputs(jax.random.key_data(inputs.key_reset), jax.random.key_data(inputs.keys), inputs.actions)
    typed, untyped = (jax.eval_shape(probe.play, given, probe.short_params) for given in (inputs, legacy))
    claim_same_structure("with keys of jax.random.PRNGKey", typed, untyped)


def fields_of_a_state_share_no_buffer(probe: Probe) -> None:
    """A new state can be donated (`donate_argnums`): no two of its fields are the same array.

    This is checked for the state of `reset` and, without jit, for the state of `initial_state`.
    """
    with jax.disable_jit():
        state = probe.env.initial_state(probe.inputs.key_reset, probe.short_params)
    for what, tree in {"initial_state": state, "reset": probe.start[1]}.items():
        names: defaultdict[Any, list[str]] = defaultdict(list)
        for path, leaf in jax.tree.leaves_with_path(tree):
            if isinstance(leaf, jax.Array) and leaf.size and leaf.is_fully_addressable:
                names[leaf.unsafe_buffer_pointer()].append(jax.tree_util.keystr(path))
        for shared in names.values():
            claim(len(shared) == 1, f"{' and '.join(shared)} of the state of {what} are one array; make one for each")


def sixty_four_bit_mode_gives_the_same_episode(probe: Probe) -> None:
    """With `jax_enable_x64` an episode has the same dtypes and bitwise the same values."""
    with jax.enable_x64(True):
        found = jax.device_get(jax.jit(probe.play)(probe.inputs, probe.short_params))
    claim_equal("in 64-bit mode", probe.played, found, tolerance=0.0)


def shard_map_gives_the_same_episodes(probe: Probe) -> None:
    """Under `jax.shard_map` with its default checks a batch of episodes equals the same episodes played one by one.

    The batch is traced. If there are two devices, it is also played, one episode on each device.
    """
    devices = jax.devices()[:NUM_DEVICES]
    mesh, split = Mesh(np.array(devices), ("devices",)), PartitionSpec("devices")
    batch = jax.tree.map(lambda leaf: leaf[:NUM_DEVICES], probe.batch)
    play = jax.vmap(probe.play, in_axes=(0, None))
    sharded = jax.shard_map(play, mesh=mesh, in_specs=(split, PartitionSpec()), out_specs=split)
    if len(devices) < NUM_DEVICES:
        jax.eval_shape(sharded, batch, probe.short_params)
        return
    expected = jax.jit(play)(batch, probe.short_params)
    claim_equal("on two devices", expected, jax.jit(sharded)(batch, probe.short_params))


CHECKS: tuple[Check, ...] = (
    strict_promotion_is_no_error,
    keys_of_both_kinds_are_taken,
    fields_of_a_state_share_no_buffer,
    sixty_four_bit_mode_gives_the_same_episode,
    shard_map_gives_the_same_episodes,
)
