"""Every game on two devices, in a process of its own, because a process has one CPU device by default."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, auto_axes

import jaxdilemmas
from jaxdilemmas import AutoReset, Environment, EpisodeStatistics, TransformRewards, preferences
from jaxdilemmas.testing.probe import Inputs, Probe, claim_equal
from tests.reference.compiling import QUICK_FLAGS

NUM_STEPS = 3
SPLIT = PartitionSpec("devices")


@pytest.mark.slow
def test_every_game_is_the_same_on_two_devices_bare_and_wrapped() -> None:
    flags = f"{QUICK_FLAGS} --xla_force_host_platform_device_count=2"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    command = [sys.executable, "-m", "tests.test_devices"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2400)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == jaxdilemmas.registered_envs()


def wrap(env: Environment) -> Environment:
    """All wrappers, with an end of the episode."""
    inner = TransformRewards(EpisodeStatistics(env), preferences.inequity_averse())
    return AutoReset(inner, final_observation=True)


def play_on_two_devices(env: Environment, batch: Inputs) -> None:
    """Plays a batch on one device and on two, over all kinds of mesh: whole episodes, and a step alone."""
    probe = Probe(env, num_steps=NUM_STEPS)
    play, step = jax.vmap(lambda inputs: probe.play(inputs, probe.short_params)), jax.vmap(env.step)
    episodes = jax.jit(play)(batch)
    arguments = (batch.keys[:, 0], episodes["reset"]["state"], batch.actions[:, 0])
    after_a_step = jax.jit(step)(*arguments)
    for mesh in (Mesh(np.array(jax.devices()), ("devices",)), jax.make_mesh((2,), ("devices",))):
        split = jax.device_put((batch, arguments), NamedSharding(mesh, SPLIT))
        play_split, step_split = (
            jax.jit(jax.shard_map(function, mesh=mesh, in_specs=SPLIT, out_specs=SPLIT)) for function in (play, step)
        )
        claim_equal(f"{type(env).__name__} on two devices", episodes, play_split(split[0]), tolerance=0.0)
        claim_equal("a step on two devices", after_a_step, step_split(*split[1]), tolerance=0.0)
    explicit = jax.make_mesh((2,), ("devices",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(explicit):
        step_split = jax.jit(auto_axes(step, out_sharding=SPLIT))
        split = jax.device_put(arguments, NamedSharding(explicit, SPLIT))
        claim_equal("a step on a mesh with explicit axes", after_a_step, step_split(*split), tolerance=0.0)


def main() -> None:
    """Plays every game and prints its id."""
    jax.config.update("jax_disable_most_optimizations", True)
    for env_id in jaxdilemmas.registered_envs():
        env = jaxdilemmas.make(env_id)
        batch = jax.tree.map(lambda leaf: leaf[:2], Probe(env, num_steps=NUM_STEPS).batch)
        for wrapped in (env, wrap(env)):
            play_on_two_devices(wrapped, batch)
        sys.stdout.write(f"{env_id}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
